//! What the databases hold: a computer with 200 partitions, 50 of them busy, with parameters as real sites have them. The same calls
//! fill both servers.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context as _, Result};
use slap::configuration::{PartitionAddress, PartitionConfiguration, PartitionUser, Tap};
use slap::forms::{ConnectionForm, InstanceForm, RequestForm, SupplyForm};
use slap::{ComputerConfiguration, ComputerId, PartitionId, SoftwareInstance, SupplyState};

use crate::load::{Line, Target, form};

pub(super) const PARTITIONS: u16 = 200;
pub(super) const BUSY: u16 = 50;
const SOFTWARE: &str = "https://lab.example.com/software/site/1.0.412/software.cfg";

/// Fills a server; the computer itself announces what it has and reports.
pub(super) async fn fill(computer: &ComputerId, node: &Target, operator: &Target) -> Result<()> {
    let (mut node, mut operator) = (Line::to(node.clone()), Line::to(operator.clone()));
    node.ask(&announcement(computer, PARTITIONS))
        .await?
        .must_be_good()
        .context("announce partitions")?;
    operator
        .ask(&supply(computer, SOFTWARE))
        .await?
        .must_be_good()
        .context("supply")?;
    for number in 0..BUSY {
        let answer = operator.ask(&request(computer, number, 0)).await?;
        answer.must_be_good().context("request")?;
        let xml = std::str::from_utf8(answer.body).context("an answer that is no text")?;
        let partition = SoftwareInstance::from_xml(xml)
            .context("an answer that is no instance")?
            .partition;
        let place = InstanceForm {
            computer: computer.clone(),
            partition,
        };
        for call in [started(&place), publication(&place, number)] {
            node.ask(&call).await?.must_be_good().context("report")?;
        }
    }
    Ok(())
}

/// `loadComputerConfigurationFromXML`.
pub(super) fn announcement(computer: &ComputerId, partitions: u16) -> Vec<u8> {
    let configuration = ComputerConfiguration {
        reference: computer.clone(),
        address: Some(IpAddr::from([10, 0, 0, 1])),
        netmask: Some(IpAddr::from([255, 255, 0, 0])),
        instance_root: "/srv/slapgrid".into(),
        software_root: "/opt/slapgrid".into(),
        software_user: "slapsoft".into(),
        storage_home: None,
        tap_gateway_interface: None,
        os_type: "[]".into(),
        version: "1".into(),
        interface: None,
        partitions: (0..partitions).map(partition).collect(),
    };
    let pairs = [("xml", configuration.to_xml())];
    form("/loadComputerConfigurationFromXML", &pairs)
}

fn partition(index: u16) -> PartitionConfiguration {
    let [high, low] = (index + 2).to_be_bytes();
    PartitionConfiguration {
        capabilities: Vec::new(),
        external_storage: Vec::new(),
        reference: PartitionId::indexed(index),
        path: format!("/srv/slapgrid/slappart{index}"),
        user: PartitionUser {
            name: format!("slapuser{index}"),
            shell: "/bin/false".into(),
            groups: Vec::new(),
        },
        addresses: vec![
            PartitionAddress {
                address: IpAddr::from([10, 0, high, low]),
                netmask: IpAddr::from([255, 255, 255, 255]),
            },
            PartitionAddress {
                address: IpAddr::from([0xfd12, 0x3456, 0x789a, 1, 0, 0, 0, index + 2]),
                netmask: IpAddr::from([0xffff; 8]),
            },
        ],
        ipv6_range: None,
        tap: Tap {
            name: format!("slaptap{index}"),
            ..Tap::default()
        },
    }
}

/// `supplySupply`.
pub(super) fn supply(computer: &ComputerId, url: &str) -> Vec<u8> {
    let wish = SupplyForm {
        url: url.into(),
        computer: computer.clone(),
        state: SupplyState::Available,
    };
    form("/supplySupply", &wish.to_pairs())
}

/// `requestComputerPartition` for a site; another `edition` has other parameters.
pub(super) fn request(computer: &ComputerId, number: u16, edition: u16) -> Vec<u8> {
    let parameters = serde_json::json!({
        "domain": format!("site-{number}.example.com"),
        "aliases": [format!("www.site-{number}.example.com"), format!("shop-{number}.example.org")],
        "workers": 4,
        "cache-size": format!("{}MB", 64 + edition),
        "ssh-key": format!("ssh-ed25519 {} admin@site-{number}", "AAAAC3NzaC1lZDI1NTE5".repeat(4)),
        "backup": {"url": "https://backup.example.com/vault", "frequency": "daily", "keep": 14},
    });
    let wish = RequestForm {
        project: None,
        requester: None,
        software_url: SOFTWARE.into(),
        software_type: "default".into(),
        title: format!("site {number}").parse().expect("a short text"),
        shared: false,
        parameters: BTreeMap::from([("_".to_owned(), parameters.to_string())]),
        filter: BTreeMap::from([("computer_guid".to_owned(), computer.to_string())]),
        state: Some(slap::RequestedState::Started),
    };
    form("/requestComputerPartition", &wish.to_pairs())
}

fn started(place: &InstanceForm) -> Vec<u8> {
    form("/startedComputerPartition", &place.to_pairs())
}

/// `softwareInstanceError`: what a report changes is in the document.
pub(super) fn failure(place: &InstanceForm, log: &str) -> Vec<u8> {
    let mut pairs = place.to_pairs();
    pairs.push(("error_log", log.to_owned()));
    form("/softwareInstanceError", &pairs)
}

fn publication(place: &InstanceForm, number: u16) -> Vec<u8> {
    let published = serde_json::json!({
        "url": format!("https://[fd12:3456:789a:1::{:x}]:8443/", number + 2),
        "monitor-base-url": format!("https://monitor.site-{number}.example.com/"),
        "password": "c0rrect-h0rse-battery",
    });
    let form = ConnectionForm {
        instance: place.clone(),
        connection: BTreeMap::from([("_".to_owned(), published.to_string())]),
        shared: None,
    };
    crate::load::form("/setComputerPartitionConnectionXml", &form.to_pairs())
}
