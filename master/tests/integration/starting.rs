//! Starting: what it needs, what stops it, and what a start after a stop still knows.

use slap::v1::TokenRequest;
use slapbox_master::config::Listen;
use slapbox_master::serve::{StartError, start};

use crate::lab::{Lab, code, token};
use crate::services::{supply, wish};

#[tokio::test]
async fn a_restart_keeps_everything() {
    let mut lab = Lab::open().await;
    let identity = lab.operator_identity().await;
    let operator = lab.client(identity.clone());
    let node = lab.node(&operator).await;
    node.announce(2).await;
    supply(&operator, &node.id).await;
    operator.request(&wish("web")).await.unwrap();
    let join = token(&operator, TokenRequest::default()).await;
    let before = (
        node.client.computer(&node.id).await.unwrap(),
        operator.services().await.unwrap(),
        operator.tokens().await.unwrap(),
        node.client.watch(&node.id, u64::MAX).await.unwrap(),
        lab.ca(),
    );
    lab.restart().await;
    let (operator, client) = (lab.client(identity), lab.client(node.identity.clone()));
    let after = (
        client.computer(&node.id).await.unwrap(),
        operator.services().await.unwrap(),
        operator.tokens().await.unwrap(),
        client.watch(&node.id, u64::MAX).await.unwrap(),
        lab.ca(),
    );
    assert_eq!(before, after);
    assert!(
        operator
            .computer_status(&node.id)
            .await
            .unwrap()
            .last_contact
            .is_some()
    );
    let key = crate::lab::Key::new();
    let (reference, _) = crate::lab::enrolled(lab.enrol(&join, &key, Default::default()).await);
    assert_eq!(reference, "COMP-2");
}

async fn refused(lab: &Lab) -> String {
    let error = start(lab.settings(), lab.world()).await.unwrap_err();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let mut lab = Lab::open().await;
    lab.stop().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = lab.settings();
    settings.listen = Listen::At(taken.local_addr().unwrap());
    let error = start(settings, lab.world()).await.unwrap_err();
    assert!(matches!(error, StartError::PortInUse { .. }), "{error}");
    let port = taken.local_addr().unwrap().port();
    assert!(
        error
            .to_string()
            .starts_with(&format!("port {port} is in use by another program"))
    );
}

#[tokio::test]
async fn a_data_folder_that_is_none_is_named() {
    let mut lab = Lab::open().await;
    lab.stop().await;
    let folder = lab.data();
    std::fs::rename(&folder, lab.folder().join("away")).unwrap();
    std::fs::File::create(&folder).unwrap();
    let text = refused(&lab).await;
    assert!(
        text.starts_with(&format!("the data folder `{folder}` cannot be used")),
        "{text}"
    );
}

#[tokio::test]
async fn a_broken_ca_stops_the_start_and_is_not_replaced() {
    let mut lab = Lab::open().await;
    lab.stop().await;
    let path = lab.data().join("ca/key.pem");
    std::fs::File::create(&path).unwrap();
    let text = refused(&lab).await;
    assert!(
        text.contains(&format!(
            "the CA's file `{path}` is corrupted: restore it from a backup"
        )),
        "{text}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"");
}

#[tokio::test]
async fn a_database_that_is_none_is_named() {
    let mut lab = Lab::open().await;
    if !lab.is_in_a_file() {
        return;
    }
    lab.stop().await;
    let path = lab.data().join("master.sqlite");
    std::fs::copy(lab.data().join("ca/ca.pem"), &path).unwrap();
    let text = refused(&lab).await;
    assert!(text.contains("the database cannot be used"), "{text}");
    assert!(text.contains("file is not a database"), "{text}");
}

#[tokio::test]
async fn a_token_can_be_made_beside_a_running_master_and_not_without_one() {
    let lab = Lab::open().await;
    let world = lab.world();
    let wish = slapbox_master::minting::Mint::operator();
    let urls = vec!["https://127.0.0.1:8443".to_owned()];
    let database = lab.settings().database;
    let join = slapbox_master::local::make_token(
        &lab.data(),
        &database,
        wish.clone(),
        urls,
        &world.clock,
        &world.entropy,
    )
    .await
    .unwrap();
    let join: slap::JoinBlob = join.parse().unwrap();
    assert_eq!(join.urls, ["https://127.0.0.1:8443"]);
    let empty = lab.folder().join("empty");
    let nowhere = slapbox_master::config::database_of(&empty, None).unwrap();
    let error = slapbox_master::local::make_token(
        &empty,
        &nowhere,
        wish,
        Vec::new(),
        &world.clock,
        &world.entropy,
    )
    .await
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("there is no master in `{empty}`: start it there first")
    );
    // Made beside the master, it counts there.
    let key = crate::lab::Key::new();
    crate::lab::enrolled(lab.enrol(&join, &key, Default::default()).await);
    let other = crate::lab::Key::new();
    let used = lab
        .enrol(&join, &other, Default::default())
        .await
        .unwrap_err();
    assert_eq!(code(&used), "token_refused");
}
