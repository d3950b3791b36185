//! Published releases: put once, fetched by whoever has a certificate.

use reqwest::StatusCode;
use slap::client::{CallError, Client};

use crate::lab::{Lab, code, words};

async fn publish(
    operator: &Client,
    name: &str,
    content: &[u8],
) -> Result<slap::v1::Release, CallError> {
    let content = content.to_vec();
    let length = content.len() as u64;
    operator
        .publish_release(
            &name.parse().unwrap(),
            length,
            std::io::Cursor::new(content),
        )
        .await
}

pub(crate) async fn fetch(client: &Client, url: &str) -> Result<Vec<u8>, CallError> {
    let mut download = client.download(url).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = download.chunk().await? {
        bytes.extend_from_slice(chunk.as_ref());
    }
    Ok(bytes)
}

#[tokio::test]
async fn a_release_is_published_by_an_operator_and_fetched_by_a_node() {
    let mut lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    let content: Vec<u8> = (0..5_000_000_u32).map(|it| it.to_le_bytes()[0]).collect();
    let release = publish(&operator, "demo.oci.tar", &content).await.unwrap();
    assert_eq!(release.url, "https://127.0.0.1:1/releases/demo.oci.tar");
    assert_eq!(release.size, 5_000_000);
    assert_eq!(release.sha256.len(), 64);
    assert_eq!(release.published_by, "urn:slapbox:operator:operator-1");
    assert_eq!(fetch(&node.client, &release.url).await.unwrap(), content);
    assert_eq!(
        operator.releases().await.unwrap().releases,
        std::slice::from_ref(&release)
    );

    // Put again, it is the same; with other content it is refused.
    let again = publish(&operator, "demo.oci.tar", &content).await.unwrap();
    assert_eq!(again, release);
    let refused = publish(&operator, "demo.oci.tar", b"other")
        .await
        .unwrap_err();
    assert_eq!(code(&refused), "conflict");
    assert!(words(&refused).contains("published with other content"));
    let left = std::fs::read_dir(lab.data().join("releases"))
        .unwrap()
        .count();
    assert_eq!(left, 1);

    lab.restart().await;
    let node = lab.client(node.identity);
    assert_eq!(fetch(&node, &release.url).await.unwrap(), content);
}

#[tokio::test]
async fn a_part_of_a_release_can_be_asked_for() {
    let lab = Lab::open().await;
    let identity = lab.operator_identity().await;
    let operator = lab.client(identity.clone());
    publish(&operator, "demo", b"0123456789").await.unwrap();
    let answer = lab
        .http(Some(&identity))
        .get(format!("{}/releases/demo", lab.url()))
        .header("range", "bytes=3-5")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(answer.text().await.unwrap(), "345");
}

#[tokio::test]
async fn no_name_leads_out_of_the_folder() {
    let lab = Lab::open().await;
    let identity = lab.operator_identity().await;
    for name in [
        "..%2fca%2fkey.pem",
        "%2e%2e",
        ".upload-1",
        "a%20b",
        &"x".repeat(101),
    ] {
        for method in ["PUT", "GET"] {
            let path = if method == "PUT" {
                "/v1/releases/"
            } else {
                "/releases/"
            };
            let answer = lab
                .http(Some(&identity))
                .request(
                    method.parse().unwrap(),
                    format!("{}{path}{name}", lab.url()),
                )
                .body("x")
                .send()
                .await
                .unwrap();
            let status = answer.status();
            let text = answer.text().await.unwrap();
            assert!(
                status == StatusCode::BAD_REQUEST
                    || status == StatusCode::NOT_FOUND
                    || status == StatusCode::METHOD_NOT_ALLOWED,
                "{method} {name}: {status} {text}"
            );
        }
    }
    let unknown = fetch(&lab.client(identity), "https://127.0.0.1:1/releases/none").await;
    assert_eq!(words(&unknown.unwrap_err()), "there is no release `none`");
    assert_eq!(
        std::fs::read_dir(lab.data().join("releases"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    use tokio::io::AsyncWriteExt;
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let (mut sender, receiver) = tokio::io::duplex(1024);
    let upload = async {
        let name = "demo".parse().unwrap();
        operator.publish_release(&name, 1_000_000, receiver).await
    };
    let cut = async {
        sender.write_all(&[7; 100_000]).await.unwrap();
        drop(sender);
    };
    let (uploaded, ()) = tokio::join!(upload, cut);
    uploaded.unwrap_err();
    for _ in 0..100 {
        if std::fs::read_dir(lab.data().join("releases"))
            .unwrap()
            .count()
            == 0
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("half an upload stays");
}

#[tokio::test]
async fn what_one_master_publishes_another_serves() {
    let lab = Lab::open().await;
    let other = lab.beside().await;
    // Where the database is a file, each master has its own.
    if lab.is_in_a_file() {
        return;
    }
    let identity = lab.operator_identity().await;
    let (here, there) = (lab.client(identity.clone()), other.client(identity));
    let content: Vec<u8> = (0..2_500_000_u32).map(|it| it.to_le_bytes()[1]).collect();
    let release = publish(&here, "demo.oci.tar", &content).await.unwrap();
    for _ in 0..2 {
        assert_eq!(fetch(&there, &release.url).await.unwrap(), content);
    }
    let again = publish(&there, "demo.oci.tar", &content).await.unwrap();
    assert_eq!(again.sha256, release.sha256);
    let refused = publish(&there, "demo.oci.tar", b"other").await.unwrap_err();
    assert_eq!(code(&refused), "conflict");
    // A file that was lost is fetched again.
    let file = lab.data().join("releases/demo.oci.tar");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(fetch(&here, &release.url).await.unwrap(), content);
    assert!(file.exists());
}

#[tokio::test]
async fn the_newest_release_of_a_product_comes_first() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    for name in ["hello-1.2.oci.tar", "other-3.oci.tar"] {
        publish(&operator, name, b"x").await.unwrap();
    }
    lab.let_pass(1);
    let newest = publish(&operator, "hello-1.3.oci.tar", b"y").await.unwrap();
    let found = operator.product_releases("hello").await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0], newest.url);
    assert!(operator.product_releases("none").await.unwrap().is_empty());
}
