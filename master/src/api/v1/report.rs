//! How a node says it is.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use slap::v1::NodeReport;

use crate::api::ApiError;
use crate::api::caller::Node;
use crate::api::extract::Json;
use crate::identity::Identity;
use crate::master::Master;

pub(super) async fn report(
    State(master): State<Arc<Master>>,
    Node(computer): Node,
    Json(mut report): Json<NodeReport>,
) -> Result<StatusCode, ApiError> {
    let unwritable = |err: serde_json::Error| ApiError::Internal(err.into());
    // Said once a day, it is kept apart from what is said each minute.
    let usage = report.usage.take();
    let usage = usage.map(|it| serde_json::to_string(&it)).transpose();
    let usage = usage.map_err(unwritable)?;
    let report = serde_json::to_string(&report).map_err(unwritable)?;
    let actor = Identity::Computer(computer.clone()).to_string();
    let mut writing = master.store.write(actor, master.clock.now()).await?;
    writing
        .set_report(&computer, &report, usage.as_deref())
        .await?;
    writing.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
