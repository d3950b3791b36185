//! The overlay's registry, reached through the master: it learns who calls from the certificate, and where they are from the computer's label,
//! never from the caller.

mod upgraded;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use camino::Utf8Path;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::ApiError;
use super::caller::Node;
use crate::identity::ComputerId;
use crate::master::Master;
use crate::store::computers;

/// Who calls, as the registry believes it.
const COMPUTER: HeaderName = HeaderName::from_static("x-slapbox-computer");

/// Where they are: the label `region` that its token gave the computer.
const REGION: HeaderName = HeaderName::from_static("x-slapbox-region");
const REGION_LABEL: &str = "region";

/// What is between two neighbours and not passed on.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

pub(super) async fn proxy(
    State(master): State<Arc<Master>>,
    Node(computer): Node,
    mut request: Request,
) -> Result<Response, ApiError> {
    let socket = master
        .registry
        .as_deref()
        .ok_or_else(|| ApiError::NotFound("this master has no registry".to_owned()))?;
    let wanted = upgraded::wanted(request.headers());
    remove_hop_by_hop(request.headers_mut());
    if let Some(protocol) = &wanted {
        upgraded::ask(request.headers_mut(), protocol.clone());
    }
    let name =
        HeaderValue::from_str(computer.as_str()).map_err(|err| ApiError::Internal(err.into()))?;
    // `insert` replaces whatever the caller put there.
    request.headers_mut().insert(COMPUTER, name);
    request.headers_mut().remove(REGION);
    if let Some(region) = region(&master, &computer).await? {
        request.headers_mut().insert(REGION, region);
    }
    let caller = upgraded::Caller::of(&request);
    let near = wanted.map(|_| hyper::upgrade::on(&mut request));
    let mut stopping = master.stopping.clone();
    let mut answer = tokio::select! {
        answer = send(socket, request) => answer?,
        _ = stopping.wait_for(|&it| it) => {
            return Err(ApiError::Unreachable("the master stops".to_owned()));
        }
    };
    let protocol = answer.headers().get(header::UPGRADE).cloned();
    remove_hop_by_hop(answer.headers_mut());
    match (near, protocol) {
        (Some(near), Some(protocol)) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
            let far = hyper::upgrade::on(&mut answer);
            upgraded::ask(answer.headers_mut(), protocol);
            tokio::spawn(upgraded::pass(master, caller, near, far));
        }
        // Who did not ask for it would take the bytes that follow for an answer.
        _ if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
            let words = "the overlay's registry switched protocols unasked".to_owned();
            return Err(ApiError::Unreachable(words));
        }
        _ => {}
    }
    Ok(answer.map(Body::new).into_response())
}

/// Returns where a computer is, if its label says so in a way that a header can.
async fn region(master: &Master, computer: &ComputerId) -> Result<Option<HeaderValue>, ApiError> {
    let mut db = master.store.read().await?;
    let computer = computers::computer(&mut db, computer).await?;
    let label = computer.and_then(|mut it| it.labels.remove(REGION_LABEL));
    Ok(label.and_then(|label| HeaderValue::try_from(label).ok()))
}

async fn send(socket: &Utf8Path, request: Request) -> Result<Response<Incoming>, ApiError> {
    let unreachable = |what: &str, cause: &dyn std::error::Error| -> ApiError {
        tracing::warn!(%socket, error = %cause, "{what}");
        ApiError::Unreachable("the overlay's registry does not answer".to_owned())
    };
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|err| unreachable("cannot connect to the registry", &err))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|err| unreachable("cannot talk to the registry", &err))?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to the registry broke");
        }
    });
    sender
        .send_request(request)
        .await
        .map_err(|err| unreachable("the registry gave no answer", &err))
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}
