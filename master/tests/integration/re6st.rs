//! The registry behind the master: it is told who calls by the certificate alone.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use hyper_util::rt::TokioIo;
use reqwest::{StatusCode, Upgraded};
use slap::client::Identity;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::lab::Lab;

async fn echo(request: Request) -> String {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let callers: Vec<_> = parts
        .headers
        .get_all("x-slapbox-computer")
        .iter()
        .chain(parts.headers.get_all("x-slapbox-region"))
        .map(|it| it.to_str().unwrap())
        .collect();
    format!(
        "{} {} {callers:?} {}",
        parts.method,
        parts.uri,
        String::from_utf8_lossy(&body)
    )
}

#[tokio::test]
async fn the_registry_learns_who_calls_and_where_they_are_from_the_master_alone() {
    let folder = tempfile::tempdir().unwrap();
    let socket = camino::Utf8Path::from_path(folder.path())
        .unwrap()
        .join("http.sock");
    let lab = Lab::open_with_registry(&socket).await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    let labels = [("region".to_owned(), "eu".to_owned())].into();
    let european = lab.node_labelled(&operator, labels).await;
    let post_of = |identity| {
        lab.http(Some(identity))
            .post(format!("{}/v1/re6st/join?since=3", lab.url()))
            .header("x-slapbox-computer", "COMP-99")
            .header("x-slapbox-region", "elsewhere")
            .body("hello")
            .send()
    };
    let post = || post_of(&node.identity);
    let absent = post().await.unwrap();
    assert_eq!(absent.status(), StatusCode::BAD_GATEWAY);
    assert!(
        absent
            .text()
            .await
            .unwrap()
            .contains("the overlay's registry does not answer")
    );

    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let registry = Router::new().route("/v1/re6st/{*path}", any(echo));
    tokio::spawn(async { axum::serve(listener, registry).await });
    let answer = post().await.unwrap();
    assert_eq!(
        answer.text().await.unwrap(),
        "POST /v1/re6st/join?since=3 [\"COMP-1\"] hello"
    );
    let answer = post_of(&european.identity).await.unwrap();
    assert_eq!(
        answer.text().await.unwrap(),
        "POST /v1/re6st/join?since=3 [\"COMP-2\", \"eu\"] hello"
    );
    assert_eq!(
        operator.discover().await.unwrap().endpoints.last().unwrap(),
        "re6st"
    );
}

/// A registry that says who calls, and then says back what it hears, to those who ask for the protocol `parrot`.
async fn parrot(mut request: Request) -> Response {
    let headers = request.headers();
    let caller = headers["x-slapbox-computer"].to_str().unwrap().to_owned();
    let wanted = headers.get(header::UPGRADE).cloned();
    if wanted.is_none_or(|it| it != "parrot") {
        return (
            StatusCode::BAD_REQUEST,
            format!("{caller} asked for nothing"),
        )
            .into_response();
    }
    assert_eq!(headers[header::CONNECTION], "upgrade");
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgrade.await.unwrap());
        stream.write_all(caller.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = tokio::io::split(stream);
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    });
    let switched = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "parrot")];
    (StatusCode::SWITCHING_PROTOCOLS, switched).into_response()
}

async fn ask(lab: &Lab, identity: &Identity, headers: &[(&str, &str)]) -> reqwest::Response {
    let mut request = lab
        .http(Some(identity))
        .get(format!("{}/v1/re6st/carrier", lab.url()))
        .header("x-slapbox-computer", "COMP-99");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

const SWITCH: [(&str, &str); 2] = [("connection", "keep-alive, Upgrade"), ("upgrade", "parrot")];

async fn switched(lab: &Lab, identity: &Identity) -> Upgraded {
    let answer = ask(lab, identity, &SWITCH).await;
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    answer.upgrade().await.unwrap()
}

async fn says(stream: &mut Upgraded, words: &str) {
    let mut said = vec![0; words.len()];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(String::from_utf8(said).unwrap(), words);
}

async fn is_cut(stream: &mut Upgraded) {
    let mut byte = [0];
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut byte)).await;
    assert_eq!(read.expect("it is cut in time").unwrap_or(0), 0);
}

#[tokio::test]
async fn a_computer_and_the_registry_may_switch_to_another_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let path = camino::Utf8Path::from_path(folder.path()).unwrap();
    let socket = path.join("http.sock");
    let mut lab = Lab::open_with_registry(&socket).await;
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let registry = Router::new().route("/v1/re6st/carrier", get(parrot));
    tokio::spawn(async { axum::serve(listener, registry).await });
    let operator = lab.operator_identity().await;
    let owner = lab.client(operator.clone());
    let (first, second) = (lab.node(&owner).await, lab.node(&owner).await);

    let mut stream = switched(&lab, &first.identity).await;
    says(&mut stream, "COMP-1").await;
    for words in ["hello", "again"] {
        stream.write_all(words.as_bytes()).await.unwrap();
        says(&mut stream, words).await;
    }
    for asked in [
        &SWITCH[..1],
        &SWITCH[1..],
        &[],
        &[SWITCH[0], ("upgrade", "ape")],
    ] {
        let answer = ask(&lab, &first.identity, asked).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{asked:?}");
        assert!(answer.headers().get(header::UPGRADE).is_none());
        assert_eq!(answer.text().await.unwrap(), "COMP-1 asked for nothing");
    }
    let stranger = ask(&lab, &operator, &SWITCH).await;
    assert_eq!(stranger.status(), StatusCode::FORBIDDEN);

    let mut other = switched(&lab, &second.identity).await;
    says(&mut other, "COMP-2").await;
    owner.revoke_computer(&first.id).await.unwrap();
    is_cut(&mut stream).await;
    other.write_all(b"still here").await.unwrap();
    says(&mut other, "still here").await;
    lab.stop().await;
    is_cut(&mut other).await;
}
