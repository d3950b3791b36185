//! Connections between a computer and the registry that were upgraded: bytes are passed on as they come, for as long as the computer may call.
//!
//! Nothing is kept but one small buffer a direction. A connection ends with either side, when nothing comes from one of them for a while, when the
//! master stops, and when its computer is revoked or its certificate over.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts as _, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::api::caller::Node;
use crate::listener::Peer;
use crate::master::Master;

/// How long either side may be silent, or take nothing. The registry ends what is idle earlier, and says why in its log.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is asked whether the computer may still call.
const CHECK: Duration = Duration::from_secs(5);
const BUFFER: usize = 16 * 1024;

/// Who has begun a connection.
#[derive(Clone, Debug)]
pub(super) struct Caller(Option<ConnectInfo<Peer>>);

impl Caller {
    pub(super) fn of(request: &Request) -> Self {
        Self(request.extensions().get().cloned())
    }

    /// Returns as soon as they may not call any more, and why.
    async fn until_refused(&self, master: &Arc<Master>) -> String {
        loop {
            tokio::time::sleep(CHECK).await;
            let mut request = Request::new(());
            if let Some(peer) = &self.0 {
                request.extensions_mut().insert(peer.clone());
            }
            let (mut parts, ()) = request.into_parts();
            match Node::from_request_parts(&mut parts, master).await {
                // A database that is away says nothing of anybody.
                Ok(_) | Err(super::ApiError::NoDatabase(_)) => {}
                Err(refusal) => return refusal.to_string(),
            }
        }
    }
}

/// Returns the protocol to which the caller wants to switch, if they do.
pub(super) fn wanted(headers: &HeaderMap) -> Option<HeaderValue> {
    let connection = headers.get_all(header::CONNECTION).into_iter();
    let mut words = connection
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let switches = words.any(|word| word.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(header::UPGRADE).filter(|_| switches).cloned()
}

/// Asks the next one to switch to a protocol, or says that it was done.
pub(super) fn ask(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol);
}

/// Passes bytes on in both directions, until the connection ends.
pub(super) async fn pass(master: Arc<Master>, caller: Caller, near: OnUpgrade, far: OnUpgrade) {
    let (near, far) = match tokio::try_join!(near, far) {
        Ok((near, far)) => (TokioIo::new(near), TokioIo::new(far)),
        Err(error) => {
            tracing::debug!(%error, "a connection to the registry was not switched");
            return;
        }
    };
    let (near_reader, near_writer) = tokio::io::split(near);
    let (far_reader, far_writer) = tokio::io::split(far);
    let mut stopping = master.stopping.clone();
    let reason = tokio::select! {
        ended = one_way(near_reader, far_writer) => ended.to_string(),
        ended = one_way(far_reader, near_writer) => ended.to_string(),
        refusal = caller.until_refused(&master) => refusal,
        _ = stopping.wait_for(|&it| it) => "the master stops".to_owned(),
    };
    tracing::debug!(reason, "an upgraded connection to the registry ended");
}

async fn one_way(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Error {
    let mut buffer = vec![0; BUFFER];
    loop {
        let step = async {
            let length = timeout(PATIENCE, from.read(&mut buffer)).await??;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let written = async {
                to.write_all(&buffer[..length]).await?;
                to.flush().await
            };
            timeout(PATIENCE, written).await?
        };
        if let Err(error) = step.await {
            return error;
        }
    }
}
