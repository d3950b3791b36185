//! One CA after another, and the list of what counts no more.

use slap::client::{CallError, Client, Clock as Judge, Settings, TlsRefusal};
use slap::v1::{Inventory, TokenRequest};
use slapbox_master::backup::{self, Make, Restore};
use slapbox_master::ca::Authority;
use slapbox_master::clock::Clock;
use slapbox_master::local::{LocalError, retire_ca};
use slapbox_master::minting::Mint;
use slapbox_master::{ca, identity};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use crate::lab::{Key, Lab, enrolled, token};

/// The serial numbers in each list of `/v1/crl`, and who signed it.
async fn revoked(lab: &Lab) -> Vec<(String, Vec<String>)> {
    let url = format!("{}/v1/crl", lab.url());
    let answer = lab.http(None).get(url).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let mut lists = Vec::new();
    for pem in x509_parser::pem::Pem::iter_from_buffer(text.as_bytes()) {
        let pem = pem.unwrap();
        let (_, list) = CertificateRevocationList::from_der(&pem.contents).unwrap();
        let serials = list
            .iter_revoked_certificates()
            .map(|it| identity::serial_text(it.raw_serial()))
            .collect();
        lists.push((list.issuer().to_string(), serials));
    }
    lists
}

fn serial(certificate_pem: &str) -> String {
    let (_, pem) = x509_parser::pem::parse_x509_pem(certificate_pem.as_bytes()).unwrap();
    identity::Credential::read(&pem.contents).unwrap().serial
}

fn refusal(error: &CallError) -> TlsRefusal {
    let CallError::TlsRefused { refusal, .. } = error else {
        panic!("no refusal by TLS: {error}");
    };
    refusal.clone()
}

#[tokio::test]
async fn what_is_revoked_is_on_the_list_and_what_is_not_is_not() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let (good, bad) = (lab.node(&operator).await, lab.node(&operator).await);
    assert_eq!(revoked(&lab).await[0].1, <[String; 0]>::default());
    operator.revoke_computer(&bad.id).await.unwrap();
    let lists = revoked(&lab).await;
    assert_eq!(lists.len(), 1);
    assert!(lists[0].0.starts_with("CN=Slapbox CA "));
    assert_eq!(lists[0].1, [serial(&bad.identity.certificate_pem)]);
    assert!(!lists[0].1.contains(&serial(&good.identity.certificate_pem)));
    // What is over needs no mention.
    lab.let_pass(8 * 86_400);
    assert_eq!(revoked(&lab).await[0].1, <[String; 0]>::default());
}

#[tokio::test]
async fn everybody_goes_on_while_one_ca_follows_another() {
    let mut lab = Lab::open().await;
    let operator_identity = lab.operator_identity().await;
    let operator = lab.client(operator_identity.clone());
    let node = lab.node(&operator).await;
    let invited = lab.local_token(Mint::operator()).await;
    let (old_ca, folder) = (lab.ca(), lab.data().join("ca"));
    let before = |identity| {
        let settings = Settings::enrolled(vec![String::new()], old_ca.clone(), identity);
        move |url: String| {
            Client::new(&Settings {
                urls: vec![url],
                ..settings
            })
            .unwrap()
        }
    };
    let (node_before, operator_before) = (
        before(node.identity.clone()),
        before(operator_identity.clone()),
    );
    ca::rotate(&folder).unwrap();
    lab.restart().await;
    // Who knows the old CA alone is served, and told of the new one.
    let client = node_before(lab.url());
    client.computer(&node.id).await.unwrap();
    let renewed = client.renew(&node.key.csr()).await.unwrap();
    let pins = slap::client::pins_of_pem(&renewed.ca).unwrap();
    assert_eq!(pins, [lab.master().authority.pin(), invited.ca]);
    let settings = Settings::enrolled(
        vec![lab.url()],
        renewed.ca,
        node.key.identity(renewed.certificate),
    );
    let renewed = Client::new(&settings).unwrap();
    renewed.computer(&node.id).await.unwrap();
    // So is the time believed, by a clock that is wrong.
    let wrong = Settings {
        clock: Judge::Wrong,
        ..Settings::enrolled(vec![lab.url()], old_ca.clone(), node.identity.clone())
    };
    Client::new(&wrong).unwrap().time(&[7; 16]).await.unwrap();
    // Who was invited before the rotation joins, and who is invited after it.
    enrolled(lab.enrol(&invited, &Key::new(), Inventory::default()).await);
    let operator = operator_before(lab.url());
    let join = token(&operator, TokenRequest::default()).await;
    assert_ne!(join.ca, invited.ca);
    enrolled(lab.enrol(&join, &Key::new(), Inventory::default()).await);
}

#[tokio::test]
async fn a_ca_retires_when_nobody_needs_it_or_by_force() {
    let mut lab = Lab::open().await;
    let operator = lab.operator_identity().await;
    let client = lab.client(operator.clone());
    let (node, late) = (lab.node(&client).await, lab.node(&client).await);
    let old_ca = lab.ca();
    ca::rotate(&lab.data().join("ca")).unwrap();
    lab.restart().await;
    let before = |identity| {
        let settings = Settings::enrolled(vec![lab.url()], old_ca.clone(), identity);
        Client::new(&settings).unwrap()
    };
    before(node.identity.clone())
        .renew(&node.key.csr())
        .await
        .unwrap();
    let operator = before(operator);
    // Each CA lists its own.
    operator.revoke_computer(&node.id).await.unwrap();
    let lists = revoked(&lab).await;
    assert_eq!(lists.len(), 2);
    assert_ne!(lists[0].0, lists[1].0);
    assert_eq!((lists[0].1.len(), lists[1].1.len()), (1, 1));
    // The old one is needed by those who have not renewed.
    let (data, database) = (lab.data(), lab.settings().database);
    let refused = retire_ca(&data, &database, false, &Clock::system()).await;
    let Err(LocalError::StillNeeded(needed)) = refused else {
        panic!("{refused:?}");
    };
    assert!(needed.contains(&format!("urn:slapbox:computer:{}", late.id)));
    assert!(!needed.contains(&format!("urn:slapbox:computer:{}", node.id)));
    retire_ca(&data, &database, true, &Clock::system())
        .await
        .unwrap();
    lab.restart().await;
    let settings = Settings::enrolled(vec![lab.url()], old_ca, late.identity.clone());
    let lost = Client::new(&settings).unwrap();
    let refused = lost.computer(&late.id).await.unwrap_err();
    assert_eq!(refusal(&refused), TlsRefusal::OtherCa);
}

#[tokio::test]
async fn a_master_with_the_ca_before_does_not_start_on_a_database_that_went_on() {
    let mut lab = Lab::open().await;
    let mut other = lab.beside().await;
    other.stop().await;
    ca::rotate(&lab.data().join("ca")).unwrap();
    lab.restart().await;
    // Its own database is not its neighbour's where that is a file.
    if lab.database_url().is_some() {
        let refused = other.start().await.unwrap_err().to_string();
        assert!(refused.contains("masters with another CA"), "{refused}");
    }
}

#[tokio::test]
async fn a_backup_has_both_cas_while_one_follows_the_other() {
    let lab = Lab::open().await;
    let now = Clock::system().now();
    let new = ca::rotate(&lab.data().join("ca")).unwrap();
    let wish = Make {
        data: lab.data(),
        database: lab.settings().database,
        releases: true,
        file: lab.folder().join("backup.tar"),
    };
    // The master has not been started since: its database belongs to the one before.
    backup::make(&wish, now).await.unwrap();
    if lab.is_in_a_file() {
        let made = Restore {
            file: wish.file,
            data: lab.folder().join("again"),
            database: None,
            replace: false,
        };
        backup::restore(&made, now).await.unwrap();
        let again = Authority::open(&made.data.join("ca")).unwrap();
        assert_eq!(again.pin(), new.pin());
        assert_eq!(again.previous_pin(), new.previous_pin());
        assert!(again.previous_pin().is_some());
    }
}
