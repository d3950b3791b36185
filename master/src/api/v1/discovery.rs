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
use crate::store::certificates;

pub(super) async fn discover(State(master): State<Arc<Master>>) -> Json<Discovery> {
    let mut endpoints = vec!["watch", "report", "enrol", "forward"];
    // Who takes and who offers is known by certificates.
    if master.open.is_none() {
        endpoints.push("cache");
    }
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

pub(super) async fn crl(State(master): State<Arc<Master>>) -> Result<impl IntoResponse, ApiError> {
    let (authority, now) = (&master.authority, master.clock.now());
    let mut db = master.store.read().await?;
    let own = certificates::revoked(&mut db, &authority.pin(), now).await?;
    let previous = match authority.previous_pin() {
        Some(pin) => certificates::revoked(&mut db, &pin, now).await?,
        None => Vec::new(),
    };
    Ok((
        [(header::CONTENT_TYPE, "application/x-pem-file")],
        authority.revocations(&own, &previous, now)?,
    ))
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
    let message = signed_time_message(&nonce, time);
    let signature = master.authority.sign(&message)?;
    let previous = master.authority.sign_as_previous(&message)?;
    Ok(Json(SignedTime {
        time,
        signature: URL_SAFE_NO_PAD.encode(signature),
        previous_signature: previous.map(|it| URL_SAFE_NO_PAD.encode(it)),
    }))
}
