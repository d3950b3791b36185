//! The audit: every change says who made it, and is read page by page.

use slap::RequestedState;
use slap::forms::{InstanceForm, RequestForm};
use slap::state::{InstanceReport, SoftwareReport};
use slap::v1::{LogEntry, LogQuery, TokenRequest};

use crate::lab::{Lab, token};
use crate::services::{SOFTWARE, at, supply, wish};

async fn page(operator: &slap::client::Client, query: LogQuery) -> Vec<LogEntry> {
    operator.log(&query).await.unwrap().entries
}

/// What was noted after an entry: who, what, and what with.
async fn after(operator: &slap::client::Client, number: i64) -> Vec<String> {
    let query = LogQuery {
        after: Some(number),
        ..LogQuery::default()
    };
    let entries = page(operator, query).await;
    let lines = entries.into_iter().map(|it| {
        let actor = it.actor.rsplit(':').next().unwrap_or_default().to_owned();
        let line = format!("{actor} {} {} {}", it.action, it.subject, it.detail);
        line.trim().to_owned()
    });
    lines.collect()
}

async fn newest(operator: &slap::client::Client) -> i64 {
    let query = LogQuery {
        limit: Some(1),
        ..LogQuery::default()
    };
    page(operator, query).await[0].number
}

#[tokio::test]
async fn every_change_says_who_made_it() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    let start = newest(&operator).await;
    node.announce(2).await;
    supply(&operator, &node.id).await;
    operator.request(&wish("web")).await.unwrap();
    let child = RequestForm {
        requester: Some(at(&node, 0)),
        ..wish("db")
    };
    node.client.request(&child).await.unwrap();
    let place: InstanceForm = at(&node, 0);
    let software = slap::forms::SoftwareForm {
        url: SOFTWARE.into(),
        computer: node.id.clone(),
    };
    let about = &node.client;
    about
        .report_software(software, SoftwareReport::Available, "")
        .await
        .unwrap();
    for _ in 0..2 {
        about
            .report_instance(place.clone(), InstanceReport::Started, "")
            .await
            .unwrap();
    }
    let published = [("password".to_owned(), "s3cret".to_owned())].into();
    about.publish_connection(place, published).await.unwrap();
    let ended = RequestForm {
        state: Some(RequestedState::Stopped),
        ..wish("web")
    };
    operator.request(&ended).await.unwrap();
    assert_eq!(
        after(&operator, start).await,
        [
            "COMP-1 announce partitions COMP-1 2 partitions",
            "operator-1 supply COMP-1 https://example.com/demo.oci.tar available",
            "operator-1 request SOFTINST-1 web",
            "operator-1 allocate SOFTINST-1 slappart0 of COMP-1",
            "COMP-1 request SOFTINST-2 db",
            "COMP-1 allocate SOFTINST-2 slappart1 of COMP-1",
            "COMP-1 report COMP-1 https://example.com/demo.oci.tar available",
            // Said twice, and news once.
            "COMP-1 report SOFTINST-1 started",
            // Not what it is.
            "COMP-1 publish SOFTINST-1 password",
            "operator-1 request SOFTINST-1 stopped",
            "operator-1 request SOFTINST-2 stopped, as its root",
        ]
    );
}

#[tokio::test]
async fn the_log_is_read_page_by_page() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    for _ in 0..5 {
        token(&operator, TokenRequest::default()).await;
    }
    let all = page(&operator, LogQuery::default()).await;
    assert!(all.is_sorted_by_key(|it| it.number), "{all:?}");
    let mut read = Vec::new();
    loop {
        let query = LogQuery {
            after: Some(read.last().map_or(0, |it: &LogEntry| it.number)),
            limit: Some(2),
            since: None,
        };
        let next = page(&operator, query).await;
        if next.is_empty() {
            break;
        }
        assert!(next.len() <= 2);
        read.extend(next);
    }
    assert_eq!(read, all);
    let last = all.last().unwrap();
    assert_eq!(
        (last.action.as_str(), last.actor.as_str()),
        ("create token", "urn:slapbox:operator:operator-1")
    );
    let query = LogQuery {
        since: Some(last.at + 3600),
        ..LogQuery::default()
    };
    assert!(page(&operator, query).await.is_empty());
}
