//! What is too large or too long for one answer: releases both ways, and forwarded connections.

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, put};
use hyper_util::rt::TokioIo;
use slap::Title;
use slap::client::CallError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::server::client_of;

#[tokio::test]
async fn a_release_is_published_with_its_length() {
    let handler = async |headers: HeaderMap, body: Bytes| {
        assert_eq!(headers["content-length"], "300000");
        format!(
            r#"{{"name":"demo.oci.tar","url":"https://m/releases/demo.oci.tar","sha256":"x","size":{}}}"#,
            body.len()
        )
    };
    let routes = Router::new()
        .route("/v1/", get(async || r#"{"version":1,"endpoints":[]}"#))
        .route(
            "/v1/releases/demo.oci.tar",
            put(handler).layer(axum::extract::DefaultBodyLimit::disable()),
        );
    let client = client_of(routes).await;
    let content = std::io::Cursor::new(vec![7; 300_000]);
    let release = client
        .publish_release(&"demo.oci.tar".parse().unwrap(), 300_000, content)
        .await
        .unwrap();
    assert_eq!(release.size, 300_000);
    assert_eq!(release.url, "https://m/releases/demo.oci.tar");
}

#[tokio::test]
async fn a_release_is_fetched_in_pieces() {
    let routes = Router::new().route("/releases/demo.oci.tar", get(async || vec![7_u8; 300_000]));
    let client = client_of(routes).await;
    let mut download = client
        .download("https://elsewhere/releases/demo.oci.tar")
        .await
        .unwrap();
    assert_eq!(download.length(), Some(300_000));
    let mut size = 0;
    while let Some(chunk) = download.chunk().await.unwrap() {
        size += chunk.as_ref().len();
    }
    assert_eq!(size, 300_000);
    assert!(!client.serves("https://elsewhere/releases/demo.oci.tar"));
    let missing = client
        .download("https://elsewhere/releases/other")
        .await
        .unwrap_err();
    assert!(matches!(missing, CallError::NotFound(_)));
}

async fn echo(request: Request) -> Response {
    if request
        .headers()
        .get("upgrade")
        .is_none_or(|upgrade| upgrade != slap::v1::FORWARD_PROTOCOL)
    {
        return StatusCode::BAD_REQUEST.into_response();
    }
    tokio::spawn(async {
        let stream = hyper::upgrade::on(request).await.expect("an upgrade");
        let (mut read, mut write) = tokio::io::split(TokioIo::new(stream));
        tokio::io::copy(&mut read, &mut write)
            .await
            .expect("an echo");
        write.shutdown().await.expect("an end");
    });
    let headers = [
        ("connection", "upgrade"),
        ("upgrade", slap::v1::FORWARD_PROTOCOL),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

#[tokio::test]
async fn bytes_go_through_a_forwarded_connection_both_ways_to_the_end() {
    let client = client_of(Router::new().route("/v1/forward", get(echo))).await;
    let mut stream = client
        .forward(&Title::new("site").unwrap(), 8080)
        .await
        .unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
    stream.write_all(&[1; 100_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest.len(), 100_000);
}

#[tokio::test]
async fn a_forward_that_is_not_upgraded_is_an_error() {
    let client = client_of(Router::new().route("/v1/forward", get(async || "hello"))).await;
    let error = client
        .forward(&Title::new("site").unwrap(), 8080)
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::BadAnswer { .. }));
}
