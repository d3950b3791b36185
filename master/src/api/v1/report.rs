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
    Json(report): Json<NodeReport>,
) -> Result<StatusCode, ApiError> {
    let report = serde_json::to_string(&report).map_err(|err| ApiError::Internal(err.into()))?;
    let actor = Identity::Computer(computer.clone()).to_string();
    let mut writing = master.store.write(actor, master.clock.now()).await?;
    writing.set_report(&computer, &report).await?;
    writing.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
