//! Calls to the registry: through the master's TLS, or on the registry's own socket.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8Path;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Certificate, Identity, RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;

use crate::reference::Reference;
use crate::wire::{ApiError, COMPUTER_HEADER, JoinReply, JoinRequest, View};

/// The name in every master's certificate: the address in a URL may be anything.
const MASTER: &str = "master.slapbox.internal";
/// The registry holds a question for news for fifty seconds.
const TIMEOUT: Duration = Duration::from_secs(65);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What became of a call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not one.
    #[error("`{url}` is not the https URL of a master")]
    Url {
        /// What was given.
        url: String,
    },
    /// The credentials are not good.
    #[error("failed to use the identity")]
    Identity(#[source] reqwest::Error),
    /// There is no answer, or none that is understood.
    #[error("failed to call the registry")]
    Call(#[source] reqwest::Error),
    /// The registry, or the master before it, does not want to.
    #[error("the registry refuses: {}", .0.message)]
    Refused(ApiError),
}

impl Error {
    /// Says whether the registry does not know this computer.
    pub fn is_not_a_member(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.error == "not_a_member")
    }
}

/// Who calls, and where.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
}

impl Client {
    /// Calls through a master: trusts its CA alone, insists on its fixed name, shows the computer's certificate.
    pub(super) fn through_master(url: &str, ca: &str, identity: &str) -> Result<Self, Error> {
        let refused = || Error::Url {
            url: url.to_owned(),
        };
        let mut base = Url::parse(url).map_err(|_| refused())?;
        if base.scheme() != "https" {
            return Err(refused());
        }
        let host = base
            .host_str()
            .ok_or_else(refused)?
            .trim_matches(['[', ']'])
            .to_owned();
        base.set_host(Some(MASTER)).map_err(|_| refused())?;
        let http = reqwest::Client::builder()
            .tls_certs_only([Certificate::from_pem(ca.as_bytes()).map_err(Error::Identity)?])
            .identity(Identity::from_pem(identity.as_bytes()).map_err(Error::Identity)?)
            .dns_resolver(Arc::new(Always(host)))
            .https_only(true)
            .no_proxy()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT);
        Ok(Self {
            http: http.build().map_err(Error::Identity)?,
            base,
        })
    }

    /// Calls on the registry's socket, as the computer that one says to be.
    pub(super) fn on_socket(socket: &Utf8Path, computer: &Reference) -> Result<Self, Error> {
        let computer = HeaderValue::from_str(computer.as_str()).expect("a reference is plain text");
        let http = reqwest::Client::builder()
            .default_headers(HeaderMap::from_iter([(
                COMPUTER_HEADER.parse().expect("a header's name"),
                computer,
            )]))
            .unix_socket(socket.as_std_path())
            .timeout(TIMEOUT);
        let base = Url::parse("http://registry").expect("a URL");
        Ok(Self {
            http: http.build().map_err(Error::Identity)?,
            base,
        })
    }

    /// Becomes a member, or renews the membership.
    pub(super) async fn join(&self, request: &JoinRequest) -> Result<JoinReply, Error> {
        call(self.http.post(self.url("/v1/re6st/join")).json(request)).await
    }

    /// Returns whom to talk to, at once if it is not what version `since` said.
    pub(super) async fn network(&self, since: u64) -> Result<View, Error> {
        let mut url = self.url("/v1/re6st/network");
        url.set_query(Some(&format!("since={since}")));
        call(self.http.get(url)).await
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }
}

async fn call<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Error> {
    let answer = request.send().await.map_err(Error::Call)?;
    let status = answer.status();
    if status.is_success() {
        return answer.json().await.map_err(Error::Call);
    }
    let body = answer.bytes().await.map_err(Error::Call)?;
    Err(Error::Refused(
        serde_json::from_slice(&body).unwrap_or_else(|_| wordless(status)),
    ))
}

fn wordless(status: StatusCode) -> ApiError {
    ApiError {
        error: "unknown".to_owned(),
        message: format!("status {status}"),
    }
}

/// Resolves every name to the addresses of one host.
struct Always(String);

impl Resolve for Always {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.0.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0))
                .await
                .map_err(|err| Box::new(err) as Box<dyn StdError + Send + Sync>)?
                .collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
