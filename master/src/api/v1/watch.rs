//! The long poll: a node learns within a moment that its desired state moved. Two thousand held polls are two thousand idle futures.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use slap::v1::{WATCH_SECONDS, Watched};

use crate::api::ApiError;
use crate::api::caller::Caller;
use crate::api::extract::Query;
use crate::identity::ComputerId;
use crate::master::Master;
use crate::store::computers;

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
) -> Result<Json<Watched>, ApiError> {
    caller.may_act_as(&asked.computer_id)?;
    let mut moved = master.store.generations().subscribe(&asked.computer_id);
    let mut db = master.store.read().await?;
    let generation = computers::generation(&mut db, &asked.computer_id)
        .await?
        .ok_or_else(|| {
            ApiError::NotFound(format!("there is no computer `{}`", asked.computer_id))
        })?;
    drop(db);
    if generation != asked.since {
        return Ok(Json(Watched { generation }));
    }
    let mut stopping = master.stopping.clone();
    let generation = tokio::select! {
        moved = moved.wait_for(|&it| it > generation) => moved.map_or(generation, |it| *it),
        _ = stopping.wait_for(|&it| it) => generation,
        () = tokio::time::sleep(Duration::from_secs(WATCH_SECONDS)) => generation,
    };
    Ok(Json(Watched { generation }))
}
