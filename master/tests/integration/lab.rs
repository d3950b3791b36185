//! A master in a folder of its own, with a clock that can be moved, and those who call it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use slap::client::{CallError, Client, Identity, Settings as ClientSettings};
use slap::configuration::{PartitionAddress, PartitionConfiguration, PartitionUser, Tap};
use slap::v1::{ApiError, EnrolReply, EnrolRequest, Inventory, NewToken, TokenRequest};
use slap::{ComputerConfiguration, ComputerId, JoinBlob, PartitionId};
use slapbox_master::clock::{Clock, Entropy};
use slapbox_master::config::{Inputs, Settings};
use slapbox_master::local;
use slapbox_master::master::Master;
use slapbox_master::minting::Mint;
use slapbox_master::serve::{Server, StartError, World, start};

use crate::database::{Database, folder};

pub(crate) struct Lab {
    folder: tempfile::TempDir,
    server: Option<Server>,
    database: Database,
    ahead_seconds: Arc<AtomicI64>,
    registry: Option<Utf8PathBuf>,
    /// There when the master is open.
    default_computer: Option<ComputerId>,
    cache_bytes: Option<u64>,
}

/// Somebody's key.
pub(crate) struct Key(KeyPair);

/// A computer that has enrolled.
pub(crate) struct Node {
    pub(crate) client: Client,
    pub(crate) id: ComputerId,
    pub(crate) identity: Identity,
    pub(crate) key: Key,
}

impl Key {
    pub(crate) fn new() -> Self {
        Self(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap())
    }

    pub(crate) fn csr(&self) -> String {
        let params = CertificateParams::new(["whatever".to_owned()]).unwrap();
        params.serialize_request(&self.0).unwrap().pem().unwrap()
    }

    pub(crate) fn identity(&self, certificate_pem: String) -> Identity {
        Identity {
            certificate_pem,
            key_pem: self.0.serialize_pem(),
        }
    }
}

impl Lab {
    pub(crate) async fn open() -> Self {
        Self::started(None, Database::new().await).await
    }

    /// Another master on the same database, with the same CA.
    pub(crate) async fn beside(&self) -> Self {
        let mut lab = Self::prepared(None, self.database.shared());
        let ca = lab.data().join("ca");
        std::fs::create_dir_all(&ca).unwrap();
        for file in ["key.pem", "ca.pem"] {
            std::fs::copy(self.data().join("ca").join(file), ca.join(file)).unwrap();
        }
        lab.start().await.unwrap();
        lab
    }

    /// A master of its own CA, not started, on the same database.
    pub(crate) fn strange(&self) -> Self {
        Self::prepared(None, self.database.shared())
    }

    pub(crate) fn database_url(&self) -> Option<&str> {
        self.database.url.as_deref()
    }

    /// A master that asks nobody who they are.
    pub(crate) async fn open_to_anyone(default_computer: &str) -> Self {
        let computer = default_computer.parse().unwrap();
        Self::started(Some(computer), Database::new().await).await
    }

    async fn started(default_computer: Option<ComputerId>, database: Database) -> Self {
        let mut lab = Self::prepared(default_computer, database);
        lab.start().await.unwrap();
        lab
    }

    fn prepared(default_computer: Option<ComputerId>, database: Database) -> Self {
        Self {
            folder: folder().0,
            server: None,
            database,
            ahead_seconds: Arc::default(),
            registry: None,
            default_computer,
            cache_bytes: None,
        }
    }

    /// A master that has little room for what computers build.
    pub(crate) async fn with_small_cache(bytes: u64) -> Self {
        let mut lab = Self::open().await;
        lab.cache_bytes = Some(bytes);
        lab.restart().await;
        lab
    }

    pub(crate) async fn open_with_registry(socket: &Utf8Path) -> Self {
        let mut lab = Self::open().await;
        lab.registry = Some(socket.to_owned());
        lab.restart().await;
        lab
    }

    pub(crate) fn folder(&self) -> &Utf8Path {
        Utf8Path::from_path(self.folder.path()).unwrap()
    }

    pub(crate) fn is_in_a_file(&self) -> bool {
        self.database.is_file()
    }

    pub(crate) fn data(&self) -> Utf8PathBuf {
        self.folder().join("data")
    }

    pub(crate) fn welcome(&self) -> Utf8PathBuf {
        self.folder().join("welcome.json")
    }

    pub(crate) fn settings(&self) -> Settings {
        let here = Some("127.0.0.1:0".parse().unwrap());
        let is_open = self.default_computer.is_some();
        let urls = vec!["https://127.0.0.1:1".to_owned()];
        Inputs {
            data: Some(self.data()),
            listen: here.filter(|_| !is_open),
            insecure_http: here.filter(|_| is_open),
            default_computer: self.default_computer.clone(),
            urls: if is_open { Vec::new() } else { urls },
            registry_socket: self.registry.clone(),
            welcome: Some(self.welcome()),
            database: self.database.url.clone(),
            cache_bytes: self.cache_bytes,
        }
        .check()
        .unwrap()
    }

    pub(crate) fn world(&self) -> World {
        let ahead = Arc::clone(&self.ahead_seconds);
        let system = Clock::system();
        World {
            clock: Clock::new(move || {
                let seconds = u64::try_from(ahead.load(Ordering::Relaxed)).unwrap();
                system.now().plus(Duration::from_secs(seconds))
            }),
            entropy: Entropy::system(),
            // Services in these tests live on this machine.
            may_dial: |_| true,
        }
    }

    pub(crate) fn master(&self) -> &Master {
        &self.server.as_ref().unwrap().master
    }

    pub(crate) async fn start(&mut self) -> Result<(), StartError> {
        self.server = Some(start(self.settings(), self.world()).await?);
        Ok(())
    }

    pub(crate) async fn stop(&mut self) {
        self.server.take().unwrap().stop().await;
    }

    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start().await.unwrap();
    }

    pub(crate) fn let_pass(&self, seconds: i64) {
        self.ahead_seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(crate) fn url(&self) -> String {
        let scheme = match self.default_computer {
            Some(_) => "http",
            None => "https",
        };
        format!("{scheme}://{}", self.server.as_ref().unwrap().address)
    }

    pub(crate) fn ca(&self) -> String {
        std::fs::read_to_string(self.data().join("ca/ca.pem")).unwrap()
    }

    /// A client without a certificate.
    pub(crate) fn stranger(&self, join: &JoinBlob) -> Client {
        let settings = ClientSettings {
            urls: vec![self.url()],
            ..ClientSettings::joining(join)
        };
        Client::new(&settings).unwrap()
    }

    pub(crate) fn client(&self, identity: Identity) -> Client {
        let settings = ClientSettings::enrolled(vec![self.url()], self.ca(), identity);
        Client::new(&settings).unwrap()
    }

    /// A token made by whoever owns the master's files.
    pub(crate) async fn local_token(&self, wish: Mint) -> JoinBlob {
        let world = self.world();
        let database = self.settings().database;
        let (clock, entropy) = (&world.clock, &world.entropy);
        let urls = vec!["https://127.0.0.1:1".to_owned()];
        local::make_token(&self.data(), &database, wish, urls, clock, entropy)
            .await
            .unwrap()
            .parse()
            .unwrap()
    }

    pub(crate) async fn operator(&self) -> Client {
        self.client(self.operator_identity().await)
    }

    /// Plain HTTP over the master's TLS, for what no client of ours would send.
    pub(crate) fn http(&self, identity: Option<&Identity>) -> reqwest::Client {
        let tls =
            slap::client::trusting(&self.ca(), slap::client::Clock::Trusted, identity).unwrap();
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .no_proxy()
            .build()
            .unwrap()
    }

    pub(crate) async fn operator_identity(&self) -> Identity {
        let join = self.local_token(Mint::operator()).await;
        let key = Key::new();
        let (_, certificate) = enrolled(self.enrol(&join, &key, Inventory::default()).await);
        key.identity(certificate)
    }

    /// Somebody who joins by a token like this.
    pub(crate) async fn joined(&self, operator: &Client, request: TokenRequest) -> Identity {
        let join = token(operator, request).await;
        let key = Key::new();
        let (_, certificate) = enrolled(self.enrol(&join, &key, Inventory::default()).await);
        key.identity(certificate)
    }

    pub(crate) async fn enrol(
        &self,
        join: &JoinBlob,
        key: &Key,
        inventory: Inventory,
    ) -> Result<EnrolReply, CallError> {
        let request = EnrolRequest {
            token: join.token.clone(),
            csr: key.csr(),
            wanted: None,
            inventory,
        };
        self.stranger(join).enrol(&request).await
    }

    pub(crate) async fn node(&self, operator: &Client) -> Node {
        self.node_like(operator, Inventory::default()).await
    }

    pub(crate) async fn node_like(&self, operator: &Client, inventory: Inventory) -> Node {
        let request = TokenRequest::default();
        self.node_of(operator, request, inventory).await
    }

    pub(crate) async fn node_labelled(
        &self,
        operator: &Client,
        labels: BTreeMap<String, String>,
    ) -> Node {
        let request = TokenRequest {
            labels,
            ..TokenRequest::default()
        };
        self.node_of(operator, request, Inventory::default()).await
    }

    async fn node_of(
        &self,
        operator: &Client,
        request: TokenRequest,
        inventory: Inventory,
    ) -> Node {
        let join = token(operator, request).await;
        let key = Key::new();
        let (reference, certificate) = enrolled(self.enrol(&join, &key, inventory).await);
        let identity = key.identity(certificate);
        Node {
            client: self.client(identity.clone()),
            id: reference.parse().unwrap(),
            identity,
            key,
        }
    }
}

impl Node {
    pub(crate) async fn announce(&self, count: u16) {
        let configuration = configuration(&self.id, count);
        self.client
            .load_configuration(&configuration)
            .await
            .unwrap();
    }
}

pub(crate) async fn token(operator: &Client, request: TokenRequest) -> JoinBlob {
    let NewToken { join, .. } = operator.create_token(&request).await.unwrap();
    join.0.parse().unwrap()
}

/// The code for programs in a refusal.
pub(crate) fn code(error: &CallError) -> String {
    said(error).error.clone()
}

/// The words of a refusal.
pub(crate) fn words(error: &CallError) -> String {
    said(error).message.clone()
}

fn said(error: &CallError) -> &ApiError {
    let (CallError::NotReady(said)
    | CallError::Forbidden(said)
    | CallError::NotFound(said)
    | CallError::Status { error: said, .. }) = error
    else {
        panic!("no refusal: {error}");
    };
    said
}

/// The reference and the certificate of somebody who was let in.
pub(crate) fn enrolled(reply: Result<EnrolReply, CallError>) -> (String, String) {
    match reply.unwrap() {
        EnrolReply::Enrolled {
            reference,
            certificate,
            ..
        } => (reference, certificate),
        pending @ EnrolReply::Pending { .. } => panic!("{pending:?}"),
    }
}

/// What a node with so many partitions announces. All of them have this machine's address.
pub(crate) fn configuration(id: &ComputerId, count: u16) -> ComputerConfiguration {
    let partition = |index| PartitionConfiguration {
        capabilities: Vec::new(),
        external_storage: Vec::new(),
        reference: PartitionId::indexed(index),
        path: format!("/srv/slapgrid/slappart{index}"),
        user: PartitionUser {
            name: format!("slapuser{index}"),
            shell: "/bin/false".into(),
            groups: Vec::new(),
        },
        addresses: vec![
            PartitionAddress {
                address: format!("10.0.0.{}", index + 2).parse().unwrap(),
                netmask: "255.255.255.255".parse().unwrap(),
            },
            PartitionAddress {
                address: "::1".parse().unwrap(),
                netmask: "ffff::".parse().unwrap(),
            },
        ],
        ipv6_range: None,
        tap: Tap {
            name: format!("slaptap{index}"),
            ..Tap::default()
        },
    };
    ComputerConfiguration {
        reference: id.clone(),
        address: None,
        netmask: None,
        instance_root: "/srv/slapgrid".into(),
        software_root: "/srv/slapgrid/software".into(),
        software_user: "root".into(),
        storage_home: None,
        tap_gateway_interface: None,
        os_type: "[]".into(),
        version: "1".into(),
        interface: None,
        partitions: (0..count).map(partition).collect(),
    }
}
