//! Bad input over real HTTP: each kind gets its status and words that say what was wrong, and nothing in the database is another.

mod calls;

use std::collections::BTreeMap;

use reqwest::Method;
use slap::forms::RequestForm;
use slap::state::InstanceReport;
use sqlx::Row as _;

use crate::lab::{Lab, Node};
use crate::services::{at, ready, wish};
use calls::{Body, Call};

/// Every row of every table. When computers were last heard of is written by and by, whatever is asked.
async fn everything(lab: &Lab) -> BTreeMap<&'static str, Vec<String>> {
    const TABLES: [&str; 21] = [
        "settings",
        "counters",
        "tokens",
        "redemptions",
        "users",
        "projects",
        "roles",
        "affiliations",
        "capabilities",
        "computers",
        "computer_warnings",
        "certificates",
        "supplies",
        "trees",
        "instances",
        "partitions",
        "releases",
        "release_pieces",
        "usage_reports",
        "audit",
        "_sqlx_migrations",
    ];
    let mut db = lab.master().store.snapshot().await.unwrap();
    let mut all = BTreeMap::new();
    for table in TABLES {
        let columns = match table {
            "computers" => "reference, state, public_key, labels, generation, report, usage",
            "_sqlx_migrations" => "version",
            _ => "*",
        };
        let query = format!("SELECT {columns} FROM {table}");
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .fetch_all(&mut *db)
            .await
            .unwrap();
        let mut rows: Vec<String> = rows
            .iter()
            .map(|row| {
                let values = (0..row.len()).map(|index| row.try_get_raw(index).unwrap());
                values
                    .map(|it| format!("{:?}", sqlx::ValueRef::to_owned(&it).kind))
                    .collect()
            })
            .collect();
        rows.sort();
        all.insert(table, rows);
    }
    all
}

async fn send(lab: &Lab, client: &reqwest::Client, call: &Call) -> (u16, String) {
    let method: Method = call.method.parse().unwrap();
    let request = client.request(method, format!("{}{}", lab.url(), call.path));
    let request = match &call.body {
        Body::None => request,
        Body::Form(pairs) => request.form(pairs),
        Body::Raw(kind, bytes) => request.header("content-type", *kind).body(bytes.clone()),
    };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Makes each call, and returns what is not as it should be.
async fn differences(lab: &Lab, calls: Vec<Call>) -> Vec<String> {
    let operator = lab.operator_identity().await;
    let client = lab.http(Some(&operator));
    let before = everything(lab).await;
    let mut wrong = Vec::new();
    for call in calls {
        let (status, text) = send(lab, &client, &call).await;
        if status != call.status || !text.contains(call.words) {
            let text: String = text.chars().take(300).collect();
            wrong.push(format!(
                "{} {}: {status} {text}\n    and not {} {}",
                call.method, call.path, call.status, call.words
            ));
        }
        let after = everything(lab).await;
        for (table, rows) in &after {
            if before[table] != *rows {
                wrong.push(format!("{} {} changed {table}", call.method, call.path));
            }
        }
    }
    wrong
}

/// COMP-1 has the instances `web`, which requested `db`, and `other`, and a partition to spare.
async fn furnished() -> (Lab, Node) {
    let (lab, operator, node) = ready(4).await;
    operator.request(&wish("web")).await.unwrap();
    let child = RequestForm {
        requester: Some(at(&node, 0)),
        ..wish("db")
    };
    node.client.request(&child).await.unwrap();
    operator.request(&wish("other")).await.unwrap();
    node.client
        .report_instance(at(&node, 0), InstanceReport::Started, "")
        .await
        .unwrap();
    (lab, node)
}

#[tokio::test]
async fn slap_refuses_what_is_malformed_and_changes_nothing() {
    let (lab, _node) = furnished().await;
    let wrong = differences(&lab, calls::slap()).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn whoever_names_a_computer_that_is_none_is_told_so() {
    let (lab, _node) = furnished().await;
    let wrong = differences(&lab, calls::unknown()).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn json_that_is_malformed_is_refused_and_changes_nothing() {
    let (lab, _node) = furnished().await;
    let wrong = differences(&lab, calls::documents()).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_contradicts_the_state_is_refused_and_changes_nothing() {
    let (lab, _node) = furnished().await;
    let wrong = differences(&lab, calls::contradictions()).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// No database keeps a NUL: what a log has besides is wanted, and elsewhere it is refused.
#[tokio::test]
async fn a_nul_is_never_the_masters_failure() {
    let (lab, node) = furnished().await;
    let operator = lab.client(lab.operator_identity().await);
    let client = lab.http(Some(&node.identity));
    let log = [
        ("computer_id", "COMP-1"),
        ("computer_partition_id", "slappart0"),
        ("error_log", "half a line\0and the other half"),
    ];
    let url = lab.url();
    let sent = client
        .post(format!("{url}/softwareInstanceError"))
        .form(&log);
    assert_eq!(sent.send().await.unwrap().status(), 200);
    let service = operator.service(&"web".parse().unwrap()).await.unwrap();
    let status = &service.status;
    assert!(
        status.contains("half a line\u{fffd}and the other"),
        "{status}"
    );
    let asked = client
        .post(format!("{url}/slapos.put.v0.software_instance_error"))
        .header("content-type", "application/json")
        .body(r#"{"instance_guid": "SOFTINST-1", "message": "a\u0000b"}"#);
    let answer = asked.send().await.unwrap();
    let (status, said) = (answer.status().as_u16(), answer.text().await.unwrap());
    let expected = if lab.is_in_a_file() { 200 } else { 400 };
    assert_eq!(status, expected, "{said}");
}
