//! Why a call failed, told apart as far as callers act differently: nobody there, somebody else there, not now, not you, not this.

use std::error::Error as StdError;

use reqwest::StatusCode;
use rustls::{CertificateError, Error as RustlsError};

use super::verifier::PinMismatch;
use crate::forms::FormError;
use crate::v1::ApiError;
use crate::xml::DocumentError;

/// Why no client can be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There is nobody to call.
    #[error("no address of a master is known")]
    NoUrl,
    /// Only TLS is spoken.
    #[error("`{0}` is no address of a master")]
    BadUrl(String),
    /// The CA's certificate cannot be read.
    #[error("the CA's certificate cannot be read")]
    BadCa,
    /// Certificate or key cannot be read.
    #[error("the client certificate or its key cannot be read")]
    BadIdentityPem(#[source] rustls_pki_types::pem::Error),
    /// Certificate and key cannot be used, or do not belong together.
    #[error("the client certificate and its key cannot be used")]
    BadIdentity(#[source] RustlsError),
    /// The proxy's address.
    #[error("`{proxy}` is no address of a proxy")]
    BadProxy {
        /// What was given.
        proxy: String,
        /// Why.
        #[source]
        err: reqwest::Error,
    },
    /// Anything else.
    #[error("cannot make a client")]
    NoClient(#[source] reqwest::Error),
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody answers there: no route, no name, nobody listens, too slow, cut off.
    #[error("cannot reach the master at {url}")]
    Unreachable {
        /// The address that was tried last.
        url: String,
        /// Why.
        #[source]
        err: reqwest::Error,
    },
    /// Somebody answers who is not our master, or who does not want our certificate.
    #[error("TLS with {url} refused")]
    TlsRefused {
        /// Where.
        url: String,
        /// Why.
        #[source]
        refusal: TlsRefusal,
    },
    /// The instance has no partition yet (408): ask again later.
    #[error("not ready yet: {0}")]
    NotReady(ApiError),
    /// The caller may not (401, 403).
    #[error("refused: {0}")]
    Forbidden(ApiError),
    /// There is no such thing (404).
    #[error("not found: {0}")]
    NotFound(ApiError),
    /// Any other status.
    #[error("the master answered {status}: {error}")]
    Status {
        /// The status.
        status: u16,
        /// What it said.
        error: ApiError,
    },
    /// The answer broke off.
    #[error("the answer broke off")]
    Cut(#[source] reqwest::Error),
    /// The answer is longer than any should be.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The answer is none that was expected.
    #[error("the answer to {call} cannot be understood")]
    BadAnswer {
        /// What was asked.
        call: String,
        /// Why.
        #[source]
        err: AnswerError,
    },
    /// The time is signed by somebody else, or for somebody else.
    #[error("the time is not signed by the master's CA")]
    BadTimeSignature,
    /// The CA that came is not the one that is pinned.
    #[error("the CA's certificate that the master sent is not the pinned one")]
    OtherCa,
}

/// Why an answer cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// It should be JSON.
    #[error("not the JSON that was expected")]
    Json(#[from] serde_json::Error),
    /// It should be a marshalled object.
    #[error("not the object that was expected")]
    Document(#[from] DocumentError),
    /// It should be something else.
    #[error("{0}")]
    Other(&'static str),
    /// It should be a form.
    #[error("not the form that was expected")]
    Form(#[from] FormError),
}

/// Why TLS was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsRefusal {
    /// The pin or the signature: this is not our master.
    #[error(
        "the server is not the expected master: its certificate is not signed by the expected CA"
    )]
    OtherCa,
    /// The certificate is for something else.
    #[error(
        "the server is not a master: its certificate does not name `{}`",
        crate::MASTER_NAME
    )]
    OtherName,
    /// By this machine's clock.
    #[error("the server's certificate has expired, or this machine's clock is wrong")]
    Expired,
    /// By this machine's clock.
    #[error("the server's certificate is not valid yet, or this machine's clock is wrong")]
    NotYetValid,
    /// The other side closed with an alert, mostly since it does not accept the client certificate.
    #[error("the server refused: {0}")]
    Alert(String),
    /// Anything else that TLS can find wrong.
    #[error("{0}")]
    Other(String),
}

impl TlsRefusal {
    /// Finds what TLS said in an error's causes, if it was TLS.
    pub(super) fn among_causes(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(tls) = error.downcast_ref::<RustlsError>() {
                return Some(Self::of(tls));
            }
            // An I/O error's own cause is not the error it carries, but that one's cause.
            cause = match error
                .downcast_ref::<std::io::Error>()
                .and_then(|io| io.get_ref())
            {
                Some(carried) => Some(carried),
                None => error.source(),
            };
        }
        None
    }

    fn of(error: &RustlsError) -> Self {
        if let RustlsError::AlertReceived(alert) = error {
            return Self::Alert(format!("{alert:?}"));
        }
        let RustlsError::InvalidCertificate(problem) = error else {
            return Self::Other(error.to_string());
        };
        if let CertificateError::Other(other) = problem
            && other.0.is::<PinMismatch>()
        {
            return Self::OtherCa;
        }
        if matches!(
            problem,
            CertificateError::UnknownIssuer | CertificateError::BadSignature
        ) {
            return Self::OtherCa;
        }
        if matches!(
            problem,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        ) {
            return Self::OtherName;
        }
        if matches!(
            problem,
            CertificateError::Expired | CertificateError::ExpiredContext { .. }
        ) {
            return Self::Expired;
        }
        if matches!(
            problem,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }
        ) {
            return Self::NotYetValid;
        }
        Self::Other(problem.to_string())
    }
}

impl CallError {
    /// Returns the error of a call that got no answer.
    pub(super) fn unanswered(url: &reqwest::Url, err: reqwest::Error) -> Self {
        let url = url.origin().ascii_serialization();
        match TlsRefusal::among_causes(&err) {
            Some(refusal) => Self::TlsRefused { url, refusal },
            // The address is in our own text.
            None => Self::Unreachable {
                url,
                err: err.without_url(),
            },
        }
    }

    /// Returns the error that a status means.
    pub(super) fn of_status(status: StatusCode, error: ApiError) -> Self {
        match status {
            StatusCode::REQUEST_TIMEOUT => Self::NotReady(error),
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Self::Forbidden(error),
            StatusCode::NOT_FOUND => Self::NotFound(error),
            other => Self::Status {
                status: other.as_u16(),
                error,
            },
        }
    }
}
