//! TCP and TLS for axum: accepts, shakes hands aside so that a slow client holds up nobody, and hands out who called.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

use crate::held::{Begun, Polls};
use crate::identity::Credential;

/// A handshake that takes longer is given up.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How many handshakes may be under way at once.
const HANDSHAKES: usize = 512;

/// Who called: where from, and with which verified certificate, if any.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    pub credential: Option<Credential>,
}

type Connection = (Begun<TlsStream<TcpStream>>, Peer);

/// A listener of TLS connections. Held polls are answered before anybody else sees them.
#[derive(Debug)]
pub struct TlsListener {
    ready: mpsc::Receiver<Connection>,
    address: SocketAddr,
    accepting: AbortHandle,
}

impl TlsListener {
    /// Starts accepting on `listener`; who still holds a poll is in `holding`.
    pub fn new(
        listener: TcpListener,
        acceptor: TlsAcceptor,
        polls: Polls,
        holding: TaskTracker,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(64);
        let accepting = Accepting {
            acceptor,
            polls,
            holding,
            ready: sender,
        };
        let accepting = tokio::spawn(accepting.accept(listener)).abort_handle();
        Ok(Self {
            ready,
            address,
            accepting,
        })
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Listener for TlsListener {
    type Io = Begun<TlsStream<TcpStream>>;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer {
            address: self.address,
            credential: None,
        })
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// Without TLS there is no certificate.
impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self {
            address: *stream.remote_addr(),
            credential: None,
        }
    }
}

/// What becomes of each new connection.
#[derive(Clone)]
struct Accepting {
    acceptor: TlsAcceptor,
    polls: Polls,
    holding: TaskTracker,
    ready: mpsc::Sender<Connection>,
}

impl Accepting {
    async fn accept(self, listener: TcpListener) {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
        loop {
            let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, address)) => {
                    let accepting = self.clone();
                    tokio::spawn(async move {
                        let shaken = shake_hands(stream, address, &accepting.acceptor).await;
                        drop(permit);
                        if let Some((stream, peer)) = shaken {
                            accepting.hold(stream, peer);
                        }
                    });
                }
                Err(err) => {
                    tracing::warn!(error = %err, "cannot accept a connection");
                    // Out of file descriptors, most likely: some must close first.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    /// In a task of its own, which is small: it may last for days.
    fn hold(self, stream: TlsStream<TcpStream>, peer: Peer) {
        let (mut polls, ready) = (self.polls, self.ready);
        self.holding.spawn(async move {
            if let Some(stream) = polls.answer(stream, &peer).await {
                let _stopped = ready.send((stream, peer)).await;
            }
        });
    }
}

async fn shake_hands(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: &TlsAcceptor,
) -> Option<(TlsStream<TcpStream>, Peer)> {
    keep_alive(&stream);
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    match tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let credential = credential(&stream, address);
            Some((
                stream,
                Peer {
                    address,
                    credential,
                },
            ))
        }
        Ok(Err(err)) => {
            tracing::debug!(%address, error = %err, "no TLS connection");
            None
        }
        Err(_) => {
            tracing::debug!(%address, "the TLS handshake took too long");
            None
        }
    }
}

fn credential(stream: &TlsStream<TcpStream>, address: SocketAddr) -> Option<Credential> {
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    Credential::read(certificate)
        .inspect_err(
            |err| tracing::warn!(%address, error = %err, "a certificate of ours that names nobody"),
        )
        .ok()
}

/// A box that lost its power says no goodbye: after some minutes of silence its connection is dropped.
fn keep_alive(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_mins(2))
        .with_interval(Duration::from_secs(30));
    let socket = SockRef::from(stream);
    if let Err(err) = socket
        .set_tcp_keepalive(&keepalive)
        .and_then(|()| socket.set_tcp_nodelay(true))
    {
        tracing::debug!(error = %err, "cannot set options of a connection");
    }
}
