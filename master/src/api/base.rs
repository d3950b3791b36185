//! Where the caller reached this master: what absolute addresses in answers begin with. A front end says it by `X-Forwarded-…`;
//! whoever lies gets wrong addresses, and nobody else does.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

use super::ApiError;
use crate::master::Master;

/// `https://host:port/prefix`, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base(pub(super) String);

impl FromRequestParts<Arc<Master>> for Base {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, master: &Arc<Master>) -> Result<Self, ApiError> {
        let header = |name: &str| parts.headers.get(name).and_then(|it| it.to_str().ok());
        let own = if master.open.is_some() {
            "http"
        } else {
            "https"
        };
        let scheme = header("x-forwarded-proto")
            .filter(|it| ["http", "https"].contains(it))
            .unwrap_or(own);
        let host = header("x-forwarded-host")
            .or_else(|| header(header::HOST.as_str()))
            .filter(|it| is_host(it));
        let prefix = header("x-forwarded-prefix")
            .filter(|it| it.starts_with('/') && is_path(it))
            .unwrap_or("")
            .trim_end_matches('/');
        match (host, master.urls.first()) {
            (Some(host), _) => Ok(Self(format!("{scheme}://{host}{prefix}"))),
            (None, Some(url)) => Ok(Self(format!("{url}{prefix}"))),
            (None, None) => Err(ApiError::BadRequest(
                "the request has no header `Host` that names one".to_owned(),
            )),
        }
    }
}

fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c))
}

fn is_path(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || "/.-_~".contains(c))
}
