//! The original's own client against this master: `slapos.core` from its registry, driven by `tests/peer/library.py`.
//! Needs the Python that `SLAPBOX_TEST_PYTHON` names and `cargo qa test peers` prepares; kept out of the default run by nextest.

use std::process::Stdio;

use serde_json::json;
use slap::v1::UserKind;
use slapbox_master::enrolment::TokenKind;
use slapbox_master::minting::Mint;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::lab::Lab;

const PYTHON: &str = "SLAPBOX_TEST_PYTHON";

/// Runs the script and shows what it said when a step of it does not hold.
async fn drive(lab: &Lab, tls: bool) {
    let python = std::env::var(PYTHON).unwrap_or_else(|_| {
        panic!("`{PYTHON}` names no Python with slapos.core: run `cargo qa test peers`")
    });
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
    let mut script = Command::new(python)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/peer/library.py"
        ))
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
    let ended = script.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    let wrong = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}\n{wrong}");
    let last = said.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("all ") && last.ends_with(" steps"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_original_client_is_served_without_certificates() {
    let lab = Lab::open_to_anyone("local_computer").await;
    drive(&lab, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_original_client_is_served_by_mutual_tls() {
    let lab = Lab::open().await;
    drive(&lab, true).await;
}
