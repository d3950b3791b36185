//! What the client sends, and what it makes of the answers.

use std::error::Error as _;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use slap::client::{CallError, Client, Trust};
use slap::forms::{InstanceForm, UsageForm};
use slap::state::InstanceReport;
use slap::v1::signed_time_message;
use slap::{ComputerId, PartitionId, RequestForm, Title};

use super::server::{Ca, client_of, proxy, serve, settings};

fn request() -> RequestForm {
    RequestForm {
        project: None,
        requester: None,
        software_url: "https://h/x.oci.tar".into(),
        software_type: "default".into(),
        title: Title::new("a site").expect("a title"),
        shared: false,
        parameters: [("greeting".to_owned(), "a<b & \"é\" +%".to_owned())].into(),
        filter: Default::default(),
        state: None,
    }
}

#[tokio::test]
async fn a_request_arrives_as_it_was_made() {
    let (sender, mut bodies) = tokio::sync::mpsc::unbounded_channel();
    let handler = async move |headers: HeaderMap, body: String| {
        sender
            .send((headers["content-type"].to_str().unwrap().to_owned(), body))
            .unwrap();
        (StatusCode::REQUEST_TIMEOUT, "no free partition")
    };
    let client = client_of(Router::new().route("/requestComputerPartition", post(handler))).await;
    let error = client.request(&request()).await.unwrap_err();
    assert!(matches!(error, CallError::NotReady(_)));
    assert_eq!(error.to_string(), "not ready yet: no free partition");
    let (kind, body) = bodies.recv().await.unwrap();
    assert_eq!(kind, "application/x-www-form-urlencoded");
    insta::assert_snapshot!(body);
}

#[tokio::test]
async fn usage_arrives_as_it_was_reported() {
    let (sender, mut bodies) = tokio::sync::mpsc::unbounded_channel();
    let handler = async move |body: String| {
        sender.send(body).unwrap();
        "OK"
    };
    let client = client_of(Router::new().route("/useComputer", post(handler))).await;
    let form = UsageForm {
        computer: ComputerId::numbered(2),
        usage: "<journal/>".to_owned(),
    };
    client.report_usage(&form).await.unwrap();
    assert_eq!(
        bodies.recv().await.unwrap(),
        "computer_id=COMP-2&use_string=%3Cjournal%2F%3E"
    );
}

#[tokio::test]
async fn an_instances_report_names_the_instance_in_its_header_too() {
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let handler = async move |headers: HeaderMap, body: String| {
        sender
            .send((headers["authorization"].to_str().unwrap().to_owned(), body))
            .unwrap();
        "Ignored"
    };
    let client = client_of(Router::new().route("/softwareInstanceError", post(handler))).await;
    let instance = InstanceForm {
        computer: ComputerId::numbered(2),
        partition: PartitionId::indexed(0),
    };
    client
        .report_instance(instance, InstanceReport::Error, "a\nb")
        .await
        .unwrap();
    let (header, body) = seen.recv().await.unwrap();
    assert_eq!(
        header,
        "X-SlapPartition computer_id=COMP-2, computer_partition_id=slappart0"
    );
    assert_eq!(
        body,
        "computer_id=COMP-2&computer_partition_id=slappart0&error_log=a%0Ab"
    );
}

#[tokio::test]
async fn the_addresses_of_a_tree_are_read() {
    let handler = async move |uri: Uri| {
        let asked = "computer_id=COMP-2&computer_partition_id=slappart0";
        assert_eq!(uri.query(), Some(asked));
        "<marshal><list id=\"i2\"><tuple><unicode>slaptap0</unicode><unicode>fd00::2</unicode></tuple></list></marshal>"
    };
    let routes = Router::new().route("/getHostingSubscriptionIpList", get(handler));
    let client = client_of(routes).await;
    let instance = InstanceForm {
        computer: ComputerId::numbered(2),
        partition: PartitionId::indexed(0),
    };
    let addresses = client.addresses_of_tree(&instance).await.unwrap();
    let addresses: Vec<_> = addresses.iter().map(|it| it.address.to_string()).collect();
    assert_eq!(addresses, ["fd00::2"]);
}

#[tokio::test]
async fn a_refusal_is_told_in_the_masters_words() {
    let status = |code: u16, body: &'static str| {
        get(async move || (StatusCode::from_u16(code).unwrap(), body))
    };
    let routes = Router::new()
        .route(
            "/v1/tokens",
            status(
                403,
                r#"{"error":"revoked","message":"the operator is revoked"}"#,
            ),
        )
        .route("/v1/computers", status(404, "<html>x</html>"))
        .route(
            "/v1/services",
            status(429, r#"{"error":"slow_down","message":"too often"}"#),
        )
        .route("/v1/releases", status(200, "surprise"));
    let client = client_of(routes).await;
    let forbidden = client.tokens().await.unwrap_err();
    assert_eq!(forbidden.to_string(), "refused: the operator is revoked");
    assert!(matches!(forbidden, CallError::Forbidden(error) if error.error == "revoked"));
    let missing = client.computers().await.unwrap_err();
    assert!(matches!(missing, CallError::NotFound(_)));
    assert_eq!(missing.to_string(), "not found: not found");
    let status = client.services().await.unwrap_err();
    assert!(matches!(status, CallError::Status { status: 429, .. }));
    assert_eq!(status.to_string(), "the master answered 429: too often");
    let surprise = client.releases().await.unwrap_err();
    assert_eq!(
        surprise.to_string(),
        "the answer to GET /v1/releases cannot be understood"
    );
}

#[tokio::test]
async fn the_next_address_is_tried_when_nobody_answers_at_one() {
    let ca = Ca::new();
    let url = serve(
        &ca.master(),
        &ca,
        None,
        Router::new().route(
            "/v1/ca",
            get({
                let pem = ca.pem.clone();
                async || pem
            }),
        ),
    )
    .await;
    let mut two = settings("https://127.0.0.1:9", Trust::Pin(ca.pin()));
    let alone = Client::new(&two).unwrap().ca().await.unwrap_err();
    assert!(matches!(alone, CallError::Unreachable { .. }));
    assert_eq!(
        alone.to_string(),
        "cannot reach the master at https://127.0.0.1:9"
    );
    assert!(alone.source().is_some());
    two.urls.push(url);
    let client = Client::new(&two).unwrap();
    for _ in 0..2 {
        assert_eq!(client.ca().await.unwrap(), ca.pem);
    }
}

#[tokio::test]
async fn an_impostor_at_one_address_is_told_rather_than_silence_at_the_other() {
    let (ca, other) = (Ca::new(), Ca::new());
    let url = serve(&other.master(), &other, None, Router::new()).await;
    let mut two = settings(&url, Trust::Pin(ca.pin()));
    two.urls.push("https://127.0.0.1:9".into());
    let error = Client::new(&two).unwrap().discover().await.unwrap_err();
    assert!(matches!(error, CallError::TlsRefused { .. }), "{error:?}");
}

#[tokio::test]
async fn a_ca_that_is_not_the_pinned_one_is_not_taken_from_the_pinned_master() {
    let other = Ca::new().pem;
    let client = client_of(Router::new().route("/v1/ca", get(async || other))).await;
    assert!(matches!(client.ca().await, Err(CallError::OtherCa)));
}

#[tokio::test]
async fn a_time_is_believed_when_the_ca_signed_it_for_this_nonce() {
    let ca = Ca::new();
    let pem = ca.pem.clone();
    let (url, trust) = {
        let signature = |nonce: &[u8]| {
            URL_SAFE_NO_PAD.encode(ca.sign(&signed_time_message(nonce, 1_800_000_000)))
        };
        let answer = format!(
            r#"{{"time":1800000000,"signature":"{}"}}"#,
            signature(b"0123456789abcdef")
        );
        let routes = Router::new()
            .route("/v1/ca", get(async || pem))
            .route("/v1/time", get(async || answer));
        (
            serve(&ca.master(), &ca, None, routes).await,
            Trust::Pin(ca.pin()),
        )
    };
    let client = Client::new(&settings(&url, trust)).unwrap();
    assert_eq!(
        client.time(b"0123456789abcdef").await.unwrap(),
        1_800_000_000
    );
    assert!(matches!(
        client.time(b"another nonce   ").await,
        Err(CallError::BadTimeSignature)
    ));
}

#[tokio::test]
async fn a_title_is_one_part_of_a_path_whatever_it_contains() {
    let paths = Router::new()
        .fallback(async |uri: axum::http::Uri| (StatusCode::NOT_FOUND, uri.to_string()));
    let client = client_of(paths).await;
    let error = client
        .service(&Title::new("a/../b ?#é").unwrap())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "not found: /v1/services/a%2F..%2Fb%20%3F%23%C3%A9"
    );
}

#[tokio::test]
async fn a_proxy_is_asked_for_the_masters_own_address() {
    let ca = Ca::new();
    let none = || async { axum::Json(serde_json::json!({"tokens": []})) };
    let url = serve(
        &ca.master(),
        &ca,
        None,
        Router::new().route("/v1/tokens", get(none)),
    )
    .await;
    let (proxy, asked) = proxy().await;
    let mut settings = settings(&url, Trust::Pin(ca.pin()));
    settings.proxy = Some(proxy);
    let client = Client::new(&settings).unwrap();
    assert!(client.tokens().await.unwrap().tokens.is_empty());
    let asked = asked.await.unwrap();
    let address = url.strip_prefix("https://").unwrap();
    assert!(
        asked.starts_with(&format!("CONNECT {address} HTTP/1.1")),
        "{asked}"
    );
}

#[tokio::test]
async fn what_is_the_same_as_before_is_not_sent_again() {
    let full = async |headers: HeaderMap| {
        let known = headers.get("if-none-match").map(|it| it.to_str().unwrap());
        match known {
            None | Some("\"1\"") => {
                let computer = slap::Computer {
                    id: ComputerId::numbered(2),
                    partitions: Vec::new(),
                    software: Vec::new(),
                };
                ([("etag", "\"2\"")], computer.to_xml()).into_response()
            }
            Some(_) => StatusCode::NOT_MODIFIED.into_response(),
        }
    };
    let routes = Router::new().route("/getFullComputerInformation", get(full));
    let client = client_of(routes).await;
    let computer = ComputerId::numbered(2);
    let first = client.computer_if_new(&computer, None).await.unwrap();
    let (document, tag) = first.unwrap();
    assert_eq!(document.id, computer);
    let again = client.computer_if_new(&computer, tag.as_ref()).await;
    assert_eq!(again.unwrap(), None);
}

#[tokio::test]
async fn a_document_that_nobody_has_is_never_the_same() {
    let full = get(async || StatusCode::NOT_MODIFIED);
    let client = client_of(Router::new().route("/getFullComputerInformation", full)).await;
    let computer = ComputerId::numbered(2);
    let answer = client.computer_if_new(&computer, None).await;
    assert!(matches!(
        answer.unwrap_err(),
        CallError::Status { status: 304, .. }
    ));
}
