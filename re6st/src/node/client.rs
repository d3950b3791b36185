//! Calls to the registry: through the master's TLS, or on the registry's own socket. One call becomes a stream, the carrier.

use std::time::Duration;

use camino::Utf8Path;
use reqwest::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use reqwest::{Proxy, RequestBuilder, Response, StatusCode, Upgraded, Url};
use serde::de::DeserializeOwned;
use slap::client::{Clock, Identity, SetupError};

use crate::carrier::PROTOCOL;
use crate::reference::Reference;
use crate::wire::{ApiError, COMPUTER_HEADER, JoinReply, JoinRequest, LinksReport, View};

/// The registry holds a question for news for fifty seconds.
const TIMEOUT: Duration = Duration::from_secs(65);
/// An answer that switches to datagrams comes at once or not at all.
const SWITCH_TIMEOUT: Duration = Duration::from_secs(20);
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
    Identity(#[source] SetupError),
    /// The proxy is none, or there can be no client at all.
    #[error("failed to prepare calls")]
    Client(#[source] reqwest::Error),
    /// There is no answer, or none that is understood.
    #[error("failed to call the registry")]
    Call(#[source] reqwest::Error),
    /// The registry, or the master before it, does not want to.
    #[error("the registry refuses: {}", .0.message)]
    Refused(ApiError),
    /// Who answers knows calls and no streams of datagrams.
    #[error("the registry, or the master before it, is older than carriers: status {0}")]
    NoCarrier(StatusCode),
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
    /// Calls through a master, as this computer: trusts its CA alone and insists on the fixed name, whatever the address.
    pub(super) fn through_master(
        url: &str,
        ca: &str,
        identity: &Identity,
        proxy: Option<&str>,
    ) -> Result<Self, Error> {
        let base = Url::parse(url)
            .ok()
            .filter(|url| url.scheme() == "https" && url.has_host())
            .ok_or_else(|| Error::Url {
                url: url.to_owned(),
            })?;
        let tls = slap::client::trusting(ca, Clock::Trusted, Some(identity));
        let mut http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.map_err(Error::Identity)?)
            .https_only(true)
            .no_proxy()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT);
        if let Some(proxy) = proxy {
            http = http.proxy(Proxy::all(proxy).map_err(Error::Client)?);
        }
        Ok(Self {
            http: http.build().map_err(Error::Client)?,
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
            http: http.build().map_err(Error::Client)?,
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

    /// Opens the stream that carries datagrams to the registry's computer.
    pub(super) async fn carrier(&self) -> Result<Upgraded, Error> {
        let request = self.http.get(self.url("/v1/re6st/carrier"));
        let answer = request
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, PROTOCOL)
            .timeout(SWITCH_TIMEOUT)
            .send()
            .await
            .map_err(Error::Call)?;
        match answer.status() {
            StatusCode::SWITCHING_PROTOCOLS => answer.upgrade().await.map_err(Error::Call),
            // A registry without carriers has no such path and no words for that, and a master that passes no switch on makes a plain call of it.
            status => {
                let refusal = refusal(answer).await?;
                Err(match (status, refusal.error.as_str()) {
                    (StatusCode::NOT_FOUND, WORDLESS) | (StatusCode::BAD_REQUEST, _) => {
                        Error::NoCarrier(status)
                    }
                    _ => Error::Refused(refusal),
                })
            }
        }
    }

    /// Tells with whom there are tunnels.
    pub(super) async fn links(&self, report: &LinksReport) -> Result<(), Error> {
        let request = self.http.post(self.url("/v1/re6st/links"));
        answer(request.json(report)).await.map(drop)
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }
}

async fn call<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Error> {
    answer(request).await?.json().await.map_err(Error::Call)
}

/// Returns the answer to a call that is not refused.
async fn answer(request: RequestBuilder) -> Result<Response, Error> {
    let answer = request.send().await.map_err(Error::Call)?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    Err(Error::Refused(refusal(answer).await?))
}

async fn refusal(answer: Response) -> Result<ApiError, Error> {
    let status = answer.status();
    let body = answer.bytes().await.map_err(Error::Call)?;
    Ok(serde_json::from_slice(&body).unwrap_or_else(|_| wordless(status)))
}

/// What is said of a refusal without words.
const WORDLESS: &str = "unknown";

fn wordless(status: StatusCode) -> ApiError {
    ApiError {
        error: WORDLESS.to_owned(),
        message: format!("status {status}"),
    }
}
