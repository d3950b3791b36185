//! The audit, for operators.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use slap::v1::{LOG_MOST, Log, LogEntry, LogQuery};

use crate::api::ApiError;
use crate::api::caller::Operator;
use crate::api::extract::Query;
use crate::clock::Moment;
use crate::master::Master;
use crate::store::audit::{self, Entry};

/// How many entries there are when nobody says.
const USUAL: u32 = 100;

pub(super) async fn log(
    State(master): State<Arc<Master>>,
    _operator: Operator,
    Query(asked): Query<LogQuery>,
) -> Result<Json<Log>, ApiError> {
    let count = asked.limit.unwrap_or(USUAL).min(LOG_MOST);
    let mut db = master.store.read().await?;
    let entries = if asked.after.is_none() && asked.since.is_none() {
        audit::last_entries(&mut db, count).await?
    } else {
        let since = Moment::from_seconds(asked.since.unwrap_or(0));
        audit::entries_after(&mut db, asked.after.unwrap_or(0), since, count).await?
    };
    Ok(Json(Log {
        entries: entries.into_iter().map(shown).collect(),
    }))
}

fn shown(entry: Entry) -> LogEntry {
    LogEntry {
        number: entry.number,
        at: Moment::from_micros(entry.at).seconds(),
        actor: entry.actor,
        action: entry.action,
        subject: entry.subject,
        detail: entry.detail,
    }
}
