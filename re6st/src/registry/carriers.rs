//! The far ends of carriers: members whose UDP is blocked send WireGuard's datagrams in a stream, and here they go on to the WireGuard of the
//! registry's own computer, which then is their neighbour. `crate::carrier` is what travels.
//!
//! It serves members only, each with one carrier, and ends it when its member is none any more. It sends to one port of this machine and to
//! nothing else.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;

use super::Registry;
use super::api::{Caller, answer};
use super::members::NoHost;
use crate::carrier::{PROTOCOL, beside_wireguard, carry};
use crate::reference::Reference;
use crate::words::words;

/// Carriers at once. Each holds some 200 KB of the kernel's memory and ours where it is slow, and for so many has the node beside the registry room.
const MOST: usize = 64;

/// Who has a carrier.
#[derive(Debug, Default)]
pub(super) struct Carriers(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    last: u64,
    /// What ends a carrier when it is dropped, and which one it is of those that its member had.
    taken: BTreeMap<Reference, (u64, oneshot::Sender<Infallible>)>,
}

/// One carrier's place, free again when dropped.
#[derive(Debug)]
struct Place {
    registry: Arc<Registry>,
    computer: Reference,
    number: u64,
    /// Ends when somebody else has it.
    replaced: oneshot::Receiver<Infallible>,
}

impl Carriers {
    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Takes the place of a computer, from the carrier that it had before; nothing if all are taken.
    fn take(registry: Arc<Registry>, computer: Reference) -> Option<Self> {
        let mut places = registry.carriers.lock();
        if places.taken.len() >= MOST && !places.taken.contains_key(&computer) {
            return None;
        }
        places.last += 1;
        let number = places.last;
        let (end, replaced) = oneshot::channel();
        places.taken.insert(computer.clone(), (number, end));
        drop(places);
        Some(Self {
            registry,
            computer,
            number,
            replaced,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.registry.carriers.lock();
        let is_ours = |(number, _): &(u64, _)| *number == self.number;
        if places.taken.get(&self.computer).is_some_and(is_ours) {
            places.taken.remove(&self.computer);
        }
    }
}

/// `GET /v1/re6st/carrier`: from the answer on, the connection carries datagrams.
pub(super) async fn carrier(
    State(registry): State<Arc<Registry>>,
    Caller(computer): Caller,
    mut request: Request,
) -> Response {
    let port = match registry.port_beside(&computer) {
        Ok(port) => port,
        Err(refusal) => return refused(&refusal),
    };
    if !wants_upgrade(request.headers()) {
        let words = format!("this needs `Connection: Upgrade` and `Upgrade: {PROTOCOL}`");
        return answer(StatusCode::BAD_REQUEST, "bad_request", &words);
    }
    let wireguard = match beside_wireguard(port) {
        Ok(wireguard) => wireguard,
        Err(err) => {
            tracing::error!(error = %words(&err), "no socket for a carrier");
            let words = "the registry cannot talk to WireGuard";
            return answer(StatusCode::INTERNAL_SERVER_ERROR, "internal", words);
        }
    };
    let Some(place) = Place::take(registry, computer) else {
        let words = format!("{MOST} computers are carried already: this is as many as may be");
        return answer(StatusCode::SERVICE_UNAVAILABLE, "carriers_full", &words);
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(keep(place, upgrade, wireguard, port));
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static(PROTOCOL)),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

fn refused(refusal: &NoHost) -> Response {
    let (status, word) = match refusal {
        NoHost::Stranger => (StatusCode::NOT_FOUND, "not_a_member"),
        NoHost::Itself => (StatusCode::BAD_REQUEST, "bad_request"),
        NoHost::Absent => (StatusCode::SERVICE_UNAVAILABLE, "no_host"),
    };
    answer(status, word, &refusal.to_string())
}

fn wants_upgrade(headers: &HeaderMap) -> bool {
    let is_ours = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(PROTOCOL.as_bytes());
    headers.get(header::UPGRADE).is_some_and(is_ours)
}

async fn keep(mut place: Place, upgrade: OnUpgrade, wireguard: UdpSocket, port: u16) {
    let computer = place.computer.clone();
    let upgraded = match upgrade.await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(err) => {
            tracing::debug!(%computer, error = %words(&err), "the caller did not switch to datagrams");
            return;
        }
    };
    tracing::info!(%computer, "carries datagrams");
    let reason = tokio::select! {
        ended = carry(upgraded, &wireguard, |_| {}, || true) => words(&ended),
        _ = &mut place.replaced => "its computer has begun another one".to_owned(),
        () = until_moved(&place.registry, &computer, port) => {
            "its computer is no member any more, or the registry's WireGuard is elsewhere".to_owned()
        }
    };
    tracing::info!(%computer, reason, "a carrier ended");
}

/// Waits until a computer's datagrams shall not go to this port any more.
async fn until_moved(registry: &Registry, computer: &Reference, port: u16) {
    let mut changes = registry.changes();
    while registry.port_beside(computer) == Ok(port) {
        if changes.changed().await.is_err() {
            return;
        }
    }
}
