//! `getFullComputerInformation`: all that a computer is told, or what an instance sees of it. A caller who has it already is told
//! so (`ETag`, `If-None-Match`), and a document that did not change is not built again: the store's version of the computer says so.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{MARSHALLED, OfComputer, document};
use crate::api::ApiError;
use crate::api::caller::Caller;
use crate::api::extract::Query;
use crate::documents::View;
use crate::identity::ComputerId;
use crate::instance::Instance;
use crate::master::Master;
use crate::store::{Connection, StoreError, computers, instances, partitions, supplies};

pub(super) async fn full(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Query(OfComputer { computer_id }): Query<OfComputer>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mut db = master.store.read().await?;
    let view = view(&mut db, &caller, computer_id).await?;
    let version = computers::version(&mut db, &view.computer)
        .await?
        .ok_or_else(|| ApiError::no_computer(&view.computer))?;
    drop(db);
    let tag = tag(&view, version);
    let kept = master.documents.find(&view, version);
    #[cfg(debug_assertions)]
    if let Some(kept) = &kept {
        nothing_was_forgotten(&master, &view, version, kept).await?;
    }
    if has(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    if let Some(kept) = kept {
        return Ok(answer(tag, kept));
    }
    let (version, body) = build(&master, &view).await?;
    master
        .documents
        .keep(view.clone(), version, Bytes::clone(&body));
    Ok(answer(self::tag(&view, version), body))
}

fn answer(tag: String, body: Bytes) -> Response {
    let headers = [
        (header::CONTENT_TYPE, MARSHALLED.to_owned()),
        (header::ETAG, tag),
    ];
    (headers, body).into_response()
}

/// Returns what the caller may see of a computer.
async fn view(
    db: &mut Connection,
    caller: &Caller,
    computer: ComputerId,
) -> Result<View, ApiError> {
    let Caller::Instance(own) = caller else {
        caller.may_oversee(db, &computer).await?;
        return Ok(View {
            computer,
            instance: None,
        });
    };
    if !is_on(own, &computer) {
        return Err(is_elsewhere(own, &computer));
    }
    Ok(View {
        computer,
        instance: Some(own.reference.clone()),
    })
}

fn is_on(instance: &Instance, computer: &ComputerId) -> bool {
    instance
        .place
        .as_ref()
        .is_some_and(|it| it.computer == *computer)
}

fn is_elsewhere(own: &Instance, computer: &ComputerId) -> ApiError {
    ApiError::Forbidden(format!(
        "{} is not on {computer}, and may not ask about it",
        own.reference
    ))
}

/// A strong one: no other bytes have it. Another release may write the same state otherwise.
fn tag(view: &View, version: u64) -> String {
    const RELEASE: &str = env!("CARGO_PKG_VERSION");
    match &view.instance {
        None => format!("\"{RELEASE}-{version:x}\""),
        Some(instance) => format!("\"{RELEASE}-{version:x}-{instance}\""),
    }
}

/// Says whether the caller has the document of this tag.
fn has(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(','))
        .map(str::trim)
        .any(|it| it == "*" || it.strip_prefix("W/").unwrap_or(it) == tag)
}

/// Returns a document and the version that it is of, both of one moment.
async fn build(master: &Master, view: &View) -> Result<(u64, Bytes), ApiError> {
    let mut db = master.store.snapshot().await?;
    let version = computers::version(&mut db, &view.computer)
        .await?
        .ok_or_else(|| ApiError::no_computer(&view.computer))?;
    let seen = match &view.instance {
        None => everything(&mut db, view.computer.clone()).await?,
        Some(own) => {
            let own = instances::instance(&mut db, own)
                .await?
                .ok_or(ApiError::UnknownCaller)?;
            own_partition_alone(&mut db, own, &view.computer).await?
        }
    };
    drop(db);
    // Not a byte more than it is long: it may be kept.
    let body = seen.to_xml().into_bytes().into_boxed_slice();
    Ok((version, Bytes::from(body)))
}

async fn everything(
    db: &mut Connection,
    computer: ComputerId,
) -> Result<slap::Computer, StoreError> {
    let partitions = partitions::partitions(db, &computer).await?;
    let instances = instances::instances_on(db, &computer).await?;
    let shares = instances::shares_on(db, &computer).await?;
    let supplies = supplies::supplies(db, &computer).await?;
    Ok(document::computer(
        computer, partitions, instances, shares, supplies,
    ))
}

/// What an instance sees of its computer: its own partition, and no software.
async fn own_partition_alone(
    db: &mut Connection,
    own: Instance,
    computer: &ComputerId,
) -> Result<slap::Computer, ApiError> {
    let place = match &own.place {
        Some(place) if place.computer == *computer => place.clone(),
        Some(_) | None => return Err(is_elsewhere(&own, computer)),
    };
    let shares = instances::shares_of(db, &own.reference).await?;
    let partition = document::partition(
        computer.clone(),
        place.partition,
        &place.addresses,
        Some(own),
        shares,
    );
    Ok(slap::Computer {
        id: computer.clone(),
        partitions: vec![partition],
        software: Vec::new(),
    })
}

/// Whoever writes a new way to change the store and forgets the version learns it from any test that polls before and after.
#[cfg(debug_assertions)]
async fn nothing_was_forgotten(
    master: &Master,
    view: &View,
    version: u64,
    kept: &Bytes,
) -> Result<(), ApiError> {
    let (moved, fresh) = build(master, view).await?;
    assert!(
        moved != version || fresh == *kept,
        "the document of {} changed, and its version did not",
        view.computer
    );
    Ok(())
}
