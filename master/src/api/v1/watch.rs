//! The long poll: a node learns within a moment that its desired state moved. An answer that is held is begun at once and its body
//! comes when there is something to say: meanwhile nothing is kept of the call but that small wait.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use slap::v1::{WATCH_SECONDS, Watched};

use crate::api::ApiError;
use crate::api::caller::Caller;
use crate::api::extract::Query;
use crate::identity::ComputerId;
use crate::master::Master;
use crate::store::computers;

/// The length of a held answer is said before its number is known: spaces fill the rest, and no number needs more.
const LENGTH: usize = 40;

#[derive(Debug, Deserialize)]
pub(super) struct Watch {
    computer_id: ComputerId,
    #[serde(default)]
    since: u64,
}

pub(super) async fn watch(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Query(asked): Query<Watch>,
) -> Result<Response, ApiError> {
    caller.may_act_as(&asked.computer_id)?;
    let mut moved = master.store.generations().subscribe(&asked.computer_id);
    let mut db = master.store.read().await?;
    let generation = computers::generation(&mut db, &asked.computer_id)
        .await?
        .ok_or_else(|| ApiError::no_computer(&asked.computer_id))?;
    drop(db);
    if generation != asked.since {
        return Ok(Json(Watched { generation }).into_response());
    }
    let mut stopping = master.stopping.clone();
    let held = async move {
        let generation = tokio::select! {
            moved = moved.wait_for(|&it| it > generation) => moved.map_or(generation, |it| *it),
            _ = stopping.wait_for(|&it| it) => generation,
            () = tokio::time::sleep(Duration::from_secs(WATCH_SECONDS)) => generation,
        };
        let watched = Watched { generation };
        let body = serde_json::to_string(&watched).expect("a number is always JSON");
        Ok::<_, Infallible>(format!("{body:<LENGTH$}"))
    };
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CONTENT_LENGTH, LENGTH.to_string()),
    ];
    let body = Body::from_stream(stream::once(held));
    Ok((headers, body).into_response())
}
