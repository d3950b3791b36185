//! The original's own client against this master: `slapos.core` from its registry, driven by `tests/peer/library.py`; and its node.
//! Needs the Python that `SLAPBOX_TEST_PYTHON` names and `cargo qa test peers` prepares; kept out of the default run by nextest.

use std::process::{Output, Stdio};

use camino::Utf8PathBuf;
use serde_json::{Value, json};
use slap::v1::UserKind;
use slapbox_master::enrolment::TokenKind;
use slapbox_master::minting::Mint;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::lab::Lab;

mod node;

const PYTHON: &str = "SLAPBOX_TEST_PYTHON";
const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peer/library.py");

fn python() -> Utf8PathBuf {
    let named = std::env::var(PYTHON).unwrap_or_else(|_| {
        panic!("`{PYTHON}` names no Python with slapos.core: run `cargo qa test peers`")
    });
    named.into()
}

/// Runs a script that is told so, and shows what it said when a step of it does not hold.
async fn drive(lab: &Lab, script: &str, told: &Value) {
    let mut script = Command::new(python())
        .arg(script)
        .env("HOME", lab.folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = script.stdin.take().unwrap();
    stdin.write_all(told.to_string().as_bytes()).await.unwrap();
    drop(stdin);
    let said = succeeded(&script.wait_with_output().await.unwrap());
    let last = said.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("all ") && last.ends_with(" steps"),
        "{said}"
    );
}

fn succeeded(ended: &Output) -> String {
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}\n{wrong}");
    said
}

async fn client(lab: &Lab, tls: bool) {
    let token = async |kind| {
        let wish = Mint {
            kind,
            ..Mint::operator()
        };
        String::from(lab.local_token(wish).await.token)
    };
    let told = json!({
        "url": lab.url(),
        "folder": lab.folder(),
        "tls": tls,
        "operator_token": token(TokenKind::User(UserKind::Operator)).await,
        "node_token": token(TokenKind::Node).await,
    });
    drive(lab, CLIENT, &told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_original_client_is_served_without_certificates() {
    let lab = Lab::open_to_anyone("local_computer").await;
    client(&lab, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_original_client_is_served_by_mutual_tls() {
    let lab = Lab::open().await;
    client(&lab, true).await;
}
