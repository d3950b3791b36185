//! For those who call a master: TLS that trusts one CA and one name, several addresses tried in order, one function a verb.
//! It retries nothing: when to call again is the caller's to know.

mod cache;
mod call;
mod error;
mod forward;
mod people;
mod releases;
mod tls;
mod v1;
mod verbs;
mod verifier;

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use crate::join::{CaPin, JoinBlob};

pub use error::{CallError, SetupError, TlsRefusal};
pub use forward::Forwarded;
pub use releases::Download;
pub use tls::{Clock, Identity, pinned, pins_of_pem, trusting};
pub use verbs::{InstanceCertificate, Tag};

/// Whom to believe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The CA with this key: before enrolment, from the join blob.
    Pin(CaPin),
    /// The CA with this certificate (PEM): afterwards.
    Ca(String),
    /// Whoever has a certificate for the host in the URL: by the CAs with these certificates (PEM), or else by those that the
    /// system trusts. For masters of another make, the one kind that may be called by `http://`.
    Host(Option<String>),
}

/// What a client is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses of the master, in the order to try.
    pub urls: Vec<String>,
    /// Whom to believe there.
    pub trust: Trust,
    /// Whether this machine's clock may judge certificates.
    pub clock: Clock,
    /// Who calls, once it has a certificate.
    pub identity: Option<Identity>,
    /// An HTTP proxy for everything.
    pub proxy: Option<String>,
    /// How long a call may take, unless it is one that is meant to be long.
    pub timeout: Duration,
}

impl Settings {
    /// Returns the settings of somebody who has a join blob and nothing else.
    pub fn joining(join: &JoinBlob) -> Self {
        Self {
            urls: join.urls.clone(),
            trust: Trust::Pin(join.ca),
            clock: Clock::Trusted,
            identity: None,
            proxy: None,
            timeout: Duration::from_secs(60),
        }
    }

    /// Returns the settings of somebody who is known to a master of another make.
    pub fn known_to(url: String, ca_pem: Option<String>, identity: Option<Identity>) -> Self {
        Self {
            urls: vec![url],
            trust: Trust::Host(ca_pem),
            clock: Clock::Trusted,
            identity,
            proxy: None,
            timeout: Duration::from_secs(60),
        }
    }

    /// Returns the settings of somebody who has enrolled.
    pub fn enrolled(urls: Vec<String>, ca_pem: String, identity: Identity) -> Self {
        Self {
            urls,
            trust: Trust::Ca(ca_pem),
            clock: Clock::Trusted,
            identity: Some(identity),
            proxy: None,
            timeout: Duration::from_secs(60),
        }
    }
}

/// A client of one master.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    /// With connections of its own: one on which nothing but polls come costs the master next to nothing.
    polls: reqwest::Client,
    urls: Vec<reqwest::Url>,
    /// Which of the addresses answered last: it is tried first.
    last_good: AtomicUsize,
    trust: Trust,
    timeout: Duration,
}

impl Client {
    /// Makes a client. Nothing is called yet.
    pub fn new(settings: &Settings) -> Result<Self, SetupError> {
        if settings.urls.is_empty() {
            return Err(SetupError::NoUrl);
        }
        Ok(Self {
            http: http(settings)?,
            polls: http(settings)?,
            urls: settings
                .urls
                .iter()
                .map(|url| parse_url(url, &settings.trust))
                .collect::<Result<_, _>>()?,
            last_good: AtomicUsize::new(0),
            trust: settings.trust.clone(),
            timeout: settings.timeout,
        })
    }
}

impl Settings {
    /// Begins a client that believes and shows what these settings say.
    ///
    /// # Errors
    ///
    /// A certificate or key that cannot be used.
    pub fn tls(&self) -> Result<reqwest::ClientBuilder, SetupError> {
        let identity = self.identity.as_ref();
        let builder = reqwest::Client::builder();
        Ok(match &self.trust {
            Trust::Pin(pin) => {
                builder.tls_backend_preconfigured(pinned(*pin, self.clock, identity)?)
            }
            Trust::Ca(pem) => {
                builder.tls_backend_preconfigured(trusting(pem, self.clock, identity)?)
            }
            Trust::Host(ca) => by_host(builder, ca.as_deref(), identity)?,
        })
    }
}

fn by_host(
    mut builder: reqwest::ClientBuilder,
    ca_pem: Option<&str>,
    identity: Option<&Identity>,
) -> Result<reqwest::ClientBuilder, SetupError> {
    if let Some(pem) = ca_pem {
        let bundle = reqwest::Certificate::from_pem_bundle(pem.as_bytes());
        let bundle = bundle.ok().filter(|it| !it.is_empty());
        builder = builder.tls_certs_only(bundle.ok_or(SetupError::BadCa)?);
    }
    if let Some(identity) = identity {
        let both = format!("{}\n{}", identity.certificate_pem, identity.key_pem);
        let both = reqwest::Identity::from_pem(both.as_bytes());
        builder = builder.identity(both.map_err(SetupError::NoClient)?);
    }
    Ok(builder)
}

fn http(settings: &Settings) -> Result<reqwest::Client, SetupError> {
    let mut builder = settings
        .tls()?
        // An upgraded connection, which `forward` needs, is one of HTTP/1.1.
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("slapbox/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        // A master that lost its power says no goodbye: not to wait for it until a call's own end.
        .tcp_keepalive(Duration::from_secs(10))
        .tcp_keepalive_interval(Duration::from_secs(5))
        .tcp_keepalive_retries(3)
        .tcp_user_timeout(Duration::from_secs(25))
        // What comes together goes over one connection. Between polls it would be kept for nothing, at the master too.
        .pool_idle_timeout(Duration::from_secs(5));
    if let Some(proxy) = &settings.proxy {
        let proxy = reqwest::Proxy::all(proxy).map_err(|err| SetupError::BadProxy {
            proxy: proxy.clone(),
            err,
        })?;
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(SetupError::NoClient)
}

fn parse_url(text: &str, trust: &Trust) -> Result<reqwest::Url, SetupError> {
    let slashed = format!("{}/", text.trim_end_matches('/'));
    let is_spoken =
        |scheme: &str| scheme == "https" || scheme == "http" && matches!(trust, Trust::Host(_));
    match reqwest::Url::parse(&slashed) {
        Ok(url) if is_spoken(url.scheme()) && url.has_host() => Ok(url),
        _ => Err(SetupError::BadUrl(text.to_owned())),
    }
}
