//! Documents that did not change are not sent again, and whatever changes one moves its tag.

use reqwest::header::{ETAG, IF_NONE_MATCH};
use reqwest::{Response, StatusCode};
use slap::client::{Client, Identity};
use slap::forms::{BangForm, ConnectionForm, RenameForm, RequestForm, SupplyForm};
use slap::state::{InstanceReport, SoftwareReport};
use slap::{ComputerId, RequestedState, SupplyState};

use crate::lab::{Lab, Node};
use crate::services::{SOFTWARE, at, ready, wish};

/// Somebody who polls, and what they were told last.
struct Poller {
    http: reqwest::Client,
    url: String,
    tag: String,
    body: String,
}

impl Poller {
    async fn new(lab: &Lab, identity: &Identity, computer: &ComputerId) -> Self {
        let mut poller = Self {
            http: lab.http(Some(identity)),
            url: format!(
                "{}/getFullComputerInformation?computer_id={computer}",
                lab.url()
            ),
            tag: "\"none\"".to_owned(),
            body: String::new(),
        };
        poller.is_told_anew("the first time").await;
        poller
    }

    async fn poll(&self, known: &str) -> Response {
        let request = self.http.get(&self.url).header(IF_NONE_MATCH, known);
        request.send().await.unwrap()
    }

    async fn is_told_anew(&mut self, after: &str) {
        let answer = self.poll(&self.tag).await;
        assert_eq!(answer.status(), StatusCode::OK, "{after}");
        let tag = answer.headers()[ETAG].to_str().unwrap().to_owned();
        let body = answer.text().await.unwrap();
        assert_ne!(tag, self.tag, "{after}");
        assert_ne!(body, self.body, "{after}");
        (self.tag, self.body) = (tag, body);
        self.has_it_already(after).await;
    }

    async fn has_it_already(&self, after: &str) {
        let answer = self.poll(&self.tag).await;
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{after}");
        assert_eq!(answer.headers()[ETAG], self.tag.as_str(), "{after}");
        assert_eq!(answer.text().await.unwrap(), "", "{after}");
        // Whoever has nothing is told the same bytes under the same tag.
        let whole = self.poll("\"another\"").await;
        assert_eq!(whole.headers()[ETAG], self.tag.as_str(), "{after}");
        assert_eq!(whole.text().await.unwrap(), self.body, "{after}");
    }
}

fn share(title: &str) -> RequestForm {
    RequestForm {
        shared: true,
        ..wish(title)
    }
}

fn child(node: &Node, title: &str) -> RequestForm {
    RequestForm {
        requester: Some(at(node, 0)),
        ..wish(title)
    }
}

fn in_state(mut form: RequestForm, state: RequestedState) -> RequestForm {
    form.state = Some(state);
    form
}

fn supply(node: &Node, url: &str, state: SupplyState) -> SupplyForm {
    SupplyForm {
        url: url.to_owned(),
        computer: node.id.clone(),
        state,
    }
}

async fn connection(lab: &Lab, node: &Node, share: Option<&str>, value: &str) {
    let form = ConnectionForm {
        instance: at(node, 0),
        connection: [("url".to_owned(), value.to_owned())].into(),
        shared: share.map(str::to_owned),
    };
    post(
        lab,
        node,
        "setComputerPartitionConnectionXml",
        &form.to_pairs(),
    )
    .await;
}

async fn rename(lab: &Lab, node: &Node, index: u16, title: &str) {
    let form = RenameForm {
        instance: at(node, index),
        title: title.parse().unwrap(),
        shared: None,
    };
    post(lab, node, "softwareInstanceRename", &form.to_pairs()).await;
}

async fn post(lab: &Lab, node: &Node, path: &str, pairs: &slap::forms::Pairs) {
    let http = lab.http(Some(&node.identity));
    let request = http.post(format!("{}/{path}", lab.url())).form(pairs);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
}

async fn report(node: &Node, index: u16, report: InstanceReport) {
    let reported = node.client.report_instance(at(node, index), report, "log");
    reported.await.unwrap();
}

async fn request(client: &Client, form: RequestForm) -> String {
    let placed = client.request(&form).await.unwrap();
    placed.guid.unwrap().to_string()
}

#[tokio::test]
async fn requests_move_the_tag() {
    let (lab, operator, node) = ready(4).await;
    let mut poller = Poller::new(&lab, &node.identity, &node.id).await;
    request(&operator, wish("root")).await;
    poller.is_told_anew("a request").await;
    request(&operator, wish("root")).await;
    poller.has_it_already("the same request").await;
    let mut changed = wish("root");
    changed.parameters = [("a".to_owned(), "b".to_owned())].into();
    request(&operator, changed.clone()).await;
    poller.is_told_anew("other parameters").await;
    changed.software_type = "other".into();
    request(&operator, changed.clone()).await;
    poller.is_told_anew("another type").await;
    changed.filter = [("computer_guid".to_owned(), node.id.to_string())].into();
    request(&operator, changed.clone()).await;
    poller.is_told_anew("other conditions").await;
    request(&node.client, child(&node, "db")).await;
    poller.is_told_anew("a child").await;
    request(
        &operator,
        in_state(changed.clone(), RequestedState::Stopped),
    )
    .await;
    poller.is_told_anew("a stopped tree").await;
    rename(&lab, &node, 1, "database").await;
    poller.is_told_anew("a child's name").await;
    rename(&lab, &node, 0, "stem").await;
    poller.is_told_anew("a tree's name").await;
    let mut gone = in_state(changed, RequestedState::Destroyed);
    gone.title = "stem".parse().unwrap();
    request(&operator, gone).await;
    poller.is_told_anew("a destroyed tree").await;
    report(&node, 1, InstanceReport::Destroyed).await;
    poller.is_told_anew("a freed partition").await;
}

#[tokio::test]
async fn reports_move_the_tag_and_wake_nobody() {
    let (lab, operator, node) = ready(2).await;
    request(&operator, wish("web")).await;
    let generation = node.client.watch(&node.id, u64::MAX).await.unwrap();
    let mut poller = Poller::new(&lab, &node.identity, &node.id).await;
    report(&node, 0, InstanceReport::Started).await;
    poller.is_told_anew("a report").await;
    report(&node, 0, InstanceReport::Started).await;
    poller.has_it_already("the same report").await;
    report(&node, 0, InstanceReport::Error).await;
    poller.is_told_anew("an error").await;
    report(&node, 0, InstanceReport::Stopped).await;
    poller.is_told_anew("another report").await;
    connection(&lab, &node, None, "http://a").await;
    poller.is_told_anew("what it publishes").await;
    connection(&lab, &node, None, "http://a").await;
    poller.has_it_already("what it publishes again").await;
    let now = node.client.watch(&node.id, u64::MAX).await.unwrap();
    assert_eq!(now, generation);

    let bang = BangForm {
        instance: at(&node, 0),
        message: "look".into(),
    };
    node.client.bang(&bang).await.unwrap();
    poller.is_told_anew("a bang").await;
    let pairs = vec![
        ("computer_id", node.id.to_string()),
        ("message", "all".into()),
    ];
    post(&lab, &node, "computerBang", &pairs).await;
    poller.is_told_anew("a computer's bang").await;
}

#[tokio::test]
async fn shares_move_their_hosts_tag() {
    let (lab, operator, node) = ready(2).await;
    request(&operator, wish("front")).await;
    let mut poller = Poller::new(&lab, &node.identity, &node.id).await;
    let blog = request(&operator, share("blog")).await;
    poller.is_told_anew("a share").await;
    let mut changed = share("blog");
    changed.parameters = [("a".to_owned(), "b".to_owned())].into();
    request(&operator, changed).await;
    poller.is_told_anew("a share's parameters").await;
    connection(&lab, &node, Some(&blog), "http://b").await;
    poller.is_told_anew("what is published for a share").await;
    let gone = in_state(share("blog"), RequestedState::Destroyed);
    operator.request(&gone).await.unwrap_err();
    poller.is_told_anew("a destroyed share").await;
}

#[tokio::test]
async fn software_and_partitions_move_the_tag() {
    let (lab, operator, node) = ready(2).await;
    let mut poller = Poller::new(&lab, &node.identity, &node.id).await;
    let other = "https://example.com/other.oci.tar";
    let there = supply(&node, other, SupplyState::Available);
    operator.supply(&there).await.unwrap();
    poller.is_told_anew("a supply").await;
    let software = slap::forms::SoftwareForm {
        url: SOFTWARE.into(),
        computer: node.id.clone(),
    };
    let report = node
        .client
        .report_software(software.clone(), SoftwareReport::Available, "");
    report.await.unwrap();
    poller.has_it_already("software that is there").await;
    let gone = supply(&node, SOFTWARE, SupplyState::Destroyed);
    operator.supply(&gone).await.unwrap();
    poller.is_told_anew("a removal").await;
    let report = node
        .client
        .report_software(software, SoftwareReport::Destroyed, "");
    report.await.unwrap();
    poller.is_told_anew("software that is gone").await;
    node.announce(2).await;
    poller.has_it_already("the same partitions").await;
    node.announce(3).await;
    poller.is_told_anew("more partitions").await;
    node.announce(1).await;
    poller.is_told_anew("fewer partitions").await;
}

#[tokio::test]
async fn what_happens_elsewhere_moves_no_tag() {
    let (lab, operator, node) = ready(2).await;
    let poller = Poller::new(&lab, &node.identity, &node.id).await;
    let other = lab.node(&operator).await;
    other.announce(2).await;
    let supplied = supply(&other, SOFTWARE, SupplyState::Available);
    operator.supply(&supplied).await.unwrap();
    slapbox_master::chores::write_contacts(lab.master()).await;
    poller.has_it_already("another computer's changes").await;
}

#[tokio::test]
async fn a_tag_opens_no_door() {
    let (lab, operator, node) = ready(1).await;
    let poller = Poller::new(&lab, &node.identity, &node.id).await;
    let other = lab.node(&operator).await;
    let stranger = Poller {
        http: lab.http(Some(&other.identity)),
        url: poller.url.clone(),
        tag: poller.tag.clone(),
        body: String::new(),
    };
    for known in [poller.tag.as_str(), "*"] {
        let refused = stranger.poll(known).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert!(!refused.headers().contains_key(ETAG));
    }
    operator.revoke_computer(&node.id).await.unwrap();
    let refused = poller.poll(&poller.tag).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn every_master_of_a_database_has_the_same_tags() {
    let (lab, operator, node) = ready(1).await;
    if lab.is_in_a_file() {
        return;
    }
    let other = lab.beside().await;
    let mut here = Poller::new(&lab, &node.identity, &node.id).await;
    let mut there = Poller::new(&other, &node.identity, &node.id).await;
    assert_eq!((&here.tag, &here.body), (&there.tag, &there.body));
    request(&operator, wish("web")).await;
    there.is_told_anew("a request at the other master").await;
    here.is_told_anew("a request here").await;
    assert_eq!((&here.tag, &here.body), (&there.tag, &there.body));
}
