//! The original's own node against this master, as root, in private namespaces of network, mounts and processes that
//! `tests/peer/furnish.sh` furnishes: `tests/peer/node.py` has it format, build software, and run instances through their lives.
//! Each test runs itself again inside, so that its master listens on the namespaces' loopback. Nothing is left outside.

use std::process::Stdio;

use serde_json::{Value, json};
use slap::client::Identity;
use tokio::process::Command;

use super::{drive, python, succeeded};
use crate::lab::Lab;

/// There for a test that runs inside.
const INSIDE: &str = "SLAPBOX_TEST_INSIDE";
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peer");
/// Where the namespaces have the same folder.
const DRIVER: &str = "/opt/slapos/tests/node.py";

fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs this very test again, in namespaces that end with it.
async fn run_inside(test: &str) {
    let python = python();
    let (_, here) = module_path!().split_once("::").unwrap();
    let unshared = [
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--propagation",
        "private",
        "--",
    ];
    let ended = Command::new("unshare")
        .args(unshared)
        .args(["sh", &format!("{TESTS}/furnish.sh")])
        .arg(python.parent().unwrap())
        .arg(TESTS)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{here}::{test}"), "--nocapture"])
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = succeeded(&ended);
    assert!(said.contains("1 passed"), "{said}");
}

fn shown(identity: &Identity) -> Value {
    json!({"key": identity.key_pem, "certificate": identity.certificate_pem})
}

/// What the instance said it used has arrived, as the node put it together.
async fn has_usage(lab: &Lab, computer: &str) {
    let mut db = lab.master().store.read().await.unwrap();
    let journals: Vec<String> =
        sqlx::query_scalar("SELECT document FROM usage_reports WHERE computer = $1")
            .bind(computer)
            .fetch_all(&mut *db)
            .await
            .unwrap();
    assert!(!journals.is_empty());
    for part in [
        "<resource>service_module/pages</resource>",
        "<reference>slappart0</reference>",
        "<quantity>3.0</quantity>",
    ] {
        assert!(journals[0].contains(part), "{}", journals[0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_original_node_is_served_without_certificates() {
    if !is_inside() {
        return run_inside("the_original_node_is_served_without_certificates").await;
    }
    let lab = Lab::open_to_anyone("local_computer").await;
    let told = json!({"url": lab.url(), "computer": "local_computer", "tls": false});
    drive(&lab, DRIVER, &told).await;
    has_usage(&lab, "local_computer").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_original_node_is_served_by_mutual_tls() {
    if !is_inside() {
        return run_inside("the_original_node_is_served_by_mutual_tls").await;
    }
    let lab = Lab::open().await;
    let person = lab.operator_identity().await;
    let node = lab.node(&lab.client(person.clone())).await;
    let told = json!({
        "url": lab.url(),
        "computer": node.id.as_str(),
        "tls": true,
        "person": shown(&person),
        "node": shown(&node.identity),
    });
    drive(&lab, DRIVER, &told).await;
    has_usage(&lab, node.id.as_str()).await;
}
