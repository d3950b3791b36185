//! A registry on a real socket, asked as the master's proxy and the machine's own tools ask it.

use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8PathBuf;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use slapbox_overlay::keys::PublicKey;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::domain::Domain;
use crate::registry::Settings;

mod carriers;

struct Served {
    folder: TempDir,
    http: reqwest::Client,
    server: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Served {
    async fn start(folder: TempDir, network: &str) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let path = Utf8PathBuf::try_from(folder.path().to_owned()).unwrap();
        let socket = path.join("http.sock");
        let settings = Settings {
            state: path.join("state"),
            socket: socket.clone(),
            network: Some(network.parse().unwrap()),
            host: Some("COMP-1".parse().unwrap()),
            domain: Domain::default(),
            regions: std::collections::BTreeMap::new(),
        };
        let registry = Arc::new(Registry::open(&settings, [7; 5], moment()).unwrap());
        let bound = socket.clone();
        let server = tokio::spawn(async move { serve(registry, &bound).await.unwrap() });
        while tokio::net::UnixStream::connect(&socket).await.is_err() {
            tokio::task::yield_now().await;
        }
        let http = reqwest::Client::builder().unix_socket(folder.path().join("http.sock"));
        Self {
            http: http.build().unwrap(),
            folder,
            server,
        }
    }

    async fn restart(mut self, network: &str) -> Self {
        self.server.abort();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        Self::start(folder, network).await
    }

    fn http(&self) -> reqwest::Client {
        self.http.clone()
    }

    async fn join(&self, computer: &str, request: &Value) -> (StatusCode, Value) {
        let request = self
            .http()
            .post("http://registry/v1/re6st/join")
            .header(COMPUTER_HEADER, computer)
            .json(request);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn network(&self, computer: &str, since: &Value) -> (StatusCode, Value) {
        let url = format!("http://registry/v1/re6st/network?since={since}");
        let answer = self
            .http()
            .get(url)
            .header(COMPUTER_HEADER, computer)
            .send()
            .await
            .unwrap();
        (answer.status(), answer.json().await.unwrap())
    }
}

fn moment() -> Moment {
    Moment {
        now: OffsetDateTime::now_utc(),
        serial: [7; 16],
    }
}

fn request(key: u8) -> Value {
    let csr = CertificateParams::default()
        .serialize_request(&KeyPair::generate().unwrap())
        .unwrap();
    json!({"csr": csr.pem().unwrap(), "wireguard_public_key": PublicKey([key; 32]), "port": 6326})
}

async fn registry(network: &str) -> Served {
    Served::start(tempfile::tempdir().unwrap(), network).await
}

const NETWORK: &str = "fd12:3456:789a::/48";

#[tokio::test]
async fn a_restart_keeps_prefixes_and_authority() {
    let registry = registry(NETWORK).await;
    let (_, first) = registry.join("COMP-1", &request(1)).await;
    let (_, second) = registry.join("COMP-2", &request(2)).await;
    assert_eq!(second["prefix"], "fd12:3456:789a:2::/64");
    assert_eq!(second["link_address"], "fd12:3456:789a::2:0:1");
    assert_eq!(second["peers"][0]["reference"], "COMP-1");

    let registry = registry.restart(NETWORK).await;
    let (_, again) = registry.join("COMP-2", &request(2)).await;
    assert_eq!(
        (&again["prefix"], &again["ca"]),
        (&second["prefix"], &first["ca"])
    );
    assert_eq!(again["version"], second["version"], "nothing moved");
}

#[tokio::test]
async fn nobody_is_answered_without_a_name() {
    let registry = registry(NETWORK).await;
    for computer in ["", "COMP 2", "../x"] {
        let (status, answer) = registry.join(computer, &request(1)).await;
        assert_eq!(
            (status, &answer["error"]),
            (StatusCode::UNAUTHORIZED, &json!("unauthorized")),
            "{computer}"
        );
    }
    let answer = registry
        .http()
        .get("http://registry/v1/re6st/network")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn news_come_as_soon_as_there_are_any() {
    let registry = registry(NETWORK).await;
    let (_, first) = registry.join("COMP-1", &request(1)).await;
    let (news, _) = tokio::join!(registry.network("COMP-1", &first["version"]), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        registry.join("COMP-2", &request(2)).await
    });
    assert_eq!(news.1["peers"][0]["prefix"], "fd12:3456:789a:2::/64");
    assert_eq!(news.1["since"], first["version"], "only what is new");
    let (_, known) = registry.network("COMP-1", &json!(0)).await;
    assert_eq!(known["peers"], news.1["peers"]);
}

#[tokio::test]
async fn a_released_computer_is_no_member_and_its_prefix_is_free() {
    let registry = registry("fd12:3456:789a::/60").await;
    for number in 1..16_u8 {
        let (status, _) = registry
            .join(&format!("COMP-{number}"), &request(number))
            .await;
        assert_eq!(status, StatusCode::OK);
    }
    let (status, full) = registry.join("COMP-16", &request(16)).await;
    assert_eq!(
        (status, &full["error"]),
        (StatusCode::INSUFFICIENT_STORAGE, &json!("network_full"))
    );
    assert_eq!(
        full["message"],
        "the network fd12:3456:789a::/60 is full: every prefix is taken"
    );

    for _ in 0..2 {
        let answer = registry
            .http()
            .post("http://registry/local/release/COMP-7")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    }
    let (status, answer) = registry.network("COMP-7", &json!(0)).await;
    assert_eq!(
        (status, &answer["error"]),
        (StatusCode::NOT_FOUND, &json!("not_a_member"))
    );
    let (_, joined) = registry.join("COMP-16", &request(16)).await;
    assert_eq!(joined["prefix"], "fd12:3456:789a:7::/64");
}

#[tokio::test]
async fn the_map_is_what_members_tell_of_their_tunnels() {
    let registry = registry(NETWORK).await;
    let post = async |computer: &str, report: Value| {
        let request = registry.http().post("http://registry/v1/re6st/links");
        let request = request.header(COMPUTER_HEADER, computer).json(&report);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap_or(Value::Null))
    };
    let report = json!({"links": [{"peer": "COMP-2", "round_trip_ms": 1.5}]});
    let (status, answer) = post("COMP-1", report.clone()).await;
    assert_eq!(
        (status, &answer["error"]),
        (StatusCode::NOT_FOUND, &json!("not_a_member"))
    );
    for number in [1, 2, 3] {
        let computer = format!("COMP-{number}");
        registry.join(&computer, &request(number)).await;
    }
    for computer in ["COMP-1", "COMP-2"] {
        registry.network(computer, &json!(0)).await;
    }
    assert_eq!(post("COMP-1", report).await.0, StatusCode::NO_CONTENT);
    let link = json!({"peer": "COMP-1"});
    let (status, answer) = post("COMP-2", json!({"links": vec![link; 65]})).await;
    assert_eq!(
        (status, &answer["message"]),
        (
            StatusCode::BAD_REQUEST,
            &json!("65 tunnels are more than the 64 that a computer may tell")
        )
    );

    let answer = registry.http().get("http://registry/local/map");
    let map: Value = answer.send().await.unwrap().json().await.unwrap();
    let alive: Vec<&Value> = (0..3).map(|node| &map["nodes"][node]["is_alive"]).collect();
    assert_eq!(alive, [true, true, false]);
    assert_eq!(map["nodes"][2]["silent_seconds"], Value::Null);
    let expected = json!([{"ends": ["COMP-1", "COMP-2"], "round_trip_ms": 1.5}]);
    assert_eq!(map["links"], expected);
}

#[tokio::test]
async fn bad_joins_are_refused_in_words() {
    let registry = registry(NETWORK).await;
    registry.join("COMP-1", &request(1)).await;
    let with = |key: &str, value: Value| {
        let mut request = request(2);
        request[key] = value;
        request
    };
    for (request, code, words) in [
        (with("port", json!(0)), "bad_request", "the port is 0"),
        (
            with("endpoint", json!("nowhere")),
            "bad_request",
            "the endpoint `nowhere` is not host:port",
        ),
        (
            with("addresses", json!(vec!["192.0.2.1:6326"; 17])),
            "bad_request",
            "17 addresses are more than the 16 that a computer may tell",
        ),
        (
            with("csr", json!("x")),
            "bad_request",
            "the certificate signing request is not good",
        ),
        (
            request(1),
            "key_taken",
            "the WireGuard key belongs to another computer",
        ),
    ] {
        let (status, answer) = registry.join("COMP-2", &request).await;
        assert!(status.is_client_error());
        assert_eq!(
            (&answer["error"], &answer["message"]),
            (&json!(code), &json!(words))
        );
    }
    let (status, _) = registry.network("COMP-2", &json!(0)).await;
    assert_eq!(
        status,
        StatusCode::NOT_FOUND,
        "a refused join leaves nothing"
    );
}

#[tokio::test]
async fn the_socket_is_open_to_owner_and_group_only() {
    let registry = registry(NETWORK).await;
    let mode = std::fs::metadata(registry.folder.path().join("http.sock"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[tokio::test]
async fn another_network_needs_another_folder() {
    let folder = tempfile::tempdir().unwrap();
    let state = Utf8PathBuf::try_from(folder.path().to_owned()).unwrap();
    let settings = |network: Option<&str>| Settings {
        state: state.clone(),
        socket: state.join("http.sock"),
        network: network.map(|network| network.parse().unwrap()),
        host: None,
        domain: Domain::default(),
        regions: std::collections::BTreeMap::new(),
    };
    let made = Registry::open(&settings(None), [0x12, 0x34, 0x56, 0x78, 0x9a], moment()).unwrap();
    assert_eq!(made.network(), NETWORK.parse().unwrap());
    Registry::open(&settings(Some("fd12:3456:789a::1/48")), [0; 5], moment()).unwrap();
    let refusal = Registry::open(&settings(Some("fd00::/48")), [0; 5], moment()).unwrap_err();
    assert!(matches!(refusal, Error::OtherNetwork { .. }), "{refusal}");
    crate::disk::replace(
        &state.join("members.json"),
        crate::disk::Access::Private,
        b"{",
    )
    .unwrap();
    assert!(
        Registry::open(&settings(None), [0; 5], moment()).is_err(),
        "a damaged store is not begun anew"
    );
}
