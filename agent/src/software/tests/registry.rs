//! Images pulled over TLS from a registry that is sometimes not what it should be.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::served::workshop;
use super::*;
use crate::software::tar_stream::TarStream;

mod signed;

const HOST: &str = "registry.test";

/// A registry with one image under many names, the first part of which says how it behaves.
struct Registry {
    blobs: BTreeMap<String, Vec<u8>>,
    manifest: String,
    index: String,
    /// Where the blobs that were asked for should begin.
    ranges: Mutex<Vec<String>>,
    /// Signatures by the first part of a name, and what they sign by its digest.
    extra: Mutex<BTreeMap<String, Vec<u8>>>,
    port: u16,
    certificate: reqwest::Certificate,
}

impl Registry {
    async fn open() -> Arc<Self> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let tls = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let (mut blobs, manifest) = image(&[gzip(&tar_of(&[file("bin/serve", "#!")])), zstd()]);
        let entry = |digest: &str, architecture: &str| {
            let platform = serde_json::json!({ "os": "linux", "architecture": architecture });
            let size = blobs.get(digest).map_or(0, Vec::len);
            serde_json::json!({ "digest": digest, "size": size, "platform": platform })
        };
        let index = serde_json::json!({
            "manifests": [entry(&manifest, "z80"), entry(&manifest, image::own_architecture())],
        });
        let index = put(&mut blobs, index.to_string().into_bytes());
        let registry = Arc::new(Self {
            blobs,
            manifest,
            index,
            ranges: Mutex::default(),
            extra: Mutex::default(),
            port: listener.local_addr().unwrap().port(),
            certificate: reqwest::Certificate::from_der(cert.der()).unwrap(),
        });
        let router = Router::new()
            .route("/v2/{kind}/demo/manifests/{version}", get(manifests))
            .route("/v2/{kind}/demo/blobs/{digest}", get(blob))
            .route("/token", get(token))
            .with_state(Arc::clone(&registry));
        let listener = Tls(listener, TlsAcceptor::from(Arc::new(tls)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        registry
    }

    fn url(&self, rest: &str) -> SoftwareUrl {
        SoftwareUrl::new(format!("docker://{HOST}:{}/{rest}", self.port))
    }

    fn fetcher(&self) -> Fetcher {
        let certificate = self.certificate.clone();
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        Fetcher::new(move |_| {
            reqwest::Client::builder()
                .tls_certs_only([certificate.clone()])
                .resolve(HOST, address)
                .build()
                .unwrap()
        })
    }

    async fn install(&self, folder: &Utf8Path, rest: &str) -> Result<(), SoftwareError> {
        let (workshop, turns) = (workshop().await, Turns::default());
        let url = self.url(rest);
        let fetcher = self.fetcher();
        let installed = super::super::install(&fetcher, &workshop, &turns, folder, &url).await;
        installed.map(drop)
    }
}

/// Connections whose names are proved.
struct Tls(TcpListener, TlsAcceptor);

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.0.accept().await.unwrap();
            if let Ok(stream) = self.1.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

fn zstd() -> Vec<u8> {
    let layer = tar_of(&[file("etc/second", "2")]);
    zstd::encode_all(layer.as_slice(), 3).unwrap()
}

/// Returns the blobs of an image, and which of them is its manifest.
fn image(layers: &[Vec<u8>]) -> (BTreeMap<String, Vec<u8>>, String) {
    let archive = layout(layers.to_vec()).bytes();
    let mut tar = TarStream::new(archive.as_slice());
    let (mut blobs, mut manifest) = (BTreeMap::new(), String::new());
    while let Some(entry) = tar.next_entry().unwrap() {
        let path = String::from_utf8(entry.path).unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut tar, &mut content).unwrap();
        if path.starts_with("blobs/") {
            put(&mut blobs, content);
        } else if path == "./index.json" {
            let index: serde_json::Value = serde_json::from_slice(&content).unwrap();
            manifest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
        }
    }
    (blobs, manifest)
}

fn put(blobs: &mut BTreeMap<String, Vec<u8>>, content: Vec<u8>) -> String {
    let digest = Sha256::digest(&content);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let digest = format!("sha256:{hex}");
    blobs.insert(digest.clone(), content);
    digest
}

async fn manifests(
    State(registry): State<Arc<Registry>>,
    Path((kind, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let realm = |more: &str| {
        let at = format!(
            r#"Bearer realm="https://{HOST}:{}/token",service="a b"{more}"#,
            registry.port
        );
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, at)]).into_response()
    };
    if version.ends_with(".sig") {
        let extra = registry.extra.lock().unwrap();
        let found = extra.get(&kind).cloned();
        return found.map_or_else(
            || StatusCode::NOT_FOUND.into_response(),
            axum::response::IntoResponse::into_response,
        );
    }
    let told = headers.get(header::AUTHORIZATION);
    match kind.as_str() {
        "token" if told.is_none_or(|told| told != "Bearer let-me") => realm(""),
        "denied" => realm(r#",error="denied""#),
        "login" => {
            let basic = [(header::WWW_AUTHENTICATE, r#"Basic realm="x""#)];
            (StatusCode::UNAUTHORIZED, basic).into_response()
        }
        "plain" => {
            let realm = [(header::WWW_AUTHENTICATE, r#"Bearer realm="http://x.invalid/""#)];
            (StatusCode::UNAUTHORIZED, realm).into_response()
        }
        "old" => r#"{"schemaVersion": 1, "fsLayers": []}"#.into_response(),
        "garbage" => "<html>".into_response(),
        "endless" => vec![b' '; 5_000_000].into_response(),
        "huge" => {
            let mut manifest: serde_json::Value =
                serde_json::from_slice(&registry.blobs[&registry.manifest]).unwrap();
            manifest["layers"][0]["size"] = (1_u64 << 60).into();
            manifest.to_string().into_response()
        }
        "foreign" => r#"{"manifests": [{"digest": "sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "size": 1, "platform": {"os": "linux", "architecture": "z80"}}]}"#
            .into_response(),
        "lying-manifest" => "{}".into_response(),
        _ if version == "none" => StatusCode::NOT_FOUND.into_response(),
        _ if version == "index" => registry.blobs[&registry.index].clone().into_response(),
        _ => {
            let digest = if version.starts_with("sha256:") {
                &version
            } else {
                &registry.manifest
            };
            registry.blobs[digest].clone().into_response()
        }
    }
}

async fn token(Query(query): Query<BTreeMap<String, String>>) -> Response {
    let scope = query.get("scope").map(String::as_str);
    if scope == Some("repository:token/demo:pull")
        && query.get("service").is_some_and(|it| it == "a b")
    {
        return r#"{"token": "let-me"}"#.into_response();
    }
    StatusCode::FORBIDDEN.into_response()
}

async fn blob(
    State(registry): State<Arc<Registry>>,
    Path((kind, digest)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Some(signed) = registry.extra.lock().unwrap().get(&digest) {
        return signed.clone().into_response();
    }
    let content = registry.blobs[&digest].clone();
    let range = headers
        .get(header::RANGE)
        .map(|range| range.to_str().unwrap().to_owned());
    let from = range.as_deref().map_or(0, |range| {
        range
            .trim_start_matches("bytes=")
            .trim_end_matches('-')
            .parse()
            .unwrap()
    });
    let asked = {
        let mut ranges = registry.ranges.lock().unwrap();
        ranges.push(range.clone().unwrap_or_default());
        ranges.len()
    };
    match kind.as_str() {
        "lying" => return vec![b'x'; content.len()].into_response(),
        "longer" => return [content, vec![b'x']].concat().into_response(),
        "cut" | "cut-always" if asked == 2 || kind == "cut-always" => {
            let half = Bytes::from(content[from..from + (content.len() - from) / 2].to_vec());
            let pieces = futures_util::stream::unfold(Some(half), async |half| {
                if let Some(half) = half {
                    return Some((Ok(half), None));
                }
                // After the first half is on its way.
                tokio::time::sleep(Duration::from_millis(100)).await;
                Some((Err(std::io::Error::other("cut")), None))
            });
            return Body::from_stream(pieces).into_response();
        }
        "busy" if asked == 2 => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        "gone" => return StatusCode::NOT_FOUND.into_response(),
        _ => {}
    }
    match range {
        Some(_) => (StatusCode::PARTIAL_CONTENT, content[from..].to_vec()).into_response(),
        None => content.into_response(),
    }
}

fn software() -> (tempfile::TempDir, Utf8PathBuf) {
    let keep = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(keep.path().to_owned()).unwrap();
    (keep, path)
}

#[tokio::test]
async fn an_image_is_pulled_by_tag_and_digest_with_and_without_a_token() {
    let registry = Registry::open().await;
    let (_keep, folder) = software();
    let by_digest = format!("open/demo@{}", registry.index);
    for rest in [
        "open/demo",
        "open/demo:index",
        &by_digest,
        "token/demo:1",
        "busy/demo",
    ] {
        registry.ranges.lock().unwrap().clear();
        registry
            .install(&folder, rest)
            .await
            .unwrap_or_else(|error| panic!("{rest}: {}", words(error)));
        let release = read(&folder, &registry.url(rest)).unwrap();
        assert_eq!(release.runs.command(), ["/bin/serve"], "{rest}");
        let second = release.rootfs.join("etc/second");
        assert_eq!(fs::read_to_string(second).unwrap(), "2", "{rest}");
        let above = fs::metadata(release.rootfs.parent().unwrap()).unwrap();
        assert_eq!(above.permissions().mode() & 0o777, 0o700, "{rest}");
        assert!(!release.rootfs.with_file_name("blobs").exists(), "{rest}");
    }
}

#[tokio::test]
async fn a_layer_goes_on_where_it_was_cut() {
    let registry = Registry::open().await;
    let (_keep, folder) = software();
    registry.install(&folder, "cut/demo").await.unwrap();
    let ranges = registry.ranges.lock().unwrap().clone();
    let [config, first, again, second] = &ranges[..] else {
        panic!("{ranges:?}");
    };
    assert!(
        [config, first, second].iter().all(|range| range.is_empty()),
        "{ranges:?}"
    );
    assert!(
        again.starts_with("bytes=") && again != "bytes=0-",
        "{again}"
    );
}

/// Holds that none of these can be pulled, that it is said in words, and that nothing is left.
async fn refused(registry: &Registry, cases: &[(&str, &str)]) {
    let (_keep, folder) = software();
    for (rest, expected) in cases {
        let error = registry.install(&folder, rest).await.unwrap_err();
        let words = words(error);
        let expected = format!("failed to pull it: {expected}");
        assert!(words.starts_with(&expected), "{rest}: {words}");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "{rest}");
    }
}

#[tokio::test]
async fn what_a_registry_does_not_give_is_said_in_words_and_leaves_nothing() {
    let registry = Registry::open().await;
    let login = "its registry lets nobody have it who does not log in";
    let cases = [
        (
            "open/demo:none",
            "its registry answers 404 Not Found when asked for its manifest".to_owned(),
        ),
        (
            "open/Demo",
            "it is no reference to an image: its name is none (docker://HOST".to_owned(),
        ),
        ("denied/demo", format!("{login} (403")),
        ("login/demo", format!("{login} (401")),
        (
            "plain/demo",
            "the registry's token would not come over https".to_owned(),
        ),
        ("gone/demo", "failed to receive sha256:".to_owned()),
    ];
    let cases = cases
        .each_ref()
        .map(|(rest, words)| (*rest, words.as_str()));
    refused(&registry, &cases).await;
}

#[tokio::test]
async fn what_a_registry_gives_wrongly_is_said_in_words_and_leaves_nothing() {
    let registry = Registry::open().await;
    let pinned = format!("lying-manifest/demo@{}", registry.manifest);
    let other = "the content of the blob sha256:";
    refused(
        &registry,
        &[
            (
                "old/demo",
                "its manifest is of a kind that is not supported",
            ),
            ("garbage/demo", "failed to understand its manifest: "),
            (
                "endless/demo",
                "its registry's manifest is longer than 4194304 bytes",
            ),
            ("huge/demo", "its layers have 1152921504606"),
            ("foreign/demo", "it has no image for linux/"),
            (&pinned, other),
            ("lying/demo", other),
            ("longer/demo", "failed to receive sha256:"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_registry_that_proves_no_name_is_not_asked() {
    let registry = Registry::open().await;
    let (_keep, folder) = software();
    let (workshop, turns) = (workshop().await, Turns::default());
    let fetcher = Fetcher::new(|_| reqwest::Client::new());
    let url = SoftwareUrl::new(format!("docker://127.0.0.2:{}/open/demo", registry.port));
    let asked = super::super::install(&fetcher, &workshop, &turns, &folder, &url).await;
    let words = words(asked.unwrap_err());
    assert!(
        words.starts_with("failed to pull it: failed to ask its registry for its manifest"),
        "{words}"
    );
}

#[tokio::test]
async fn a_connection_that_is_always_cut_is_given_up() {
    let registry = Registry::open().await;
    let (_keep, folder) = software();
    let error = registry
        .install(&folder, "cut-always/demo")
        .await
        .unwrap_err();
    let words = words(error);
    assert!(words.contains("the connection was cut 5 times"), "{words}");
}
