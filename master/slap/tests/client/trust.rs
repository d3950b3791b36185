//! Whom the client believes: a CA by its pin or its certificate, one name, a time within validity. Nobody else, whatever the address.

use axum::Router;
use axum::routing::get;
use slap::client::{CallError, Client, Clock, Settings, TlsRefusal, Trust};

use super::server::{Ca, serve, settings};

fn routes() -> Router {
    Router::new().route(
        "/v1/",
        get(async || r#"{"version":1,"endpoints":["watch"]}"#),
    )
}

async fn refusal(settings: &Settings) -> Option<TlsRefusal> {
    let client = Client::new(settings).expect("a client");
    match client.discover().await {
        Ok(_) => None,
        Err(CallError::TlsRefused { refusal, .. }) => Some(refusal),
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_pinned_master_is_believed_at_any_address() {
    let ca = Ca::new();
    let url = serve(&ca.master(), &ca, None, routes()).await;
    assert_eq!(refusal(&settings(&url, Trust::Pin(ca.pin()))).await, None);
    assert_eq!(
        refusal(&settings(&url, Trust::Ca(ca.pem.clone()))).await,
        None
    );
    let by_name = url.replace("127.0.0.1", "localhost");
    assert_eq!(
        refusal(&settings(&by_name, Trust::Pin(ca.pin()))).await,
        None
    );
}

#[tokio::test]
async fn another_ca_is_refused_in_words() {
    let (ca, other) = (Ca::new(), Ca::new());
    let url = serve(&ca.master(), &ca, None, routes()).await;
    for trust in [Trust::Pin(other.pin()), Trust::Ca(other.pem.clone())] {
        let refused = refusal(&settings(&url, trust)).await.unwrap();
        assert_eq!(refused, TlsRefusal::OtherCa);
        assert_eq!(
            refused.to_string(),
            "the server is not the expected master: its certificate is not signed by the expected CA"
        );
    }
}

#[tokio::test]
async fn showing_the_right_ca_does_not_help_a_certificate_that_it_did_not_sign() {
    let (ca, other) = (Ca::new(), Ca::new());
    let url = serve(&other.master(), &ca, None, routes()).await;
    let mut settings = settings(&url, Trust::Pin(ca.pin()));
    assert_eq!(refusal(&settings).await, Some(TlsRefusal::OtherCa));
    settings.clock = Clock::Wrong;
    assert_eq!(refusal(&settings).await, Some(TlsRefusal::OtherCa));
}

#[tokio::test]
async fn a_node_of_the_same_ca_is_no_master() {
    let ca = Ca::new();
    let url = serve(
        &ca.issue("127.0.0.1.nip.example", -1, 1),
        &ca,
        None,
        routes(),
    )
    .await;
    let mut settings = settings(&url, Trust::Pin(ca.pin()));
    assert_eq!(refusal(&settings).await, Some(TlsRefusal::OtherName));
    settings.clock = Clock::Wrong;
    assert_eq!(refusal(&settings).await, Some(TlsRefusal::OtherName));
}

#[tokio::test]
async fn a_certificate_out_of_its_time_is_refused_unless_the_clock_is_not_trusted() {
    let ca = Ca::new();
    for (from, to, expected) in [
        (-20, -10, TlsRefusal::Expired),
        (10, 20, TlsRefusal::NotYetValid),
    ] {
        let url = serve(&ca.issue(slap::MASTER_NAME, from, to), &ca, None, routes()).await;
        for trust in [Trust::Pin(ca.pin()), Trust::Ca(ca.pem.clone())] {
            let mut settings = settings(&url, trust);
            assert_eq!(refusal(&settings).await, Some(expected.clone()));
            settings.clock = Clock::Wrong;
            assert_eq!(refusal(&settings).await, None);
        }
    }
}

#[tokio::test]
async fn the_client_shows_its_certificate_and_hears_when_it_is_refused() {
    let (ca, other) = (Ca::new(), Ca::new());
    let url = serve(&ca.master(), &ca, Some(&ca), routes()).await;
    let mut settings = settings(&url, Trust::Ca(ca.pem.clone()));
    let refused = refusal(&settings).await.unwrap();
    assert_eq!(
        refused.to_string(),
        "the server refused: CertificateRequired"
    );
    settings.identity = Some(other.issue("node", -1, 1).identity());
    assert!(matches!(
        refusal(&settings).await,
        Some(TlsRefusal::Alert(_))
    ));
    settings.identity = Some(ca.issue("node", -1, 1).identity());
    assert_eq!(refusal(&settings).await, None);
}

#[tokio::test]
async fn a_client_that_cannot_be_made_says_why() {
    let ca = Ca::new();
    let good = settings("https://127.0.0.1", Trust::Ca(ca.pem.clone()));
    let words = |settings: &Settings| Client::new(settings).unwrap_err().to_string();
    assert_eq!(
        words(&Settings {
            urls: vec![],
            ..good.clone()
        }),
        "no address of a master is known"
    );
    let plain = Settings {
        urls: vec!["http://h".into()],
        ..good.clone()
    };
    assert_eq!(words(&plain), "`http://h` is no address of a master");
    let no_ca = Settings {
        trust: Trust::Ca("x".into()),
        ..good.clone()
    };
    assert_eq!(words(&no_ca), "the CA's certificate cannot be read");
    let mut identity = ca.issue("node", -1, 1).identity();
    identity.key_pem = ca.issue("node", -1, 1).identity().key_pem;
    let mixed = Settings {
        identity: Some(identity),
        ..good.clone()
    };
    assert_eq!(
        words(&mixed),
        "the client certificate and its key cannot be used"
    );
    assert!(!format!("{mixed:?}").contains("PRIVATE KEY"));
    let proxy = Settings {
        proxy: Some("::".into()),
        ..good
    };
    assert_eq!(words(&proxy), "`::` is no address of a proxy");
}
