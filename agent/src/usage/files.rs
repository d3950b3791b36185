//! How much the files of a partition take. `du` counts them, beneath everything else that the node does: in a slice that yields, seeing
//! all and able to alter nothing.

use std::time::Duration;

use camino::Utf8Path;

use crate::desired::PartitionName;
use crate::instances::confinement::CONFIGURATION_SLICE;
use crate::systemd::{Property, Systemd, SystemdError, Value, property};

/// A partition of very many files.
const WITHIN: Duration = Duration::from_secs(1800);
/// What has many names is remembered while it counts.
const MOST_MEMORY: u64 = 128 * 1024 * 1024;
const CAP_DAC_READ_SEARCH: u64 = 1 << 2;

/// Files could not be counted.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilesError {
    #[error("failed to count what the files of {0} take")]
    Run(PartitionName, #[source] SystemdError),
    #[error("what the files of {partition} take is not known ({result}): {output}")]
    Unknown {
        partition: PartitionName,
        result: String,
        output: String,
    },
}

/// Returns how many bytes of disk a partition's files take.
pub(super) async fn size(
    systemd: &Systemd,
    partition: PartitionName,
    folder: &Utf8Path,
) -> Result<u64, FilesError> {
    let unit = format!("slapdisk-{partition}.service");
    let ran = systemd.run(&unit, &properties(folder), WITHIN).await;
    let ran = ran.map_err(|error| FilesError::Run(partition, error))?;
    // Files that go while they are counted make it fail, and it has counted the others.
    total(&ran.output, folder).ok_or(FilesError::Unknown {
        partition,
        result: ran.result,
        output: ran.output.chars().take(300).collect(),
    })
}

fn total(output: &str, folder: &Utf8Path) -> Option<u64> {
    let line = output.lines().last()?;
    let (size, path) = line.split_once('\t')?;
    (path == folder).then(|| size.parse().ok()).flatten()
}

fn properties(folder: &Utf8Path) -> Vec<Property> {
    let command = [
        "/usr/bin/du",
        "--summarize",
        "--block-size=1",
        "--one-file-system",
        folder.as_str(),
    ];
    let command = command.map(str::to_owned).into();
    let micros = u64::try_from(WITHIN.as_micros()).unwrap_or(u64::MAX);
    vec![
        property("Description", format!("Size of {folder}")),
        property("CollectMode", "inactive-or-failed"),
        property("ExecStart", Value::Command(command)),
        property("Type", "oneshot"),
        property("TimeoutStartUSec", micros),
        property("Slice", CONFIGURATION_SLICE),
        property("CPUWeight", 1_u64),
        property("IOWeight", 1_u64),
        property("MemoryMax", MOST_MEMORY),
        property("CapabilityBoundingSet", CAP_DAC_READ_SEARCH),
        property("NoNewPrivileges", true),
        property("ProtectSystem", "strict"),
        property("PrivateTmp", true),
        property("PrivateNetwork", true),
        property("PrivateDevices", true),
        property("ProtectKernelTunables", true),
        property("ProtectControlGroups", true),
        property("SystemCallArchitectures", vec!["native".to_owned()]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_says_how_much_it_is() {
        let folder = Utf8Path::new("/srv/slapgrid/slappart0");
        let good = "du: cannot access '/srv/slapgrid/slappart0/x': No such file or directory\n4096\t/srv/slapgrid/slappart0";
        assert_eq!(total(good, folder), Some(4096));
        for bad in [
            "",
            "4096",
            "4096\t/srv/slapgrid/slappart1",
            "x\t/srv/slapgrid/slappart0",
        ] {
            assert_eq!(total(bad, folder), None, "{bad}");
        }
    }
}
