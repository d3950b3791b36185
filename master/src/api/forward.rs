//! `slapbox service forward`: raw bytes between a user and a port of a service, dialled by the master over the overlay.
//! Only addresses that the service's partition has, and none of the master's own machine.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use slap::v1::FORWARD_PROTOCOL;
use tokio::net::TcpStream;

use super::ApiError;
use super::caller::Caller;
use super::extract::Query;
use super::v1::services::known;
use crate::instance::Instance;
use crate::master::Master;

/// How long a service may take to answer the dial.
const DIAL_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, Deserialize)]
pub(super) struct Forward {
    service: String,
    port: u16,
    /// One of the service's addresses; its first IPv6 address when nothing is said.
    address: Option<IpAddr>,
}

pub(super) async fn forward(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Query(asked): Query<Forward>,
    mut request: Request,
) -> Result<Response, ApiError> {
    caller.must_be_user()?;
    let mut db = master.store.snapshot().await?;
    let instance = known(&mut db, &caller, &asked.service).await?;
    drop(db);
    if !wants_upgrade(request.headers()) {
        return Err(ApiError::BadRequest(format!(
            "this needs `Connection: Upgrade` and `Upgrade: {FORWARD_PROTOCOL}`"
        )));
    }
    let address = address(&master, &instance, asked.address)?;
    let target = dial(address, asked.port).await?;
    tracing::info!(actor = %caller, service = asked.service, %address, port = asked.port, "forwards");
    let upgrade = hyper::upgrade::on(&mut request);
    let mut stopping = master.stopping.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = join(upgrade, target) => {}
            _ = stopping.wait_for(|&it| it) => {}
        }
    });
    Ok((
        StatusCode::SWITCHING_PROTOCOLS,
        [
            (header::CONNECTION, HeaderValue::from_static("upgrade")),
            (header::UPGRADE, HeaderValue::from_static(FORWARD_PROTOCOL)),
        ],
    )
        .into_response())
}

fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| {
        value
            .as_bytes()
            .eq_ignore_ascii_case(FORWARD_PROTOCOL.as_bytes())
    })
}

fn address(
    master: &Master,
    instance: &Instance,
    wanted: Option<IpAddr>,
) -> Result<IpAddr, ApiError> {
    let title = &instance.title;
    let place = instance.place.as_ref().ok_or_else(|| {
        ApiError::Conflict(format!(
            "`{title}` has no partition yet: {}",
            instance.waiting
        ))
    })?;
    let own: Vec<IpAddr> = place
        .addresses
        .iter()
        .filter_map(|it| it.address.parse().ok())
        .collect();
    let chosen = match wanted {
        Some(wanted) => own.iter().find(|it| **it == wanted),
        None => own.iter().find(|it| it.is_ipv6()),
    };
    chosen
        .copied()
        .filter(master.may_dial)
        .ok_or_else(|| match wanted {
            Some(wanted) => ApiError::Forbidden(format!("{wanted} is no address of `{title}`")),
            None => ApiError::Forbidden(format!("`{title}` has no address that may be dialled")),
        })
}

async fn dial(address: IpAddr, port: u16) -> Result<TcpStream, ApiError> {
    let unreachable =
        |why: String| ApiError::Unreachable(format!("cannot reach [{address}]:{port}: {why}"));
    match tokio::time::timeout(DIAL_LIMIT, TcpStream::connect((address, port))).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(err)) => Err(unreachable(err.to_string())),
        Err(_) => Err(unreachable(format!(
            "no answer in {} s",
            DIAL_LIMIT.as_secs()
        ))),
    }
}

async fn join(upgrade: hyper::upgrade::OnUpgrade, mut target: TcpStream) {
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            tracing::debug!(%error, "the caller did not switch to raw bytes");
            return;
        }
    };
    // Either side may vanish: that is how forwarding ends.
    if let Err(error) =
        tokio::io::copy_bidirectional(&mut TokioIo::new(upgraded), &mut target).await
    {
        tracing::debug!(%error, "forwarding ended");
    }
}
