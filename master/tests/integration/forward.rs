//! Raw bytes to a service's port, and to nothing else.

use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::lab::{Lab, code, words};
use crate::services::{supply, wish};

/// Says back in capitals what it hears; returns its port.
async fn shouter() -> u16 {
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut text = String::new();
                stream.read_to_string(&mut text).await.unwrap();
                stream
                    .write_all(text.to_uppercase().as_bytes())
                    .await
                    .unwrap();
            });
        }
    });
    port
}

#[tokio::test]
async fn an_operator_talks_to_a_port_of_a_service() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    let title = "web".parse().unwrap();
    let unknown = operator.forward(&title, 80).await.unwrap_err();
    assert_eq!(words(&unknown), "there is no service `web`");
    operator.request(&wish("web")).await.unwrap_err();
    let waiting = operator.forward(&title, 80).await.unwrap_err();
    assert_eq!(code(&waiting), "conflict");

    node.announce(1).await;
    supply(&operator, &node.id).await;
    let port = shouter().await;
    let mut stream = operator.forward(&title, port).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "HELLO");
}

#[tokio::test]
async fn nothing_but_the_services_own_addresses_is_dialled() {
    let lab = Lab::open().await;
    let identity = lab.operator_identity().await;
    let operator = lab.client(identity.clone());
    let node = lab.node(&operator).await;
    node.announce(1).await;
    supply(&operator, &node.id).await;
    operator.request(&wish("web")).await.unwrap();
    let port = shouter().await;
    let ask = |query: String, upgrade: bool, identity| {
        let mut request = lab
            .http(Some(identity))
            .get(format!("{}/v1/forward?{query}", lab.url()));
        if upgrade {
            request = request
                .header("connection", "upgrade")
                .header("upgrade", "slapbox-forward");
        }
        request.send()
    };
    let query = format!("service=web&port={port}");
    for address in ["fd00::1", "127.0.0.1"] {
        let answer = ask(format!("{query}&address={address}"), true, &identity)
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        let text = answer.text().await.unwrap();
        assert!(text.contains("is no address of `web`"), "{text}");
    }
    let own = ask(format!("{query}&address=::1"), true, &identity)
        .await
        .unwrap();
    assert_eq!(own.status(), StatusCode::SWITCHING_PROTOCOLS);
    let plain = ask(query.clone(), false, &identity).await.unwrap();
    assert_eq!(plain.status(), StatusCode::BAD_REQUEST);
    let by_node = ask(query, true, &node.identity).await.unwrap();
    assert_eq!(by_node.status(), StatusCode::FORBIDDEN);
    let nobody = TcpListener::bind("[::1]:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let closed = ask(format!("service=web&port={nobody}"), true, &identity)
        .await
        .unwrap();
    assert_eq!(closed.status(), StatusCode::BAD_GATEWAY);
}
