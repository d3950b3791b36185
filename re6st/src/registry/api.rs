//! The registry's HTTP: JSON on a unix socket that only the master's proxy and the machine's own tools can open.
//!
//! Who calls is what the proxy says in a header. `/local/` is not under the path that the proxy forwards.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use camino::Utf8Path;
use nix::sys::stat::{Mode, umask};
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::net::UnixListener;
use tokio::time::{Instant, timeout_at};

use super::carriers::carrier;
use super::members::Refusal;
use super::{Error, Moment, Registry};
use crate::reference::Reference;
use crate::wire::{
    ApiError, COMPUTER_HEADER, JoinReply, JoinRequest, LinksReport, Map, REGION_HEADER, View,
};
use crate::words::words;

/// How long a question for news is held.
const HOLD: Duration = Duration::from_secs(50);
/// How long news may wait for more of them: where a thousand begin at once, each hears of many at a time.
const GATHER: Duration = Duration::from_millis(250);
/// A signing request and a few words.
const LARGEST_BODY: usize = 64 * 1024;

/// Returns the registry's routes.
pub fn router(registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/v1/re6st/join", post(join))
        .route("/v1/re6st/network", get(network))
        .route("/v1/re6st/carrier", get(carrier))
        .route("/v1/re6st/links", post(links))
        .route("/local/map", get(map))
        .route("/local/release/{computer}", post(release))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(registry)
}

/// Answers on a unix socket that its owner and its group may open, for ever.
pub async fn serve(registry: Arc<Registry>, socket: &Utf8Path) -> io::Result<()> {
    match std::fs::remove_file(socket) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
        _ => {}
    }
    let before = umask(Mode::from_bits_truncate(0o117));
    let listener = UnixListener::bind(socket);
    umask(before);
    axum::serve(listener?, router(registry)).await
}

async fn join(
    State(registry): State<Arc<Registry>>,
    Caller(computer): Caller,
    headers: HeaderMap,
    Json(request): Json<JoinRequest>,
) -> Result<Json<JoinReply>, Error> {
    let mut serial = [0; 16];
    // Without randomness the number is merely not unguessable, which an ECDSA certificate does not need.
    let _ = rand::fill(&mut serial);
    let region = headers.get(REGION_HEADER).and_then(|it| it.to_str().ok());
    let reply = registry.join(
        &computer,
        region,
        &request,
        Moment {
            now: OffsetDateTime::now_utc(),
            serial,
        },
    )?;
    tracing::info!(%computer, prefix = %reply.prefix, "joined");
    Ok(Json(reply))
}

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
}

/// Answers when there is something else than the caller knows, or after a while.
async fn network(
    State(registry): State<Arc<Registry>>,
    Caller(computer): Caller,
    Query(known): Query<Since>,
) -> Result<Json<View>, Error> {
    let mut changes = registry.changes();
    let deadline = Instant::now() + HOLD;
    loop {
        changes.mark_unchanged();
        let view = registry.view(&computer, known.since)?;
        if view.version != known.since {
            return Ok(Json(view));
        }
        if timeout_at(deadline, changes.changed()).await.is_err() {
            return Ok(Json(view));
        }
        tokio::time::sleep(GATHER).await;
    }
}

async fn links(
    State(registry): State<Arc<Registry>>,
    Caller(computer): Caller,
    Json(report): Json<LinksReport>,
) -> Result<StatusCode, Error> {
    registry.report(&computer, report)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn map(State(registry): State<Arc<Registry>>) -> Json<Map> {
    Json(registry.map())
}

async fn release(
    State(registry): State<Arc<Registry>>,
    Path(computer): Path<Reference>,
) -> Result<StatusCode, Error> {
    registry.release(&computer)?;
    tracing::info!(%computer, "released");
    Ok(StatusCode::NO_CONTENT)
}

/// The computer that calls.
pub(super) struct Caller(pub(super) Reference);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let header = parts
            .headers
            .get(COMPUTER_HEADER)
            .and_then(|value| value.to_str().ok());
        let computer = header.and_then(|text| text.parse().ok()).map(Self);
        computer.ok_or_else(|| {
            answer(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "the caller is not known",
            )
        })
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match &self {
            Self::Members(refusal) => {
                let (status, word) = match refusal {
                    Refusal::Full(_) => (StatusCode::INSUFFICIENT_STORAGE, "network_full"),
                    Refusal::RegionFull(..) => (StatusCode::INSUFFICIENT_STORAGE, "region_full"),
                    Refusal::KeyTaken => (StatusCode::CONFLICT, "key_taken"),
                    Refusal::Endpoint(_) | Refusal::Addresses(_) | Refusal::Port => {
                        (StatusCode::BAD_REQUEST, "bad_request")
                    }
                    Refusal::Unknown => (StatusCode::NOT_FOUND, "not_a_member"),
                };
                answer(status, word, &refusal.to_string())
            }
            Self::Authority(err @ super::authority::Error::Request(_)) => {
                answer(StatusCode::BAD_REQUEST, "bad_request", &err.to_string())
            }
            Self::Report(refusal) => {
                answer(StatusCode::BAD_REQUEST, "bad_request", &refusal.to_string())
            }
            Self::Store(_) | Self::OtherNetwork { .. } | Self::Network(_) | Self::Authority(_) => {
                tracing::error!(error = %words(&self), "a request failed");
                answer(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "the registry failed",
                )
            }
        }
    }
}

pub(super) fn answer(status: StatusCode, error: &str, message: &str) -> Response {
    let body = ApiError {
        error: error.to_owned(),
        message: message.to_owned(),
    };
    (status, Json(body)).into_response()
}

#[cfg(test)]
mod tests;
