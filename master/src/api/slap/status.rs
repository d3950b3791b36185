//! What was last heard of computers, software and instances, as the original master words it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Deserialize;
use slap::{Value, xml};
use time::OffsetDateTime;

use super::computer::{known_in, must_exist};
use super::{Marshalled, OfComputer, OfPartition};
use crate::api::ApiError;
use crate::api::caller::Caller;
use crate::api::extract::Query;
use crate::clock::Moment;
use crate::identity::ComputerId;
use crate::instance::Status;
use crate::master::Master;
use crate::store::{computers, supplies};

/// A status may be a minute old: front ends may keep it.
const CACHED: [(header::HeaderName, &str); 1] = [(
    header::CACHE_CONTROL,
    "public, max-age=60, stale-if-error=604800",
)];

pub(super) async fn of_computer(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Query(OfComputer { computer_id }): Query<OfComputer>,
) -> Result<impl IntoResponse, ApiError> {
    let mut db = master.store.snapshot().await?;
    caller.may_see(&mut db, &computer_id).await?;
    must_exist(&mut db, &computer_id).await?;
    let computer = computers::computer(&mut db, &computer_id).await?;
    let stored = computer.and_then(|it| it.last_contact);
    let status = master
        .contacts
        .of(&computer_id)
        .max(stored)
        .map(|at| contact(&computer_id, at));
    let now = master.clock.now();
    let words = words(
        computer_id.as_str(),
        "Compute Node",
        "",
        status.as_ref(),
        now,
    );
    Ok((CACHED, words))
}

/// Returns the status of a computer that was heard of.
pub(in crate::api) fn contact(computer: &ComputerId, at: Moment) -> Status {
    Status {
        text: format!("#access {computer} is heard of"),
        at,
        since: at,
    }
}

pub(super) async fn of_instance(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Query(asked): Query<OfPartition>,
) -> Result<impl IntoResponse, ApiError> {
    let mut db = master.store.snapshot().await?;
    let instance = known_in(&mut db, &caller, &asked.into()).await?;
    let state = instance.reported.map(|it| it.as_str()).unwrap_or_default();
    let reference = instance.reference.to_string();
    let now = master.clock.now();
    Ok((
        CACHED,
        words(
            &reference,
            "Software Instance",
            state,
            said(&instance.status),
            now,
        ),
    ))
}

#[derive(Debug, Deserialize)]
pub(super) struct OfSoftware {
    url: String,
    computer_id: ComputerId,
}

pub(super) async fn of_software(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Query(asked): Query<OfSoftware>,
) -> Result<impl IntoResponse, ApiError> {
    let mut db = master.store.snapshot().await?;
    caller.may_see(&mut db, &asked.computer_id).await?;
    let supply = supplies::supply(&mut db, &asked.computer_id, &asked.url)
        .await?
        .ok_or_else(|| {
            ApiError::NotFound(format!(
                "`{}` is not supplied on {}",
                asked.url, asked.computer_id
            ))
        })?;
    let state = supply.reported.map(|it| it.as_str()).unwrap_or_default();
    let now = master.clock.now();
    Ok((
        CACHED,
        words(
            &asked.url,
            "Software Installation",
            state,
            said(&supply.status),
            now,
        ),
    ))
}

/// Returns the status, if anything was ever said.
fn said(status: &Status) -> Option<&Status> {
    Some(status).filter(|it| !it.text.is_empty())
}

fn words(
    reference: &str,
    kind: &str,
    state: &str,
    status: Option<&Status>,
    now: Moment,
) -> Marshalled {
    Marshalled(xml::write(&Value::Dict(entries(
        reference, kind, state, status, now,
    ))))
}

/// Returns a status as a dictionary, with the keys of the original: times by RFC 1123, flags as numbers.
pub(in crate::api) fn entries(
    reference: &str,
    kind: &str,
    state: &str,
    status: Option<&Status>,
    now: Moment,
) -> BTreeMap<String, Value> {
    let silent = |minutes| {
        let limit = Duration::from_mins(minutes);
        Value::Int(i64::from(status.is_none_or(|it| now.since(it.at) > limit)))
    };
    let missing = format!("#error no data found for {reference}");
    let text = status.map_or(missing.as_str(), |it| it.text.as_str());
    let user = if status.is_some() {
        reference
    } else {
        "SlapOS Master"
    };
    [
        ("user", Value::from(user)),
        (
            "created_at",
            Value::from(rfc1123(status.map_or(now, |it| it.at))),
        ),
        (
            "since",
            Value::from(rfc1123(status.map_or(now, |it| it.since))),
        ),
        ("state", Value::from(state)),
        ("text", Value::from(text)),
        ("reference", Value::from(reference)),
        ("portal_type", Value::from(kind)),
        ("no_data", Value::Int(i64::from(status.is_none()))),
        ("no_data_since_5_minutes", silent(5)),
        ("no_data_since_15_minutes", silent(15)),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// Returns a moment as RFC 1123 writes it: `Fri, 20 Nov 2026 12:00:00 GMT`.
fn rfc1123(moment: Moment) -> String {
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    OffsetDateTime::from_unix_timestamp(moment.seconds())
        .ok()
        .and_then(|it| it.format(format).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_http_does() {
        let written = rfc1123(Moment::from_seconds(1_795_176_000));
        assert_eq!(written, "Fri, 20 Nov 2026 12:00:00 GMT");
    }
}
