//! Every error of the API and the status it has. Nowhere else is a status of an error chosen.

use std::io::ErrorKind;

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::admission::AdmissionError;
use crate::ca::CaError;
use crate::enrolment::TokenKind;
use crate::identity::{ComputerId, ProjectName};
use crate::renaming::RenameError;
use crate::requests::RequestError;
use crate::store::{StoreError, Trouble};
use crate::supplying::SupplyError;

/// Why a request is not answered as was hoped.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("this needs a certificate of this master's CA: enrol first")]
    NoCertificate,
    #[error("the certificate has expired: renew it, or enrol again")]
    CertificateExpired,
    #[error("this certificate is revoked")]
    Revoked,
    #[error("this master does not know whom the certificate names: enrol again")]
    UnknownCaller,
    #[error("{0}")]
    Forbidden(String),
    #[error("the token is unknown, expired or used up")]
    TokenRefused,
    #[error("{}", words_for_other_kind(*.0))]
    TokenOfOtherKind(TokenKind),
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    TooLarge(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{method} is not what this path is for")]
    NoSuchMethod { method: String },
    #[error("{0}")]
    NotYet(String),
    #[error("{0}")]
    Conflict(String),
    #[error("too many refused attempts from this address: try again in {seconds} s")]
    SlowDown { seconds: u64 },
    #[error("{0}")]
    Unreachable(String),
    #[error(
        "the master's database cannot be reached: nothing was changed, and the next attempt may succeed"
    )]
    NoDatabase(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(
        "the master lost its database while it kept this: it is done or it is not, so ask again"
    )]
    Unsure(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(
        "the master's disk is full: nothing was changed, and nothing can be until there is room"
    )]
    DiskFull(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the master failed; its log says why")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Who holds the secret may know what it is for, and how to get what they need.
const fn words_for_other_kind(token: TokenKind) -> &'static str {
    match token {
        TokenKind::Node => "the token is a node's, not a user's: `slapbox user invite` makes one",
        TokenKind::User(_) => {
            "the token is a user's, not a node's: `slapbox token create` makes one"
        }
    }
}

impl ApiError {
    /// There is no computer of this reference.
    pub(super) fn no_computer(reference: &ComputerId) -> Self {
        Self::NotFound(format!("there is no computer `{reference}`"))
    }

    /// There is no project of this name.
    pub(super) fn no_project(name: &ProjectName) -> Self {
        Self::NotFound(format!("there is no project `{name}`"))
    }

    /// Returns the status and the code for programs.
    fn meaning(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoCertificate => (StatusCode::UNAUTHORIZED, "no_certificate"),
            Self::CertificateExpired => (StatusCode::UNAUTHORIZED, "certificate_expired"),
            Self::Revoked => (StatusCode::FORBIDDEN, "revoked"),
            Self::UnknownCaller => (StatusCode::FORBIDDEN, "unknown_caller"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Self::TokenOfOtherKind(_) => (StatusCode::FORBIDDEN, "token_of_other_kind"),
            Self::TokenRefused => (StatusCode::FORBIDDEN, "token_refused"),
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::NoSuchMethod { .. } => (StatusCode::METHOD_NOT_ALLOWED, "no_such_method"),
            // SLAP's "not ready yet".
            Self::NotYet(_) => (StatusCode::REQUEST_TIMEOUT, "not_yet"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Self::SlowDown { .. } => (StatusCode::TOO_MANY_REQUESTS, "slow_down"),
            Self::Unreachable(_) => (StatusCode::BAD_GATEWAY, "unreachable"),
            Self::NoDatabase(_) => (StatusCode::SERVICE_UNAVAILABLE, "no_database"),
            Self::Unsure(_) => (StatusCode::SERVICE_UNAVAILABLE, "unsure"),
            Self::DiskFull(_) => (StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

/// The words of an error, for those routes that do not speak JSON.
#[derive(Clone, Debug)]
struct Words(String);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.meaning();
        if let Self::Internal(source)
        | Self::NoDatabase(source)
        | Self::Unsure(source)
        | Self::DiskFull(source) = &self
        {
            let error: &(dyn std::error::Error + 'static) = source.as_ref();
            tracing::error!(error, "{self}");
        }
        let body = slap::v1::ApiError {
            error: code.to_owned(),
            message: self.to_string(),
        };
        let mut response = (status, Json(&body)).into_response();
        if let Self::SlowDown { seconds } = self {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(Words(body.message));
        response
    }
}

/// Returns the words of an error that became an answer.
pub(super) fn words(response: &Response) -> Option<String> {
    let Words(words) = response.extensions().get::<Words>()?;
    Some(words.clone())
}

/// Turns an error's JSON into plain words: SLAP's clients show the text.
pub(super) async fn in_words(mut response: Response) -> Response {
    // They know 503 as a master that cannot do it now, and go on without it; at 507 some of their commands break off.
    if response.status() == StatusCode::INSUFFICIENT_STORAGE {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    match response.extensions().get::<Words>() {
        Some(Words(words)) => {
            let (mut parts, words) = (response.headers().clone(), words.clone());
            parts.remove(header::CONTENT_TYPE);
            parts.remove(header::CONTENT_LENGTH);
            let mut plain = (response.status(), words).into_response();
            for (name, value) in &parts {
                plain.headers_mut().insert(name.clone(), value.clone());
            }
            plain
        }
        None => response,
    }
}

/// Returns an error and its causes in one line: what a caller did wrong, in words.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

pub(super) async fn no_such_path(request: Request) -> ApiError {
    ApiError::NotFound(format!("there is no `{}` here", request.uri().path()))
}

pub(super) async fn no_such_method(request: Request) -> ApiError {
    ApiError::NoSuchMethod {
        method: request.method().to_string(),
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error.trouble() {
            Some(Trouble::Away) => Self::NoDatabase(error.into()),
            Some(Trouble::Unfit) => {
                Self::BadRequest("a text has a character that cannot be kept: NUL".to_owned())
            }
            Some(Trouble::Unsure) => Self::Unsure(error.into()),
            Some(Trouble::Full) => Self::DiskFull(error.into()),
            None => Self::Internal(error.into()),
        }
    }
}

impl From<CaError> for ApiError {
    fn from(error: CaError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<std::io::Error> for ApiError {
    fn from(error: std::io::Error) -> Self {
        let full = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded].contains(&error.kind());
        if full {
            Self::DiskFull(error.into())
        } else {
            Self::Internal(error.into())
        }
    }
}

impl From<AdmissionError> for ApiError {
    fn from(error: AdmissionError) -> Self {
        use crate::enrolment::Refusal;
        match error {
            AdmissionError::Refused(Refusal::ComputerRevoked | Refusal::UserRevoked) => {
                Self::Revoked
            }
            AdmissionError::Refused(Refusal::OtherKind(kind)) => Self::TokenOfOtherKind(kind),
            AdmissionError::Refused(
                Refusal::UnknownToken
                | Refusal::WrongSecret
                | Refusal::TokenRevoked
                | Refusal::TokenExpired
                | Refusal::TokenUsedUp
                | Refusal::OtherSerial,
            ) => Self::TokenRefused,
            AdmissionError::KeyTaken | AdmissionError::NameTaken(_) => {
                Self::Conflict(error.to_string())
            }
            // As the original master has it.
            AdmissionError::StillActive => Self::NotFound(error.to_string()),
            AdmissionError::KeyUnknown => Self::NoCertificate,
            AdmissionError::FailedIssue(error) => error.into(),
            AdmissionError::Store(error) => error.into(),
        }
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::NoRequester(..) => Self::NotFound(error.to_string()),
            RequestError::Cycle(_) | RequestError::TooMany(_) => {
                Self::BadRequest(error.to_string())
            }
            RequestError::Store(error) => error.into(),
        }
    }
}

impl From<RenameError> for ApiError {
    fn from(error: RenameError) -> Self {
        match error {
            RenameError::Taken(_) | RenameError::TreeTaken(_) => Self::Conflict(error.to_string()),
            RenameError::Store(error) => error.into(),
        }
    }
}

impl From<SupplyError> for ApiError {
    fn from(error: SupplyError) -> Self {
        match error {
            SupplyError::NoComputer(_) => Self::NotFound(error.to_string()),
            SupplyError::InUse { .. } => Self::Conflict(error.to_string()),
            SupplyError::Store(error) => error.into(),
        }
    }
}
