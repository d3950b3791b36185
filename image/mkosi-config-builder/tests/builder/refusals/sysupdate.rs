//! Transfers that cannot be meant.

use mkosi_config_builder::repart::{Layout, PartitionType};
use mkosi_config_builder::sysupdate::{Anchor, SourceType, TargetType, Transfer};

use super::refused;
use crate::image;

fn slot() -> Transfer {
    image::transfers().swap_remove(1).1
}

fn kernel() -> Transfer {
    image::transfers().swap_remove(2).1
}

fn no(mut transfer: Transfer, change: impl FnOnce(&mut Transfer), words: &[&str]) {
    change(&mut transfer);
    refused(transfer.validate(), words);
}

#[test]
fn a_transfer_must_be_whole() {
    no(
        slot(),
        |it| it.source.match_pattern.clear(),
        &["MatchPattern= of [Source]", "@v"],
    );
    no(
        slot(),
        |it| it.target.match_pattern.clear(),
        &["MatchPattern= of [Target]"],
    );
    no(
        slot(),
        |it| it.target.instances_max = None,
        &["InstancesMax=", "2 or more"],
    );
    no(
        slot(),
        |it| it.target.match_partition_type = None,
        &["MatchPartitionType=", "overwritten"],
    );
}

#[test]
fn a_source_must_fit_its_target() {
    no(
        slot(),
        |it| it.source.r#type = SourceType::UrlTar,
        &["Type=url-tar", "Type=partition"],
    );
    no(
        kernel(),
        |it| it.target.r#type = TargetType::Subvolume,
        &["Type=url-file", "Type=subvolume"],
    );
    no(
        slot(),
        |it| it.source.path = "/updates".parse().unwrap(),
        &["Path=/updates", "URL"],
    );
    no(
        slot(),
        |it| it.source.r#type = SourceType::RegularFile,
        &["Path=https://", "absolute path"],
    );
    no(
        kernel(),
        |it| it.target.path = "auto".parse().unwrap(),
        &["Path=auto of [Target]"],
    );
    no(
        slot(),
        |it| {
            it.source.path = "http://updates.invalid".parse().unwrap();
            it.transfer.verify = Some(false);
        },
        &["Verify=no", "https"],
    );
}

#[test]
fn a_target_has_only_what_its_type_has() {
    no(
        slot(),
        |it| it.target.mode = Some("0444".parse().unwrap()),
        &["Type=partition and Mode="],
    );
    no(
        slot(),
        |it| it.target.path_relative_to = Some(Anchor::Esp),
        &["PathRelativeTo= and Type=partition"],
    );
    no(
        slot(),
        |it| it.target.path_relative_to = Some(Anchor::Explicit),
        &["PathRelativeTo=explicit"],
    );
    no(
        slot(),
        |it| it.target.current_symlink = Some("now".parse().unwrap()),
        &["CurrentSymlink=", "absolute"],
    );
    no(
        slot(),
        |it| it.target.tries_left = Some(3),
        &["TriesLeft=", "+@l-@d"],
    );
    no(
        slot(),
        |it| it.target.match_pattern = vec![format!("{}_@v", "a".repeat(34)).parse().unwrap()],
        &["36 characters"],
    );
    no(
        kernel(),
        |it| it.target.match_partition_type = Some(PartitionType::USR),
        &["Type=regular-file", "for partitions"],
    );
    no(
        kernel(),
        |it| it.target.path = "/EFI/%z".parse().unwrap(),
        &["Path=/EFI/%z", "%%"],
    );
}

#[test]
fn a_disk_without_a_second_slot_is_refused() {
    let mut layout: Layout = image::disk();
    slot().validate_on(&layout).unwrap();
    kernel().validate_on(&layout).unwrap();
    layout.partitions.remove(&"31-usr-b".parse().unwrap());
    refused(
        slot().validate_on(&layout),
        &[
            "InstancesMax=2",
            "MatchPartitionType=usr",
            "has 1",
            "_empty",
        ],
    );
}
