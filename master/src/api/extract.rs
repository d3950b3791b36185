//! Bodies, queries and paths, with refusals in our own words' form.

use std::sync::Arc;

use axum::extract::rejection::{FormRejection, JsonRejection, PathRejection, QueryRejection};
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
        axum::Json::from_request(request, master)
            .await
            .map(|axum::Json(value)| Self(value))
            .map_err(|err: JsonRejection| refusal(err.status(), err.body_text()))
    }
}

impl FromRequest<Arc<Master>> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, master: &Arc<Master>) -> Result<Self, ApiError> {
        axum::Form::<Vec<(String, String)>>::from_request(request, master)
            .await
            .map(|axum::Form(pairs)| Self(pairs.into_iter().collect()))
            .map_err(|err: FormRejection| refusal(err.status(), err.body_text()))
    }
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
