//! Computers and partitions that there are not.

use super::{Call, get, marshalled, post};
use crate::rpc::JOURNAL;
use crate::services::SOFTWARE;

/// Computers and partitions that are none, at every endpoint that takes one.
#[expect(clippy::too_many_lines, reason = "it is a table")]
pub(in crate::malformed) fn unknown() -> Vec<Call> {
    const NO_COMPUTER: &str = "COMP-9";
    let mut calls = Vec::new();
    for path in [
        "/getFullComputerInformation?computer_id=COMP-9",
        "/getComputerInformation?computer_id=COMP-9",
        "/registerComputerPartition?computer_reference=COMP-9&computer_partition_reference=slappart0",
        "/getComputerPartitionCertificate?computer_id=COMP-9&computer_partition_id=slappart0",
        "/getComputerPartitionStatus?computer_id=COMP-9&computer_partition_id=slappart0",
        "/getComputerStatus?computer_id=COMP-9",
        "/getSoftwareInstallationStatus?computer_id=COMP-9&url=x",
        "/getHostingSubscriptionIpList?computer_id=COMP-9&computer_partition_id=slappart0",
        "/v1/watch?computer_id=COMP-9&since=0",
        "/v1/computers/COMP-9",
        "/hateoas/?mode=traverse&relative_url=compute_node_module/COMP-9",
    ] {
        calls.push(get(path, 404, NO_COMPUTER));
    }
    // Another partition of a computer that there is.
    for path in [
        "/registerComputerPartition?computer_reference=COMP-1&computer_partition_reference=slappart9",
        "/getComputerPartitionCertificate?computer_id=COMP-1&computer_partition_id=slappart9",
        "/getComputerPartitionStatus?computer_id=COMP-1&computer_partition_id=slappart9",
        "/getHostingSubscriptionIpList?computer_id=COMP-1&computer_partition_id=slappart9",
    ] {
        calls.push(get(
            path,
            404,
            "no instance in partition `slappart9` of `COMP-1`",
        ));
    }
    let nothing = marshalled("<dictionary/>");
    let more = [
        ("url", SOFTWARE),
        ("state", "available"),
        ("message", "x"),
        ("error_log", "x"),
        ("new_name", "x"),
        ("use_string", JOURNAL),
        ("connection_xml", nothing.as_str()),
    ];
    for path in [
        "/computerBang",
        "/useComputer",
        "/supplySupply",
        "/buildingSoftwareRelease",
        "/availableSoftwareRelease",
        "/destroyedSoftwareRelease",
        "/softwareReleaseError",
        "/startedComputerPartition",
        "/stoppedComputerPartition",
        "/destroyedComputerPartition",
        "/softwareInstanceError",
        "/softwareInstanceBang",
        "/setComputerPartitionConnectionXml",
        "/softwareInstanceRename",
        "/generateComputerCertificate",
        "/revokeComputerCertificate",
    ] {
        let at = [
            ("computer_id", NO_COMPUTER),
            ("computer_partition_id", "slappart0"),
        ];
        calls.push(post(path, &[&at[..], &more].concat(), 404, NO_COMPUTER));
    }
    let instance_of_nobody = [
        ("software_release", SOFTWARE),
        ("partition_reference", "new"),
        ("computer_id", NO_COMPUTER),
        ("computer_partition_id", "slappart0"),
    ];
    calls.push(post(
        "/requestComputerPartition",
        &instance_of_nobody,
        404,
        NO_COMPUTER,
    ));
    let strange = crate::lab::configuration(&NO_COMPUTER.parse().unwrap(), 2).to_xml();
    calls.push(post(
        "/loadComputerConfigurationFromXML",
        &[("xml", &strange)],
        404,
        NO_COMPUTER,
    ));
    for action in ["approve", "revoke"] {
        calls.push(post(
            &format!("/v1/computers/COMP-9/{action}"),
            &[],
            404,
            NO_COMPUTER,
        ));
    }
    calls
}
