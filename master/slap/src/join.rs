//! What a box or a person needs to trust a master and be trusted by it, in one line: `slapbox1.<base64url of JSON>`.
//! The line is a secret as long as its token lives; `Debug` shows nothing of it.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const PREFIX: &str = "slapbox1.";

/// Where the master is, which CA to expect there, and what to show to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinBlob {
    /// Addresses of the master, `https://host[:port]`, in the order to try.
    pub urls: Vec<String>,
    /// The CA that signs whatever answers there.
    pub ca: CaPin,
    /// The token to redeem.
    pub token: Token,
}

/// SHA-256 of a CA's SubjectPublicKeyInfo (DER); as text base64url without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CaPin([u8; 32]);

/// A token: an id that may be shown and a secret that may not. As text `<id>.<secret>`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Token {
    id: String,
    secret: String,
}

/// Why a line is no join blob, or a part of it not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Something else was pasted.
    #[error("a join blob begins with `{PREFIX}`")]
    OtherText,
    /// A character was lost or added.
    #[error("the join blob is damaged, was it copied whole?")]
    Damaged,
    /// It decodes to something else.
    #[error("the join blob does not say what it should")]
    BadContent(#[source] serde_json::Error),
    /// There is nobody to call.
    #[error("the join blob names no master")]
    NoUrl,
    /// Only TLS is spoken.
    #[error("`{0}` is no address of a master: it must be `https://host` or `https://host:port`")]
    BadUrl(String),
    /// The pin has another length or alphabet.
    #[error("the CA's pin is not the base64url text of 32 bytes")]
    BadPin,
    /// The text has no id and secret of the right form.
    #[error("a token is `<id>.<secret>`, 12 characters and the base64url text of 32 bytes")]
    BadToken,
}

impl JoinBlob {
    /// Refuses a blob that names no master, or one that cannot be called.
    pub fn check(self) -> Result<Self, JoinError> {
        if self.urls.is_empty() {
            return Err(JoinError::NoUrl);
        }
        match self.urls.iter().find(|url| !is_master_url(url)) {
            Some(bad) => Err(JoinError::BadUrl(bad.clone())),
            None => Ok(self),
        }
    }

    /// Returns the line to give to a box or a person. It contains the secret.
    pub fn reveal(&self) -> String {
        let json = serde_json::to_vec(self).expect("texts only");
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json))
    }
}

impl FromStr for JoinBlob {
    type Err = JoinError;

    fn from_str(line: &str) -> Result<Self, JoinError> {
        let coded = line
            .trim()
            .strip_prefix(PREFIX)
            .ok_or(JoinError::OtherText)?;
        let json = URL_SAFE_NO_PAD
            .decode(coded)
            .map_err(|_| JoinError::Damaged)?;
        serde_json::from_slice::<Self>(&json)
            .map_err(JoinError::BadContent)?
            .check()
    }
}

/// Whether a text is `https://host[:port]` with nothing after it.
pub fn is_master_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://") else {
        return false;
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match authority.rfind(']') {
        Some(end) => authority.split_at(end + 1),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let host_is_right = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
        }
    };
    let port_is_right = match port.strip_prefix(':') {
        Some(number) => number.parse::<u16>().is_ok_and(|port| port > 0),
        None => port.is_empty(),
    };
    host_is_right && port_is_right
}

impl CaPin {
    /// Returns the pin of a CA from its SubjectPublicKeyInfo (DER).
    pub fn of_spki(spki_der: &[u8]) -> Self {
        Self(Sha256::digest(spki_der).into())
    }
}

impl fmt::Display for CaPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl FromStr for CaPin {
    type Err = JoinError;

    fn from_str(text: &str) -> Result<Self, JoinError> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| JoinError::BadPin)?;
        bytes.try_into().map(Self).map_err(|_| JoinError::BadPin)
    }
}

impl TryFrom<String> for CaPin {
    type Error = JoinError;

    fn try_from(text: String) -> Result<Self, JoinError> {
        text.parse()
    }
}

impl From<CaPin> for String {
    fn from(pin: CaPin) -> Self {
        pin.to_string()
    }
}

const ID_ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

impl Token {
    /// Makes a token of random bytes. The id has letters and digits that are not taken for others.
    pub fn from_random(id: [u8; 12], secret: [u8; 32]) -> Self {
        let letter = |byte: u8| char::from(ID_ALPHABET[usize::from(byte % 32)]);
        Self {
            id: id.into_iter().map(letter).collect(),
            secret: URL_SAFE_NO_PAD.encode(secret),
        }
    }

    /// Returns the part that may be shown and stored.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the secret part, as text.
    pub fn reveal_secret(&self) -> &str {
        &self.secret
    }

    /// Returns the whole, as text. It contains the secret.
    pub fn reveal(&self) -> String {
        format!("{}.{}", self.id, self.secret)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl FromStr for Token {
    type Err = JoinError;

    fn from_str(text: &str) -> Result<Self, JoinError> {
        let (id, secret) = text.split_once('.').ok_or(JoinError::BadToken)?;
        let id_is_right = id.len() == 12
            && id
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        let secret_is_right = URL_SAFE_NO_PAD
            .decode(secret)
            .is_ok_and(|bytes| bytes.len() == 32);
        if id_is_right && secret_is_right {
            Ok(Self {
                id: id.to_owned(),
                secret: secret.to_owned(),
            })
        } else {
            Err(JoinError::BadToken)
        }
    }
}

impl TryFrom<String> for Token {
    type Error = JoinError;

    fn try_from(text: String) -> Result<Self, JoinError> {
        text.parse()
    }
}

impl From<Token> for String {
    fn from(token: Token) -> Self {
        token.reveal()
    }
}

#[cfg(test)]
mod tests;
