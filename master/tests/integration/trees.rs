//! Instances that request others: trees, and what moves through them.

use slap::RequestedState;
use slap::client::CallError;
use slap::forms::RequestForm;
use slap::state::InstanceReport;

use crate::lab::{Lab, Node, words};
use crate::services::{at, ready, wish};

fn child(node: &Node, parent: u16, title: &str) -> RequestForm {
    RequestForm {
        requester: Some(at(node, parent)),
        ..wish(title)
    }
}

async fn states(node: &Node) -> Vec<Option<RequestedState>> {
    let document = node.client.computer(&node.id).await.unwrap();
    let of = |it: slap::ComputerPartition| it.occupant.map(|it| it.requested_state);
    document.partitions.into_iter().map(of).collect()
}

async fn timestamp(node: &Node, index: usize) -> i64 {
    let document = node.client.computer(&node.id).await.unwrap();
    let occupant = document.partitions[index].occupant.as_ref().unwrap();
    occupant.parameters.timestamp.0.parse().unwrap()
}

#[tokio::test]
async fn a_child_is_in_its_requesters_tree_and_no_more_than_its_root() {
    let (_lab, operator, node) = ready(3).await;
    operator.request(&wish("root")).await.unwrap();
    let placed = node.client.request(&child(&node, 0, "db")).await.unwrap();
    assert_eq!(placed.root_instance_title.as_deref(), Some("root"));
    node.client
        .request(&child(&node, 1, "cache"))
        .await
        .unwrap();
    assert_eq!(operator.services().await.unwrap().services.len(), 1);

    let mut stop = wish("root");
    stop.state = Some(RequestedState::Stopped);
    operator.request(&stop).await.unwrap();
    assert_eq!(states(&node).await, [Some(RequestedState::Stopped); 3]);
    node.client.request(&child(&node, 0, "db")).await.unwrap();
    assert_eq!(states(&node).await, [Some(RequestedState::Stopped); 3]);

    let mut gone = wish("root");
    gone.state = Some(RequestedState::Destroyed);
    operator.request(&gone).await.unwrap();
    assert_eq!(states(&node).await, [Some(RequestedState::Destroyed); 3]);
    for index in 0..3 {
        let destroyed =
            node.client
                .report_instance(at(&node, index), InstanceReport::Destroyed, "");
        destroyed.await.unwrap();
    }
    assert_eq!(states(&node).await, [None; 3]);
    operator.request(&wish("root")).await.unwrap();
}

#[tokio::test]
async fn what_a_child_publishes_has_its_requester_processed_again() {
    let (_lab, operator, node) = ready(3).await;
    operator.request(&wish("root")).await.unwrap();
    node.client.request(&child(&node, 0, "db")).await.unwrap();
    let before = timestamp(&node, 0).await;
    let publish = |url: &str| {
        let connection = [("url".to_owned(), url.to_owned())].into();
        node.client.publish_connection(at(&node, 1), connection)
    };
    publish("a").await.unwrap();
    let after = timestamp(&node, 0).await;
    assert!(after > before);
    publish("a").await.unwrap();
    assert_eq!(
        timestamp(&node, 0).await,
        after,
        "nothing new was published"
    );
}

#[tokio::test]
async fn nobody_requests_who_requested_it() {
    let (_lab, operator, node) = ready(3).await;
    operator.request(&wish("root")).await.unwrap();
    node.client.request(&child(&node, 0, "db")).await.unwrap();
    node.client
        .request(&child(&node, 1, "cache"))
        .await
        .unwrap();
    for (asker, title) in [(1, "root"), (2, "db"), (0, "root")] {
        let refused = node
            .client
            .request(&child(&node, asker, title))
            .await
            .unwrap_err();
        assert!(
            matches!(refused, CallError::Status { status: 400, .. }),
            "{refused}"
        );
    }
    // Another requester in the tree may take a child over.
    node.client
        .request(&child(&node, 0, "cache"))
        .await
        .unwrap();
    let nobody = node
        .client
        .request(&child(&node, 7, "x"))
        .await
        .unwrap_err();
    assert_eq!(
        words(&nobody),
        "there is no instance in partition `slappart7` of `COMP-1`"
    );
}

#[tokio::test]
async fn a_bang_has_the_instance_and_its_requesters_processed_again() {
    let (lab, operator, node) = ready(3).await;
    operator.request(&wish("root")).await.unwrap();
    node.client.request(&child(&node, 0, "db")).await.unwrap();
    let before = [timestamp(&node, 0).await, timestamp(&node, 1).await];
    let post = |path: &str, body: &str| {
        lab.http(Some(&node.identity))
            .post(format!("{}/{path}", lab.url()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.to_owned())
            .send()
    };
    let where_it_is = "computer_id=COMP-1&computer_partition_id=slappart1&message=down";
    let answer = post("softwareInstanceBang", where_it_is).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "OK");
    let between = [timestamp(&node, 0).await, timestamp(&node, 1).await];
    assert!(between[0] > before[0] && between[1] > before[1]);
    let answer = post("computerBang", "computer_id=COMP-1&message=boot")
        .await
        .unwrap();
    assert_eq!(answer.text().await.unwrap(), "OK");
    assert!(timestamp(&node, 0).await > between[0]);
    let answer = post("useComputer", "computer_id=COMP-1&use_string=<journal/>")
        .await
        .unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("no `<transaction>`"));
}

#[tokio::test]
async fn a_computer_requests_for_its_partitions_only() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let (node, other) = (lab.node(&operator).await, lab.node(&operator).await);
    let refused = node.client.request(&wish("root")).await.unwrap_err();
    assert!(words(&refused).contains("in the name of one of its partitions"));
    let refused = node
        .client
        .request(&child(&other, 0, "x"))
        .await
        .unwrap_err();
    assert_eq!(
        words(&refused),
        "the Authorization header says slappart0 of COMP-2, and the certificate is that of COMP-1"
    );
}
