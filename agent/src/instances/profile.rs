//! The `buildout.cfg` of an instance whose release is buildout's: the release's own template, and what the node has to say. Pure.

use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use ipnet::Ipv4Net;
use slap::ComputerId;

use crate::desired::{Instance, PartitionName};

/// Where the wishes for instances come from, as their programs are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The master's URL.
    pub url: String,
    /// What it calls this computer.
    pub computer: ComputerId,
}

/// What of the node is told to those who ask for it.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Where releases share what they are built of.
    pub shared_parts: &'a Utf8Path,
    /// Where partitions find their folders on other disks, if they have some.
    pub storage_home: Option<&'static str>,
    /// The network outside of which partitions have addresses.
    pub ipv4_network: Option<Ipv4Net>,
}

/// Returns the text for a partition.
pub fn profile(
    template: &str,
    origin: &Origin,
    partition: PartitionName,
    instance: &Instance,
    credentials: Option<&(Utf8PathBuf, Utf8PathBuf)>,
    surroundings: &Surroundings<'_>,
) -> String {
    let path = |path: Option<&Utf8PathBuf>| path.map(ToString::to_string).unwrap_or_default();
    let first = [
        ("computer-id", origin.computer.to_string()),
        ("partition-id", partition.to_string()),
        ("server-url", origin.url.clone()),
        ("software-release-url", instance.software.to_string()),
        ("key-file", path(credentials.map(|it| &it.1))),
        ("cert-file", path(credentials.map(|it| &it.0))),
    ];
    let more = [
        // A list, as the peer writes them: from the next line on.
        (
            "shared-part-list",
            format!("\n  {}", surroundings.shared_parts),
        ),
        ("build-time-part-list", String::new()),
        ("requested-state", instance.state.as_str().to_owned()),
    ];
    let mut text = template.trim_end().to_owned();
    text.push_str("\n\n[buildout]\nbin-directory = ${buildout:directory}/sbin\noffline = true\n");
    section(&mut text, "slap-connection", &[&first[..], &more].concat());
    // As recipes of long ago spell it.
    let old = first.map(|(name, value)| (name.replace('-', "_"), value));
    section(&mut text, "slap_connection", &old);
    let network = surroundings.ipv4_network;
    let network = network.map_or(String::new(), |network| network.to_string());
    let home = surroundings.storage_home.unwrap_or_default();
    section(
        &mut text,
        "storage-configuration",
        &[("storage-home", home)],
    );
    section(
        &mut text,
        "network-information",
        &[("global-ipv4-network", network)],
    );
    text
}

fn section(text: &mut String, name: &str, options: &[(impl AsRef<str>, impl AsRef<str>)]) {
    // A String takes any text.
    let _ = writeln!(text, "\n[{name}]");
    for (name, value) in options {
        // A `$` would be the beginning of a reference.
        let value = value.as_ref().replace('$', "$$");
        let blank = if value.starts_with(['\n']) { "" } else { " " };
        let line = format!("{} ={blank}{value}", name.as_ref());
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use slap::RequestedState;

    use super::*;
    use crate::desired::SoftwareUrl;

    #[test]
    fn the_template_comes_first_and_the_node_has_the_last_word() {
        let instance = Instance {
            state: RequestedState::Started,
            software: SoftwareUrl::new("https://x/$a/software.cfg"),
            software_type: "default".into(),
            title: "site".into(),
            root_title: "site".into(),
            reference: "SOFTINST-1".into(),
            timestamp: "1".into(),
            parameters: BTreeMap::new(),
            shared: Vec::new(),
            ip_list: Vec::new(),
            asked: BTreeMap::new(),
            routed: Vec::new(),
            firewall: BTreeMap::new(),
            retention_days: 0.0,
            connection: BTreeMap::new(),
        };
        let origin = Origin {
            url: "https://[fd00::1]".into(),
            computer: "COMP-2".parse().unwrap(),
        };
        let template = "[buildout]\nparts = site\n\n\n";
        let partition = PartitionName::new(3);
        let credentials = ("/a/master.crt".into(), "/a/master.key".into());
        let surroundings = Surroundings {
            shared_parts: Utf8Path::new("/s/.shared"),
            storage_home: Some("/srv/storage"),
            ipv4_network: Some("203.0.113.0/28".parse().unwrap()),
        };
        insta::assert_snapshot!(profile(template, &origin, partition, &instance, Some(&credentials), &surroundings), @r"
        [buildout]
        parts = site

        [buildout]
        bin-directory = ${buildout:directory}/sbin
        offline = true

        [slap-connection]
        computer-id = COMP-2
        partition-id = slappart3
        server-url = https://[fd00::1]
        software-release-url = https://x/$$a/software.cfg
        key-file = /a/master.key
        cert-file = /a/master.crt
        shared-part-list =
          /s/.shared
        build-time-part-list =
        requested-state = started

        [slap_connection]
        computer_id = COMP-2
        partition_id = slappart3
        server_url = https://[fd00::1]
        software_release_url = https://x/$$a/software.cfg
        key_file = /a/master.key
        cert_file = /a/master.crt

        [storage-configuration]
        storage-home = /srv/storage

        [network-information]
        global-ipv4-network = 203.0.113.0/28
        ");
    }
}
