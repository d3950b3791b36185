//! Supply, request, report, destroy: the life of a service.

use std::collections::{BTreeMap, BTreeSet};

use slap::client::{CallError, Client};
use slap::forms::{InstanceForm, RequestForm, SoftwareForm, SupplyForm};
use slap::state::{InstanceReport, SoftwareReport};
use slap::{ComputerId, PartitionId, RequestedState, SupplyState};

use crate::lab::{Lab, Node, words};

pub(crate) const SOFTWARE: &str = "https://example.com/demo.oci.tar";

pub(crate) fn wish(title: &str) -> RequestForm {
    RequestForm {
        project: None,
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
    set_supply(operator, computer, SupplyState::Available)
        .await
        .unwrap();
}

async fn set_supply(
    operator: &Client,
    computer: &ComputerId,
    state: SupplyState,
) -> Result<(), CallError> {
    let form = SupplyForm {
        url: SOFTWARE.into(),
        computer: computer.clone(),
        state,
    };
    operator.supply(&form).await
}

pub(crate) fn at(node: &Node, index: u16) -> InstanceForm {
    InstanceForm {
        computer: node.id.clone(),
        partition: PartitionId::indexed(index),
    }
}

fn software(node: &Node) -> SoftwareForm {
    SoftwareForm {
        url: SOFTWARE.into(),
        computer: node.id.clone(),
    }
}

/// A master, its operator, and a node with so many free partitions and the software supplied.
pub(crate) async fn ready(partitions: u16) -> (Lab, Client, Node) {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    node.announce(partitions).await;
    supply(&operator, &node.id).await;
    (lab, operator, node)
}

async fn report_destroyed(node: &Node, index: u16) {
    node.client
        .report_instance(at(node, index), InstanceReport::Destroyed, "")
        .await
        .unwrap();
}

async fn timestamp(node: &Node, index: usize) -> i64 {
    let document = node.client.computer(&node.id).await.unwrap();
    let occupant = document.partitions[index].occupant.as_ref().unwrap();
    occupant.parameters.timestamp.0.parse().unwrap()
}

#[tokio::test]
async fn a_node_is_told_everything_about_its_partitions() {
    let (_lab, operator, node) = ready(3).await;
    let mut form = wish("web");
    form.parameters = [("greeting".to_owned(), "a<b & c".to_owned())].into();
    let placed = operator.request(&form).await.unwrap();
    assert_eq!(placed.computer, node.id);
    assert_eq!(placed.partition, PartitionId::indexed(0));
    assert_eq!(placed.parameters, form.parameters);
    assert_eq!(placed.guid.unwrap().as_str(), "SOFTINST-1");
    assert_eq!(placed.addresses.len(), 2);

    let document = node.client.computer(&node.id).await.unwrap();
    assert_eq!(document.software.len(), 1);
    assert_eq!(document.software[0].state(), SupplyState::Available);
    let occupant = document.partitions[0].occupant.as_ref().unwrap();
    assert_eq!(occupant.requested_state, RequestedState::Started);
    assert_eq!(occupant.parameters.instance_title, "web");
    assert_eq!(occupant.parameters.user["greeting"], "a<b & c");
    assert_eq!(occupant.parameters.addresses[0].interface, "slaptap0");
    assert!(occupant.parameters.timestamp.0.parse::<i64>().is_ok());
    assert!(document.partitions[1].occupant.is_none());
    let alone = node
        .client
        .computer_partition(&node.id, &PartitionId::indexed(0))
        .await
        .unwrap();
    assert_eq!(alone, document.partitions[0]);
    let free = node
        .client
        .computer_partition(&node.id, &PartitionId::indexed(1))
        .await;
    assert!(matches!(free, Err(CallError::NotFound(_))));
}

#[tokio::test]
async fn what_a_node_reports_of_software_is_shown() {
    let (_lab, operator, node) = ready(1).await;
    for (report, state, status) in [
        (
            SoftwareReport::Building,
            "building",
            "#building software release",
        ),
        (
            SoftwareReport::Error,
            "error",
            "#error while installing https://example.com/demo.oci.tar: no space",
        ),
        (
            SoftwareReport::Available,
            "available",
            "#access software release",
        ),
    ] {
        node.client
            .report_software(software(&node), report, "no space")
            .await
            .unwrap();
        let shown = operator
            .computer_status(&node.id)
            .await
            .unwrap()
            .software
            .remove(0);
        assert_eq!(shown.reported_state.unwrap().as_str(), state);
        assert!(shown.status.starts_with(status), "{}", shown.status);
    }
}

#[tokio::test]
async fn what_a_node_reports_of_an_instance_is_shown() {
    let (_lab, operator, node) = ready(1).await;
    operator.request(&wish("web")).await.unwrap();
    let title = "web".parse().unwrap();
    for (report, status) in [
        (
            InstanceReport::Error,
            "#error while instanciating: nginx: é",
        ),
        (
            InstanceReport::Stopped,
            "#access Instance correctly stopped",
        ),
        (
            InstanceReport::Started,
            "#access Instance correctly started",
        ),
    ] {
        node.client
            .report_instance(at(&node, 0), report, "nginx: é")
            .await
            .unwrap();
        let shown = operator.service(&title).await.unwrap();
        assert_eq!(shown.reported_state, Some(report));
        assert_eq!(shown.status, status);
    }
    let connection: BTreeMap<_, _> = [("url".to_owned(), "http://[::1]:8080/".to_owned())].into();
    node.client
        .publish_connection(at(&node, 0), connection.clone())
        .await
        .unwrap();
    let shown = operator.service(&title).await.unwrap();
    assert_eq!(shown.connection, connection);
    assert_eq!(shown.computer, Some(node.id.clone()));
    assert_eq!(shown.ip_list.len(), 2);
    assert_eq!(
        operator.request(&wish("web")).await.unwrap().connection,
        connection
    );
    assert_eq!(operator.services().await.unwrap().services, [shown]);
}

#[tokio::test]
async fn asked_again_it_is_the_same_instance_with_what_is_new() {
    let (_lab, operator, node) = ready(2).await;
    operator.request(&wish("web")).await.unwrap();
    let first = timestamp(&node, 0).await;
    let generation = node.client.watch(&node.id, u64::MAX).await.unwrap();
    operator.request(&wish("web")).await.unwrap();
    assert_eq!(timestamp(&node, 0).await, first, "nothing changed");
    assert_eq!(
        node.client.watch(&node.id, u64::MAX).await.unwrap(),
        generation
    );

    let mut changed = wish("web");
    changed.parameters = [("a".to_owned(), "1".to_owned())].into();
    changed.state = Some(RequestedState::Stopped);
    let again = operator.request(&changed).await.unwrap();
    assert_eq!(again.partition, PartitionId::indexed(0));
    assert_eq!(again.requested_state, Some(RequestedState::Stopped));
    assert!(timestamp(&node, 0).await > first);
    assert!(node.client.watch(&node.id, generation).await.unwrap() > generation);
}

#[tokio::test]
async fn a_destroyed_instance_frees_its_partition_when_the_node_says_so() {
    let (_lab, operator, node) = ready(1).await;
    operator.request(&wish("web")).await.unwrap();
    let in_use = set_supply(&operator, &node.id, SupplyState::Destroyed)
        .await
        .unwrap_err();
    assert_eq!(
        words(&in_use),
        "1 instance(s) on `COMP-1` still run that software: destroy them first"
    );
    let mut gone = wish("web");
    gone.state = Some(RequestedState::Destroyed);
    let doomed = operator.request(&gone).await.unwrap();
    assert_eq!(doomed.requested_state, Some(RequestedState::Destroyed));
    let document = node.client.computer(&node.id).await.unwrap();
    assert_eq!(
        document.partitions[0]
            .occupant
            .as_ref()
            .unwrap()
            .requested_state,
        RequestedState::Destroyed
    );
    let too_early = operator.request(&wish("web")).await.unwrap_err();
    assert!(
        words(&too_early).contains("still being destroyed"),
        "{too_early}"
    );

    operator.request(&wish("next")).await.unwrap_err();
    report_destroyed(&node, 0).await;
    assert!(matches!(
        operator.service(&"web".parse().unwrap()).await,
        Err(CallError::NotFound(_))
    ));
    // Whoever waited has it now.
    let next = operator.service(&"next".parse().unwrap()).await.unwrap();
    assert_eq!(next.partition, Some(PartitionId::indexed(0)));

    gone.title = "next".parse().unwrap();
    operator.request(&gone).await.unwrap();
    report_destroyed(&node, 0).await;
    let nothing = operator.request(&gone).await.unwrap_err();
    assert!(
        words(&nothing).contains("there is no such instance to destroy"),
        "{nothing}"
    );
    set_supply(&operator, &node.id, SupplyState::Destroyed)
        .await
        .unwrap();
    let document = node.client.computer(&node.id).await.unwrap();
    assert_eq!(document.software[0].state(), SupplyState::Destroyed);
    node.client
        .report_software(software(&node), SoftwareReport::Destroyed, "")
        .await
        .unwrap();
    let document = node.client.computer(&node.id).await.unwrap();
    assert!(document.software.is_empty());
    assert!(document.partitions[0].occupant.is_none());
}

#[tokio::test]
async fn what_was_not_to_be_destroyed_stays() {
    let (_lab, operator, node) = ready(1).await;
    operator.request(&wish("web")).await.unwrap();
    report_destroyed(&node, 0).await;
    let shown = operator.service(&"web".parse().unwrap()).await.unwrap();
    assert_eq!(shown.partition, Some(PartitionId::indexed(0)));
    let refused = node
        .client
        .report_software(software(&node), SoftwareReport::Destroyed, "")
        .await;
    assert!(matches!(refused, Err(CallError::NotFound(_))));
}

#[tokio::test]
async fn a_request_that_waits_says_why_and_is_allocated_when_there_is_room() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let title = "web".parse().unwrap();
    let refused = operator.request(&wish("web")).await.unwrap_err();
    assert!(matches!(refused, CallError::NotReady(_)));
    assert_eq!(
        words(&refused),
        "the software is supplied on no enrolled computer of the project `default`"
    );
    let why = || async { operator.service(&title).await.unwrap().status };
    assert_eq!(
        why().await,
        "the software is supplied on no enrolled computer of the project `default`"
    );
    let node = lab.node(&operator).await;
    supply(&operator, &node.id).await;
    assert_eq!(why().await, "no free partition on COMP-1");
    node.announce(1).await;
    assert_eq!(
        operator.service(&title).await.unwrap().computer,
        Some(node.id)
    );
}

#[tokio::test]
async fn conditions_choose_the_node_or_say_why_none_is_chosen() {
    let (lab, operator, first) = ready(1).await;
    let second = lab.node(&operator).await;
    second.announce(1).await;
    supply(&operator, &second.id).await;
    let asking = |title: &str, key: &str, value: &str| {
        let mut form = wish(title);
        form.filter = [(key.to_owned(), value.to_owned())].into();
        form
    };
    let there = operator
        .request(&asking("b", "computer_guid", "COMP-2"))
        .await
        .unwrap();
    assert_eq!(there.computer, second.id);
    let full = operator
        .request(&asking("c", "computer_guid", "COMP-2"))
        .await
        .unwrap_err();
    assert_eq!(words(&full), "no free partition on COMP-2");
    let unknown = operator
        .request(&asking("d", "region", "moon"))
        .await
        .unwrap_err();
    assert!(words(&unknown).contains("COMP-1 not region=moon"));
    let shown = operator.service(&"d".parse().unwrap()).await.unwrap();
    assert_eq!(
        shown.status,
        "no computer that has the software meets the conditions: COMP-1 not region=moon, COMP-2 not region=moon"
    );
    let unknown = operator
        .request(&asking("e", "planet", "moon"))
        .await
        .unwrap_err();
    assert_eq!(
        words(&unknown),
        "no node matches `planet`: this master does not know that key"
    );
    // Those that wait keep nobody from the partition that is free.
    assert_eq!(
        operator.request(&wish("f")).await.unwrap().computer,
        first.id
    );
}

#[tokio::test]
async fn no_two_requests_get_one_partition() {
    let (lab, operator, node) = ready(20).await;
    let identity = lab.operator_identity().await;
    let clients: Vec<Client> = (0..8).map(|_| lab.client(identity.clone())).collect();
    let requests = (0..40).map(|index| {
        let client = &clients[index % 8];
        async move { client.request(&wish(&format!("service {index}"))).await }
    });
    let replies = futures_util::future::join_all(requests).await;
    let places: Vec<_> = replies
        .into_iter()
        .filter_map(Result::ok)
        .map(|it| it.partition)
        .collect();
    assert_eq!(places.len(), 20);
    assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), 20);
    let shown = operator.computer_status(&node.id).await.unwrap();
    assert_eq!((shown.partitions, shown.partitions_used), (20, 20));
}

#[tokio::test]
async fn partitions_that_are_no_longer_announced_go_when_they_are_free() {
    let (_lab, operator, node) = ready(3).await;
    operator.request(&wish("web")).await.unwrap();
    node.announce(0).await;
    let document = node.client.computer(&node.id).await.unwrap();
    assert_eq!(document.partitions.len(), 1);
    let refused = operator.request(&wish("more")).await.unwrap_err();
    assert!(words(&refused).contains("no free partition"));
    node.announce(1).await;
    let mut gone = wish("web");
    gone.state = Some(RequestedState::Destroyed);
    operator.request(&gone).await.unwrap();
    report_destroyed(&node, 0).await;
    let more = operator.service(&"more".parse().unwrap()).await.unwrap();
    assert_eq!(more.partition, Some(PartitionId::indexed(0)));
}
