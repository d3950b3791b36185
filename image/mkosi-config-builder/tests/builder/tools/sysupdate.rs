//! systemd-sysupdate follows our transfer files: it finds a version and installs it.

use std::path::Path;
use std::process::Command;

use mkosi_config_builder::sysupdate::{
    Instances, Source, SourceType, Target, TargetType, Transfer,
};
use mkosi_config_builder::{FileKind, Tree, list};

use super::{Said, program, run, skip, systemd_version, written};
use crate::image;

/// Runs systemd-sysupdate on transfer files in the folder's `sysupdate.d`.
fn sysupdate(folder: &Path, verb: &str) -> Option<Said> {
    let tool = program("SYSTEMD_SYSUPDATE", "/usr/lib/systemd/systemd-sysupdate");
    if systemd_version(&tool).is_none_or(|it| it < 257) {
        skip("it is written for systemd-sysupdate 257; set SYSTEMD_SYSUPDATE");
        return None;
    }
    run(Command::new(tool)
        .arg(format!(
            "--definitions={}",
            folder.join("sysupdate.d").display()
        ))
        .args(["--verify=no", "--no-pager", "--sync=no", verb]))
}

#[test]
fn systemd_sysupdate_installs_what_a_transfer_says() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path.to_str().unwrap().parse().unwrap()
    };
    let source = Source::new(
        SourceType::RegularFile,
        path("from"),
        "box_@v.efi".parse().unwrap(),
    );
    let target = Target {
        match_pattern: list(["box_@v+@l-@d.efi", "box_@v.efi"]).unwrap(),
        tries_left: Some(3),
        tries_done: Some(0),
        mode: Some("0444".parse().unwrap()),
        ..Target::new(
            TargetType::RegularFile,
            path("to"),
            "box_@v.efi".parse().unwrap(),
            Instances::TWO,
        )
    };
    let transfer = Transfer::new(source, target);
    transfer.validate().unwrap();
    let mut tree = Tree::default();
    tree.add("sysupdate.d/10-kernel.transfer", transfer)
        .unwrap();
    let definitions = written(&tree);
    std::fs::File::create(folder.path().join("from/box_2.efi")).unwrap();

    let Some(said) = sysupdate(definitions.path(), "update") else {
        return;
    };
    // Where systemd-import is not installed, the copy itself fails; by then all is decided.
    assert!(!said.err.contains("gnoring"), "{said:?}");
    assert!(
        said.err.contains("from/box_2.efi → ") && said.err.contains("to/box_2+3-0.efi"),
        "{said:?}"
    );
}

#[test]
fn systemd_sysupdate_has_no_complaint_of_the_products_transfers() {
    let mut tree = Tree::default();
    for (name, transfer) in image::transfers() {
        tree.add(&format!("sysupdate.d/{name}.transfer"), transfer)
            .unwrap();
    }
    let definitions = written(&tree);
    let Some(said) = sysupdate(definitions.path(), "list") else {
        return;
    };
    let file = |line: &&str| line.contains(".transfer");
    assert_eq!(said.err.lines().find(file), None);
}

#[test]
fn systemd_sysupdate_knows_every_setting_that_we_have() {
    let mut text = String::new();
    for (section, keys) in FileKind::Sysupdate.sections() {
        text.push_str(&format!("[{section}]\n"));
        keys.iter()
            .for_each(|key| text.push_str(&format!("{key}=\n")));
    }
    text.push_str("NoSuchKey=\n");
    let mut tree = Tree::default();
    tree.add("sysupdate.d/10-all.transfer", text).unwrap();
    let definitions = written(&tree);
    let Some(said) = sysupdate(definitions.path(), "list") else {
        return;
    };
    let unknown: Vec<&str> = said
        .err
        .lines()
        .filter(|it| it.contains("Unknown key"))
        .collect();
    assert_eq!(unknown.len(), 1, "{unknown:?}");
    assert!(unknown[0].contains("NoSuchKey"), "{unknown:?}");
}
