//! Shared instances: a share of somebody's instance, with its own parameters and what its host publishes for it.

use std::collections::BTreeMap;

use reqwest::StatusCode;
use slap::RequestedState;
use slap::forms::{ConnectionForm, RequestForm};
use slap::state::InstanceReport;

use crate::lab::{Lab, Node, words};
use crate::services::{at, ready, supply, wish};

fn share(title: &str) -> RequestForm {
    RequestForm {
        shared: true,
        parameters: [("url".to_owned(), format!("http://{title}"))].into(),
        ..wish(title)
    }
}

/// Who shares the instance in a partition, as its node sees them.
async fn seen(node: &Node, index: usize) -> Vec<BTreeMap<String, String>> {
    let document = node.client.computer(&node.id).await.unwrap();
    let occupant = document.partitions[index].occupant.clone().unwrap();
    occupant.parameters.shared
}

async fn timestamp(node: &Node) -> i64 {
    let document = node.client.computer(&node.id).await.unwrap();
    let occupant = document.partitions[0].occupant.as_ref().unwrap();
    occupant.parameters.timestamp.0.parse().unwrap()
}

async fn publish(lab: &Lab, node: &Node, share: &str, url: &str) -> StatusCode {
    let form = ConnectionForm {
        instance: at(node, 0),
        connection: [("site".to_owned(), url.to_owned())].into(),
        shared: Some(share.to_owned()),
    };
    lab.http(Some(&node.identity))
        .post(format!("{}/setComputerPartitionConnectionXml", lab.url()))
        .form(&form.to_pairs())
        .send()
        .await
        .unwrap()
        .status()
}

#[tokio::test]
async fn a_share_waits_for_a_host_and_its_host_learns_of_it() {
    let (lab, operator, node) = ready(3).await;
    let waiting = operator.request(&share("blog")).await.unwrap_err();
    assert!(
        words(&waiting).contains("no instance of this software and type runs"),
        "{waiting}"
    );

    operator.request(&wish("front")).await.unwrap();
    let before = timestamp(&node).await;
    let placed = operator.request(&share("blog")).await.unwrap();
    assert_eq!(placed.partition.as_str(), "slappart0");
    let guid = placed.guid.unwrap();
    let shares = seen(&node, 0).await;
    assert_eq!(shares.len(), 1);
    assert_eq!(shares[0]["slave_reference"], guid.as_str());
    assert_eq!(shares[0]["slave_title"], "blog");
    assert_eq!(shares[0]["url"], "http://blog");
    assert!(
        timestamp(&node).await >= before,
        "its host is processed again"
    );

    assert_eq!(
        publish(&lab, &node, "SOFTINST-99", "x").await,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        publish(&lab, &node, guid.as_str(), "https://a").await,
        StatusCode::OK
    );
    let placed = operator.request(&share("blog")).await.unwrap();
    assert_eq!(placed.connection["site"], "https://a");
    assert_eq!(seen(&node, 0).await[0]["site"], "https://a");

    // Other parameters have the host processed again, the same ones do not.
    let before = timestamp(&node).await;
    operator.request(&share("blog")).await.unwrap();
    assert_eq!(timestamp(&node).await, before);
    let mut other = share("blog");
    other.parameters.insert("path".into(), "/x".into());
    operator.request(&other).await.unwrap();
    assert!(timestamp(&node).await > before);
    assert_eq!(seen(&node, 0).await[0]["path"], "/x");

    // It takes no partition, and is gone at once.
    let document = node.client.computer(&node.id).await.unwrap();
    assert_eq!(
        document
            .partitions
            .iter()
            .filter(|it| it.occupant.is_some())
            .count(),
        1
    );
    let before = timestamp(&node).await;
    let mut gone = share("blog");
    gone.state = Some(RequestedState::Destroyed);
    let answer = operator.request(&gone).await.unwrap_err();
    assert_eq!(words(&answer), "it is destroyed");
    assert!(seen(&node, 0).await.is_empty());
    assert!(timestamp(&node).await > before);
}

#[tokio::test]
async fn a_share_whose_host_is_destroyed_finds_another() {
    let (_lab, operator, node) = ready(2).await;
    operator.request(&wish("first")).await.unwrap();
    operator.request(&share("blog")).await.unwrap();
    operator.request(&wish("second")).await.unwrap();
    assert_eq!(seen(&node, 0).await.len(), 1, "it stays where it is");
    let mut gone = wish("first");
    gone.state = Some(RequestedState::Destroyed);
    operator.request(&gone).await.unwrap();
    let report = node
        .client
        .report_instance(at(&node, 0), InstanceReport::Destroyed, "");
    report.await.unwrap();
    assert_eq!(seen(&node, 1).await[0]["slave_title"], "blog");
}

#[tokio::test]
async fn shares_are_spread_and_may_name_their_host() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    node.announce(2).await;
    supply(&operator, &node.id).await;
    operator.request(&wish("first")).await.unwrap();
    let second = operator.request(&wish("second")).await.unwrap();
    operator.request(&share("a")).await.unwrap();
    operator.request(&share("b")).await.unwrap();
    assert_eq!(
        (seen(&node, 0).await.len(), seen(&node, 1).await.len()),
        (1, 1)
    );
    let mut named = share("c");
    let guid = second.guid.unwrap().to_string();
    named.filter.insert("instance_guid".into(), guid);
    operator.request(&named).await.unwrap();
    assert_eq!(
        (seen(&node, 0).await.len(), seen(&node, 1).await.len()),
        (1, 2)
    );
    named
        .filter
        .insert("instance_guid".into(), "SOFTINST-77".into());
    let mut other = named.clone();
    other.title = "d".parse().unwrap();
    let waiting = operator.request(&other).await.unwrap_err();
    assert!(
        words(&waiting).contains("meets `instance_guid=SOFTINST-77`"),
        "{waiting}"
    );
}
