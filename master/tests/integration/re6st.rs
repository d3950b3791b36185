//! The registry behind the master: it is told who calls by the certificate alone.

use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use reqwest::StatusCode;

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
