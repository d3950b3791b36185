//! What partitions are like, as their computer announces it: capabilities, and addresses that are routed to what is behind a tap.

use slap::RequestedState;
use slap::client::CallError;
use slap::configuration::TapIpv4;
use slap::forms::RequestForm;

use crate::lab::{Lab, configuration, words};
use crate::services::{supply, wish};

fn asking_for(capability: &str, title: &str) -> RequestForm {
    RequestForm {
        filter: [("capability".to_owned(), capability.to_owned())].into(),
        ..wish(title)
    }
}

#[tokio::test]
async fn a_partition_with_a_capability_is_for_those_who_ask_for_it() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    let mut announced = configuration(&node.id, 3);
    announced.partitions[0].capabilities = vec!["gpu".to_owned(), "disk".to_owned()];
    node.client.load_configuration(&announced).await.unwrap();
    supply(&operator, &node.id).await;
    let plain = operator.request(&wish("plain")).await.unwrap();
    assert_eq!(plain.partition.as_str(), "slappart1");
    let gpu = asking_for("gpu", "learns");
    let learns = operator.request(&gpu).await.unwrap();
    assert_eq!(learns.partition.as_str(), "slappart0");
    let refused = operator.request(&asking_for("disk", "stores")).await;
    assert_eq!(
        words(&refused.unwrap_err()),
        "no free partition with the capability `disk` on COMP-1"
    );
    // What is announced anew is waited for.
    announced.partitions[2].capabilities = vec!["disk".to_owned()];
    node.client.load_configuration(&announced).await.unwrap();
    let stores = operator.request(&asking_for("disk", "stores")).await;
    assert_eq!(stores.unwrap().partition.as_str(), "slappart2");
    let refused = operator.request(&wish("late")).await.unwrap_err();
    assert!(matches!(refused, CallError::NotReady(_)), "{refused}");
    announced.partitions[2].capabilities.clear();
    announced.partitions.push(announced.partitions[1].clone());
    announced.partitions[3].reference = slap::PartitionId::indexed(3);
    node.client.load_configuration(&announced).await.unwrap();
    operator.request(&wish("late")).await.unwrap();
}

#[tokio::test]
async fn what_is_behind_a_tap_has_addresses_with_a_gateway() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    let mut announced = configuration(&node.id, 1);
    announced.partitions[0].tap.ipv4 = Some(TapIpv4 {
        address: "10.9.0.7".parse().unwrap(),
        gateway: "10.9.0.1".parse().unwrap(),
        prefix_length: 16,
    });
    node.client.load_configuration(&announced).await.unwrap();
    supply(&operator, &node.id).await;
    operator.request(&wish("vm")).await.unwrap();
    let computer = node.client.computer(&node.id).await.unwrap();
    let parameters = &computer.partitions[0].occupant.as_ref().unwrap().parameters;
    assert_eq!(parameters.addresses.len(), 2, "the partition's own");
    let [routed] = parameters.full_addresses.as_slice() else {
        panic!("{parameters:?}");
    };
    let parts = [
        &routed.interface,
        &routed.address,
        &routed.gateway,
        &routed.netmask,
        &routed.network,
    ];
    let expected = [
        "route_slaptap0",
        "10.9.0.7",
        "10.9.0.1",
        "255.255.0.0",
        "10.9.0.0",
    ];
    assert_eq!(parts, expected);
}

#[tokio::test]
async fn what_pulls_backups_is_kept_for_a_week() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    node.announce(2).await;
    supply(&operator, &node.id).await;
    let pulls = RequestForm {
        software_type: "pull-backup".to_owned(),
        state: Some(RequestedState::Stopped),
        ..wish("pulls")
    };
    operator.request(&pulls).await.unwrap();
    operator.request(&wish("site")).await.unwrap();
    let computer = node.client.computer(&node.id).await.unwrap();
    let delays = computer.partitions.iter().map(|it| {
        let filter = &it.occupant.as_ref().unwrap().filter;
        filter.get("retention_delay").map(String::as_str)
    });
    assert_eq!(delays.collect::<Vec<_>>(), [Some("7.0"), None]);
}
