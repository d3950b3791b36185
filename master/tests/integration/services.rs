//! Supply, request, report, destroy: the life of a service.

use std::collections::BTreeMap;

use slap::client::{CallError, Client};
use slap::forms::{RequestForm, SupplyForm};
use slap::{ComputerId, RequestedState, SupplyState};

use crate::lab::Lab;

pub(crate) const SOFTWARE: &str = "https://example.com/demo.oci.tar";

pub(crate) fn wish(title: &str) -> RequestForm {
    RequestForm {
        requester: None,
        software_url: SOFTWARE.into(),
        software_type: "default".into(),
        title: title.parse().unwrap(),
        shared: false,
        parameters: BTreeMap::new(),
        filter: BTreeMap::new(),
        state: None,
    }
}

pub(crate) async fn supply(operator: &Client, computer: &ComputerId) {
    let form = SupplyForm {
        url: SOFTWARE.into(),
        computer: computer.clone(),
        state: SupplyState::Available,
    };
    operator.supply(&form).await.unwrap();
}

#[tokio::test]
async fn a_supplied_release_runs_where_a_partition_is_free() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    let waiting = operator.request(&wish("web")).await.unwrap_err();
    assert!(matches!(waiting, CallError::NotReady(_)), "{waiting}");

    supply(&operator, &node.id).await;
    node.announce(3).await;
    let placed = operator.request(&wish("web")).await.unwrap();
    assert_eq!(placed.computer, node.id);
    assert_eq!(placed.partition.as_str(), "slappart0");

    let document = node.client.computer(&node.id).await.unwrap();
    assert_eq!(document.partitions.len(), 3);
    assert_eq!(document.software.len(), 1);
    let occupant = document.partitions[0].occupant.as_ref().unwrap();
    assert_eq!(occupant.requested_state, RequestedState::Started);
    assert_eq!(occupant.parameters.instance_title, "web");
    assert_eq!(occupant.parameters.addresses.len(), 2);
    assert!(occupant.parameters.timestamp.0.parse::<i64>().is_ok());
    assert!(document.partitions[1].occupant.is_none());
}
