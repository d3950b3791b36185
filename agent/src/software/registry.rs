//! A registry, by the OCI distribution protocol: an image is pulled as its documents and its layers, each verified by its
//! digest, and where this box names keys it must be signed by one. Only what anybody may pull: a token is asked for where the registry wants one, a name and a password are not.
//!
//! Nothing of a registry is believed: no answer is longer than announced and than fits, none comes by a way that others
//! can change.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use http_auth::parser::ChallengeParser;
use reqwest::header::{ACCEPT, RANGE, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::archive::{ArchiveError, Descriptor, Digest};
use super::budget::Budget;
use crate::master::is_trusted_way;
use crate::workload::Fetcher;

mod blob;
mod pull;
pub(super) mod reference;
mod signature;

pub use blob::BlobError;
pub(super) use pull::pull;
use reference::NO_HOST;
pub use reference::NotAReference;
pub(super) use reference::{Reference, SCHEME};
pub use signature::SignatureError;

/// An image could not be pulled.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error(transparent)]
    Reference(NotAReference),
    #[error("the registry's {what} would not come over https")]
    NotHttps { what: &'static str },
    #[error("failed to ask its registry for its {what}")]
    Ask {
        what: &'static str,
        #[source]
        source: reqwest::Error,
    },
    #[error("its registry answers {status} when asked for its {what}")]
    Status {
        what: &'static str,
        status: StatusCode,
    },
    #[error(
        "its registry lets nobody have it who does not log in ({status}); only public images can be pulled"
    )]
    NotPublic { status: StatusCode },
    #[error("its registry's {what} is longer than {most} bytes")]
    TooLong { what: &'static str, most: u64 },
    #[error("failed to understand its registry's token")]
    Token(#[source] serde_json::Error),
    #[error("its layers have {announced} bytes, and there is room for {room} on the disk")]
    TooLarge { announced: u64, room: u64 },
    #[error("its manifest is of a kind that is not supported: it has neither manifests nor layers")]
    Kind,
    #[error("its indexes name each other")]
    TooDeep,
    #[error("it is not signed as this box wants it")]
    Signature(#[source] SignatureError),
    #[error(transparent)]
    Image(ArchiveError),
    #[error("failed to receive {digest}")]
    Blob {
        digest: Digest,
        #[source]
        source: BlobError,
    },
    #[error("failed to use `{path}`")]
    Disk {
        path: Utf8PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// The most a document may have, as the specification has it.
const LONGEST_DOCUMENT: u64 = 4 * 1024 * 1024;
const LONGEST_TOKEN: u64 = 64 * 1024;
/// What a manifest may be.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// A registry that says nothing for so long is asked again.
const SILENCE: Duration = Duration::from_secs(60);

/// A registry with the token that it wants for one name.
#[derive(Debug)]
struct Registry<'a> {
    fetcher: &'a Fetcher,
    base: Url,
    name: String,
    token: Mutex<Option<String>>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl<'a> Registry<'a> {
    fn of(fetcher: &'a Fetcher, reference: &Reference) -> Result<Self, RegistryError> {
        let Reference { host, name, .. } = reference;
        let wrong = |_| RegistryError::Reference(NO_HOST);
        // As Docker does, what this machine serves itself needs no certificate.
        let plain = Url::parse(&format!("http://{host}/v2/{name}/")).map_err(wrong)?;
        let secure = Url::parse(&format!("https://{host}/v2/{name}/")).map_err(wrong)?;
        Ok(Self {
            fetcher,
            base: if is_trusted_way(&plain) {
                plain
            } else {
                secure
            },
            name: name.clone(),
            token: Mutex::new(None),
        })
    }

    fn url(&self, path: &str) -> Result<Url, RegistryError> {
        let joined = self.base.join(path);
        joined.map_err(|_| RegistryError::Reference(NO_HOST))
    }

    /// Returns a document: a manifest, or an index.
    async fn manifest(&self, version: &str) -> Result<Vec<u8>, RegistryError> {
        const WHAT: &str = "manifest";
        let url = self.url(&format!("manifests/{version}"))?;
        let response = self.ask(WHAT, url, 0).await?;
        body(WHAT, response, LONGEST_DOCUMENT).await
    }

    /// Asks for something from a position on, with a token if the registry wants one.
    async fn ask(
        &self,
        what: &'static str,
        url: Url,
        from: u64,
    ) -> Result<Response, RegistryError> {
        let response = self.send(what, url.clone(), from).await?;
        let response = if response.status() == StatusCode::UNAUTHORIZED {
            self.log_in(&response).await?;
            self.send(what, url, from).await?
        } else {
            response
        };
        let status = response.status();
        if !is_trusted_way(response.url()) {
            return Err(RegistryError::NotHttps { what });
        }
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(RegistryError::NotPublic { status })
            }
            status if status.is_success() => Ok(response),
            status => Err(RegistryError::Status { what, status }),
        }
    }

    async fn send(
        &self,
        what: &'static str,
        url: Url,
        from: u64,
    ) -> Result<Response, RegistryError> {
        let mut request = self.fetcher.client(&url).get(url).header(ACCEPT, MANIFESTS);
        if let Some(token) = self.token.lock().await.as_deref() {
            request = request.bearer_auth(token);
        }
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let sent = request.send().await;
        sent.map_err(|error| RegistryError::Ask {
            what,
            source: error.without_url(),
        })
    }

    /// Asks whom the registry names for a token that lets anybody pull.
    async fn log_in(&self, refused: &Response) -> Result<(), RegistryError> {
        const WHAT: &str = "token";
        let status = refused.status();
        let url = challenge(refused).ok_or(RegistryError::NotPublic { status })?;
        if !is_trusted_way(&url) {
            return Err(RegistryError::NotHttps { what: WHAT });
        }
        let scope = format!("repository:{}:pull", self.name);
        let request = self.fetcher.client(&url).get(url);
        let sent = request.query(&[("scope", scope)]).send().await;
        let response = sent.map_err(|error| RegistryError::Ask {
            what: WHAT,
            source: error.without_url(),
        })?;
        let status = response.status();
        if !status.is_success() {
            return Err(RegistryError::NotPublic { status });
        }
        let text = body(WHAT, response, LONGEST_TOKEN).await?;
        let token: Token = serde_json::from_slice(&text).map_err(RegistryError::Token)?;
        let token = token.token.or(token.access_token);
        *self.token.lock().await = token;
        Ok(())
    }

    /// Brings a blob to the disk; what it holds is verified when it is used.
    async fn blob(&self, wanted: &Descriptor, path: &Utf8Path) -> Result<(), RegistryError> {
        let url = self.url(&format!("blobs/{}", wanted.digest))?;
        let received = blob::receive(self, &url, wanted.size, path).await;
        received.map_err(|source| RegistryError::Blob {
            digest: wanted.digest,
            source,
        })
    }
}

/// Returns whom a registry's refusal says to ask for a token.
fn challenge(refused: &Response) -> Option<Url> {
    let header = refused.headers().get(WWW_AUTHENTICATE)?.to_str().ok()?;
    let mut challenges = ChallengeParser::new(header).filter_map(Result::ok);
    let bearer = challenges.find(|one| one.scheme.eq_ignore_ascii_case("bearer"))?;
    let parameter = |name: &str| {
        let mut parameters = bearer.params.iter();
        let found = parameters.find(|(one, _)| one.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_unescaped())
    };
    let mut url = Url::parse(&parameter("realm")?).ok()?;
    if let Some(service) = parameter("service") {
        url.query_pairs_mut().append_pair("service", &service);
    }
    Some(url)
}

/// Reads an answer that fits into memory.
async fn body(
    what: &'static str,
    mut response: Response,
    most: u64,
) -> Result<Vec<u8>, RegistryError> {
    let mut text = Vec::new();
    loop {
        let piece = response.chunk().await;
        let piece = piece.map_err(|error| RegistryError::Ask {
            what,
            source: error.without_url(),
        })?;
        let Some(piece) = piece else {
            return Ok(text);
        };
        if (text.len() + piece.len()) as u64 > most {
            return Err(RegistryError::TooLong { what, most });
        }
        text.extend_from_slice(&piece);
    }
}

/// Says whether so much fits on the disk of a folder.
fn check_room(announced: u64, folder: &Utf8Path) -> Result<(), RegistryError> {
    let budget = Budget::of_disk(folder).map_err(|source| RegistryError::Disk {
        path: folder.to_owned(),
        source,
    })?;
    let room = budget.bytes();
    if announced > room {
        return Err(RegistryError::TooLarge { announced, room });
    }
    Ok(())
}
