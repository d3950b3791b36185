//! Bodies, queries and paths, with refusals in our own words' form.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::ApiError;
use crate::master::Master;

/// A body of JSON.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

/// A body of SLAP's form fields.
#[derive(Debug)]
pub(super) struct Fields(pub(super) slap::forms::Fields);

/// The query.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

/// What the path names.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Master>> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, master: &Arc<Master>) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let body = Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(body, master)
            .await
            .map_err(|err| refusal(err.status(), err.body_text()))?;
        // A list would be taken for an object whose fields come in order, and an empty one for one without any.
        if bytes.trim_ascii_start().starts_with(b"[") {
            let words = "the body must be an object, and is a list";
            return Err(ApiError::BadRequest(words.to_owned()));
        }
        let whole = Request::from_parts(parts, Body::from(bytes));
        axum::Json::from_request(whole, master)
            .await
            .map(|axum::Json(value)| Self(value))
            .map_err(|err: JsonRejection| refusal(err.status(), err.body_text()))
    }
}

impl FromRequest<Arc<Master>> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, master: &Arc<Master>) -> Result<Self, ApiError> {
        let axum::extract::RawForm(form) = axum::extract::RawForm::from_request(request, master)
            .await
            .map_err(|err| refusal(err.status(), err.body_text()))?;
        let pairs: Option<Vec<_>> = form
            .split(|&byte| byte == b'&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let mut sides = pair.splitn(2, |&byte| byte == b'=');
                let mut side = || decoded(sides.next().unwrap_or_default());
                Some((side()?, side()?))
            })
            .collect();
        // What stands for a broken character would be kept as if it had been sent.
        let pairs = pairs.ok_or_else(|| {
            ApiError::BadRequest("the form has bytes that are no UTF-8".to_owned())
        })?;
        Ok(Self(pairs.into_iter().collect()))
    }
}

/// Returns one side of a field, if it is text.
fn decoded(side: &[u8]) -> Option<String> {
    let spaced: Vec<u8> = side
        .iter()
        .map(|&byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    let bytes: Vec<u8> = percent_encoding::percent_decode(&spaced).collect();
    String::from_utf8(bytes).ok()
}

impl<T: DeserializeOwned> FromRequestParts<Arc<Master>> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, master: &Arc<Master>) -> Result<Self, ApiError> {
        axum::extract::Query::from_request_parts(parts, master)
            .await
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|err: QueryRejection| refusal(err.status(), err.body_text()))
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Master>> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, master: &Arc<Master>) -> Result<Self, ApiError> {
        axum::extract::Path::from_request_parts(parts, master)
            .await
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|err: PathRejection| refusal(err.status(), err.body_text()))
    }
}

fn refusal(status: StatusCode, text: String) -> ApiError {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        ApiError::TooLarge(text)
    } else {
        ApiError::BadRequest(text)
    }
}
