//! A master that does as it is told: a CA, a server certificate of any validity, tokens, and answers that get lost.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::serve::Listener;
use axum::{Form, Json};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
    PublicKeyData as _, SanType,
};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use slap::client::Identity;
use slap::forms::{RequestForm, UsageForm};
use slap::join::{CaPin, Token};
use slap::v1::{ApiError, EnrolReply, EnrolRequest, RenewReply, RenewRequest, SignedTime};
use slap::{InstanceGuid, JoinBlob, Journal, PartitionId, SoftwareInstance};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What the master does with those who enrol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Lets them in.
    Admit,
    /// Has them wait so many times first.
    Pend(u32),
    /// Refuses the token, with this code and these words.
    Refuse(&'static str, &'static str),
    /// Lets them in, but so many of its answers get lost.
    LoseAnswers(u32),
}

/// A master that runs.
pub(crate) struct TestMaster {
    pub(crate) address: SocketAddr,
    ca: CertificateParams,
    ca_key: KeyPair,
    ca_pem: String,
    pub(crate) mood: Mutex<Mood>,
    /// What nodes used; a document that comes twice is one.
    pub(crate) usage: Mutex<BTreeSet<String>>,
    /// The certificate that was shown last.
    pub(crate) caller: Arc<Mutex<Option<Vec<u8>>>>,
    /// What happened, in order.
    pub(crate) seen: Mutex<Vec<String>>,
}

pub(crate) fn token() -> Token {
    Token::from_random([1; 12], [2; 32])
}

impl TestMaster {
    /// Starts a master whose own certificate counts from `days_from` to `days_to`, seen from today.
    pub(crate) async fn start(mood: Mood, days_from: i64, days_to: i64) -> Arc<Self> {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_certificate = ca.self_signed(&ca_key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server_key = KeyPair::generate().unwrap();
        let mut server = CertificateParams::default();
        let name = slap::MASTER_NAME.try_into().unwrap();
        server.subject_alt_names.push(SanType::DnsName(name));
        let today = time::OffsetDateTime::now_utc();
        server.not_before = today + time::Duration::days(days_from);
        server.not_after = today + time::Duration::days(days_to);
        let issuer = Issuer::from_params(&ca, &ca_key);
        let server = server.signed_by(&server_key, &issuer).unwrap();
        drop(issuer);
        let mut roots = RootCertStore::empty();
        roots.add(ca_certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
            .allow_unauthenticated()
            .build()
            .unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![server.der().clone(), ca_certificate.der().clone()],
                PrivateKeyDer::try_from(server_key.serialize_der()).unwrap(),
            )
            .unwrap();
        let ca_pem = ca_certificate.pem();
        let (mood, seen) = (Mutex::new(mood), Mutex::default());
        let master = Arc::new(Self {
            address,
            ca,
            ca_key,
            ca_pem,
            mood,
            usage: Mutex::default(),
            caller: Arc::default(),
            seen,
        });
        let listener = Tls {
            listener,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            caller: Arc::clone(&master.caller),
        };
        tokio::spawn(axum::serve(listener, router(Arc::clone(&master))).into_future());
        master
    }

    /// What a box is given to join.
    pub(crate) fn join(&self) -> JoinBlob {
        let ca = CaPin::of_spki(&self.ca_key.subject_public_key_info());
        JoinBlob {
            urls: vec![format!("https://{}", self.address)],
            ca,
            token: token(),
        }
    }

    /// What happened since the last time.
    pub(crate) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// Makes a certificate with its key.
    pub(crate) fn identity(&self) -> Identity {
        let key = KeyPair::generate().unwrap();
        let request = CertificateParams::default()
            .serialize_request(&key)
            .unwrap();
        Identity {
            certificate_pem: self.issue(&request.pem().unwrap(), 7),
            key_pem: key.serialize_pem(),
        }
    }

    fn issue(&self, csr: &str, days: i64) -> String {
        let mut request = CertificateSigningRequestParams::from_pem(csr).unwrap();
        request.params.not_before = time::OffsetDateTime::now_utc() - time::Duration::hours(1);
        request.params.not_after = request.params.not_before + time::Duration::days(days);
        let issuer = Issuer::from_params(&self.ca, &self.ca_key);
        request.signed_by(&issuer).unwrap().pem()
    }
}

fn router(master: Arc<TestMaster>) -> Router {
    Router::new()
        .route(
            "/v1/ca",
            get(async |State(master): State<Arc<TestMaster>>| master.ca_pem.clone()),
        )
        .route("/v1/time", get(signed_time))
        .route("/v1/enrol", post(enrol))
        .route("/v1/renew", post(renew))
        .route("/useComputer", post(use_computer))
        .route("/requestComputerPartition", post(request))
        .with_state(master)
}

async fn signed_time(
    State(master): State<Arc<TestMaster>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Json<SignedTime> {
    master.seen.lock().unwrap().push("time".into());
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64;
    let nonce = URL_SAFE_NO_PAD.decode(&query["nonce"]).unwrap();
    let der = master.ca_key.serialize_der();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der).unwrap();
    let message = slap::v1::signed_time_message(&nonce, time);
    let signature = key.sign(&SystemRandom::new(), &message).unwrap();
    Json(SignedTime {
        time,
        signature: URL_SAFE_NO_PAD.encode(signature),
        previous_signature: None,
    })
}

async fn enrol(
    State(master): State<Arc<TestMaster>>,
    Json(request): Json<EnrolRequest>,
) -> Response {
    let key = slap::comparison_code(
        &CertificateSigningRequestParams::from_pem(&request.csr)
            .unwrap()
            .public_key
            .subject_public_key_info(),
    );
    master
        .seen
        .lock()
        .unwrap()
        .push(format!("enrol {key} {}", request.token.id()));
    let mut mood = master.mood.lock().unwrap();
    match *mood {
        Mood::Admit => {}
        Mood::Refuse(code, words) => return refusal(StatusCode::FORBIDDEN, code, words),
        Mood::Pend(0) | Mood::LoseAnswers(0) => *mood = Mood::Admit,
        Mood::Pend(times) => {
            *mood = Mood::Pend(times - 1);
            let pending = EnrolReply::Pending {
                code: key,
                retry_after_seconds: 1,
            };
            return (StatusCode::ACCEPTED, Json(pending)).into_response();
        }
        Mood::LoseAnswers(times) => {
            *mood = Mood::LoseAnswers(times - 1);
            return refusal(StatusCode::BAD_GATEWAY, "lost", "the answer is lost");
        }
    }
    let certificate = master.issue(&request.csr, 7);
    let (reference, ca) = ("COMP-2".to_owned(), master.ca_pem.clone());
    Json(EnrolReply::Enrolled {
        reference,
        certificate,
        ca,
    })
    .into_response()
}

/// Takes what the schema of `computer_consumption.xsd` takes, as ERP5 does.
async fn use_computer(
    State(master): State<Arc<TestMaster>>,
    Form(fields): Form<BTreeMap<String, String>>,
) -> Response {
    let form = UsageForm::from_fields(fields.into_iter().collect()).unwrap();
    let seen = |words: &str| {
        let line = format!("usage of {} {words}", form.computer);
        master.seen.lock().unwrap().push(line);
    };
    if let Err(error) = Journal::from_xml(&form.usage) {
        seen("refused");
        return refusal(StatusCode::BAD_REQUEST, "bad_request", &error.to_string());
    }
    let mut mood = master.mood.lock().unwrap();
    if let Mood::LoseAnswers(times @ 1..) = *mood {
        *mood = Mood::LoseAnswers(times - 1);
        master.usage.lock().unwrap().insert(form.usage.clone());
        seen("lost");
        return refusal(StatusCode::BAD_GATEWAY, "lost", "the answer is lost");
    }
    let is_new = master.usage.lock().unwrap().insert(form.usage.clone());
    seen(if is_new { "new" } else { "again" });
    "OK".into_response()
}

/// Has an instance of each title but one.
async fn request(
    State(master): State<Arc<TestMaster>>,
    Form(fields): Form<BTreeMap<String, String>>,
) -> Response {
    let form = RequestForm::from_fields(fields.into_iter().collect()).unwrap();
    let requester = form.requester.unwrap();
    let line = format!(
        "{} of {} requests {} of {}",
        requester.partition, requester.computer, form.title, form.software_url
    );
    master.seen.lock().unwrap().push(line);
    if form.title.as_str() == "moon" {
        return (StatusCode::REQUEST_TIMEOUT, "no partition is free").into_response();
    }
    let instance = SoftwareInstance {
        computer: requester.computer,
        partition: PartitionId::indexed(7),
        guid: Some(InstanceGuid::numbered(3)),
        requested_state: form.state,
        software_url: form.software_url,
        software_type: form.software_type,
        parameters: form.parameters,
        connection: BTreeMap::from([("url".into(), "http://[::1]/".into())]),
        addresses: Vec::new(),
        instance_title: None,
        root_instance_title: None,
    };
    instance.to_xml().into_response()
}

async fn renew(
    State(master): State<Arc<TestMaster>>,
    Json(request): Json<RenewRequest>,
) -> Json<RenewReply> {
    master.seen.lock().unwrap().push("renew".into());
    Json(RenewReply {
        certificate: master.issue(&request.csr, 14),
        ca: master.ca_pem.clone(),
    })
}

fn refusal(status: StatusCode, code: &str, words: &str) -> Response {
    let error = ApiError {
        error: code.into(),
        message: words.into(),
    };
    (status, Json(error)).into_response()
}

/// TLS for axum.
struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    caller: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                let shown = stream.get_ref().1.peer_certificates();
                let shown = shown.and_then(<[_]>::first).map(|it| it.to_vec());
                *self.caller.lock().unwrap() = shown;
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
