//! What anybody may ask, without a certificate: what there is, the CA, and the time that its key vouches for.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use slap::v1::{Discovery, NONCE_MAX_BYTES, NONCE_MIN_BYTES, SignedTime, signed_time_message};

use crate::api::ApiError;
use crate::api::extract::Query;
use crate::master::Master;

pub(super) async fn discover(State(master): State<Arc<Master>>) -> Json<Discovery> {
    let mut endpoints = vec!["watch", "report", "enrol", "forward"];
    if master.registry.is_some() {
        endpoints.push("re6st");
    }
    Json(Discovery {
        version: 1,
        endpoints: endpoints.into_iter().map(str::to_owned).collect(),
    })
}

pub(super) async fn ca(State(master): State<Arc<Master>>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/x-pem-file")],
        master.authority.pem().to_owned(),
    )
}

#[derive(Debug, Deserialize)]
pub(super) struct Nonce {
    nonce: String,
}

pub(super) async fn time(
    State(master): State<Arc<Master>>,
    Query(Nonce { nonce }): Query<Nonce>,
) -> Result<Json<SignedTime>, ApiError> {
    let nonce = URL_SAFE_NO_PAD
        .decode(nonce)
        .ok()
        .filter(|bytes| (NONCE_MIN_BYTES..=NONCE_MAX_BYTES).contains(&bytes.len()))
        .ok_or_else(|| {
            ApiError::BadRequest(format!(
                "the nonce must be the base64url text of {NONCE_MIN_BYTES} to {NONCE_MAX_BYTES} bytes"
            ))
        })?;
    let time = master.clock.now().seconds();
    let signature = master.authority.sign(&signed_time_message(&nonce, time))?;
    Ok(Json(SignedTime {
        time,
        signature: URL_SAFE_NO_PAD.encode(signature),
    }))
}
