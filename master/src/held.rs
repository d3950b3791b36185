//! Held polls, answered beside hyper: it keeps 24 KB of buffers for a connection that waits, and two thousand nodes wait.
//! Reads `GET /v1/watch?…` and nothing else; a connection on which anything else comes goes on to hyper with what was read of it.
//! What a poll means is the router's to know.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, header};
use axum::response::IntoResponse as _;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::listener::Peer;

const POLL: &[u8] = b"GET /v1/watch?";
const LONGEST_HEAD: usize = 2048;
const MOST_HEADERS: usize = 32;

/// Answers polls.
#[derive(Clone, Debug)]
pub struct Polls {
    pub router: Router,
    /// True when the master is to stop.
    pub stopping: watch::Receiver<bool>,
}

/// A connection of which something was read already.
#[derive(Debug)]
pub struct Begun<S> {
    read: Vec<u8>,
    stream: S,
}

impl Polls {
    /// Answers polls as long as nothing else comes, and returns the connection then; nothing when it is at its end.
    pub async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        mut stream: S,
        peer: &Peer,
    ) -> Option<Begun<S>> {
        let mut read = Vec::new();
        loop {
            let length = loop {
                match look(&read) {
                    Seen::Poll(length) => break length,
                    Seen::Other => return Some(Begun { read, stream }),
                    Seen::TooLittle => {}
                }
                let more = tokio::select! {
                    more = stream.read_buf(&mut read) => more,
                    _ = self.stopping.wait_for(|&it| it) => return None,
                };
                if more.ok()? == 0 {
                    return None;
                }
            };
            let Some(request) = parse(&read[..length], peer) else {
                return Some(Begun { read, stream });
            };
            read = Vec::new();
            let answer = self.wait(request, &mut stream, &mut read).await?;
            stream.write_all(&answer).await.ok()?;
            stream.flush().await.ok()?;
        }
    }

    /// Returns the answer's bytes; nothing when the caller has gone.
    async fn wait<S: AsyncRead + Unpin>(
        &self,
        request: Request<Body>,
        stream: &mut S,
        read: &mut Vec<u8>,
    ) -> Option<Vec<u8>> {
        // In a box, whose room is free again before the wait.
        let response = Box::pin(self.router.clone().oneshot(request)).await;
        let (head, body) = response.into_response().into_parts();
        let mut body = pin!(body.collect());
        let body = loop {
            tokio::select! {
                body = &mut body => break body.ok()?.to_bytes(),
                more = stream.read_buf(read) => {
                    // Whoever waits has nothing to say but the next call.
                    if more.ok()? == 0 || read.len() > LONGEST_HEAD {
                        return None;
                    }
                }
            }
        };
        Some(written(&Response::from_parts(head, ()), &body))
    }
}

enum Seen {
    /// The head of a poll, of this length.
    Poll(usize),
    Other,
    TooLittle,
}

fn look(read: &[u8]) -> Seen {
    let beginning = &read[..read.len().min(POLL.len())];
    if !POLL.starts_with(beginning) {
        return Seen::Other;
    }
    let end = read.windows(4).position(|it| it == b"\r\n\r\n");
    match end {
        Some(end) if end + 4 == read.len() => Seen::Poll(end + 4),
        // Whoever sends more than they were asked for is hyper's to judge.
        Some(_) => Seen::Other,
        None if read.len() > LONGEST_HEAD => Seen::Other,
        None => Seen::TooLittle,
    }
}

/// Returns the call, if it is one of the plain kind: no body, nothing asked of the connection, nothing behind it.
fn parse(head: &[u8], peer: &Peer) -> Option<Request<Body>> {
    const OF_THE_CONNECTION: [header::HeaderName; 5] = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::EXPECT,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let complete = parsed.parse(head).ok()?.is_complete();
    if !complete || parsed.version != Some(1) {
        return None;
    }
    let mut request = Request::get(parsed.path?);
    for header in parsed.headers {
        if OF_THE_CONNECTION.iter().any(|it| it == header.name) {
            return None;
        }
        request = request.header(header.name, header.value);
    }
    request
        .extension(ConnectInfo(peer.clone()))
        .body(Body::empty())
        .ok()
}

fn written(head: &Response<()>, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {}\r\n", head.status()).into_bytes();
    for (name, value) in head.headers() {
        if name != header::CONTENT_LENGTH {
            answer.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
    }
    answer.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
    answer.extend(body);
    answer
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let length = self.read.len().min(buffer.remaining());
        buffer.put_slice(&self.read[..length]);
        self.read.drain(..length);
        if self.read.is_empty() {
            self.read = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::DuplexStream;
    use tokio::task::JoinHandle;

    use super::*;

    /// The far end of a connection, and what becomes of the near one.
    fn connected() -> (
        DuplexStream,
        JoinHandle<Option<Begun<DuplexStream>>>,
        watch::Sender<bool>,
    ) {
        let (far, near) = tokio::io::duplex(4096);
        let (stop, stopping) = watch::channel(false);
        let router = Router::new().route("/v1/watch", get(async || "woken"));
        let mut polls = Polls { router, stopping };
        let peer = Peer {
            address: ([127, 0, 0, 1], 1).into(),
            credential: None,
        };
        let answering = tokio::spawn(async move { polls.answer(near, &peer).await });
        (far, answering, stop)
    }

    async fn answer(far: &mut DuplexStream) -> String {
        let mut answer = Vec::new();
        while !answer.ends_with(b"woken") {
            assert_ne!(far.read_buf(&mut answer).await.unwrap(), 0);
        }
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn polls_are_answered_and_the_rest_goes_on_whole() {
        let (mut far, answering, _stop) = connected();
        for _ in 0..2 {
            far.write_all(b"GET /v1/wa").await.unwrap();
            far.write_all(b"tch?since=1 HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .unwrap();
            let said = answer(&mut far).await;
            assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
            assert!(said.contains("content-length: 5\r\n"), "{said}");
        }
        far.write_all(b"POST /x HTTP/1.1\r\n").await.unwrap();
        let mut begun = answering.await.unwrap().unwrap();
        let mut rest = [0; 18];
        begun.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"POST /x HTTP/1.1\r\n");
    }

    #[tokio::test]
    async fn what_is_no_plain_poll_is_left_to_hyper() {
        let long = format!("GET /v1/watch?{}", "x".repeat(LONGEST_HEAD));
        for head in [
            "GET /v1/watch HTTP/1.1\r\n\r\n",
            "GET /v1/watch?a HTTP/1.0\r\n\r\n",
            "GET /v1/watch?a HTTP/1.1\r\nConnection: close\r\n\r\n",
            "GET /v1/watch?a HTTP/1.1\r\nContent-Length: 1\r\n\r\n",
            "GET /v1/watch?a HTTP/1.1\r\nbad header\r\n\r\n",
            "GET /v1/watch?a HTTP/1.1\r\nHost: x\r\n\r\nmore",
            long.as_str(),
        ] {
            let (mut far, answering, _stop) = connected();
            far.write_all(head.as_bytes()).await.unwrap();
            let begun = answering.await.unwrap().unwrap();
            assert_eq!(begun.read, head.as_bytes(), "{head}");
        }
    }

    #[tokio::test]
    async fn a_connection_ends_with_its_caller_and_with_the_master() {
        let (far, answering, _stop) = connected();
        drop(far);
        assert!(answering.await.unwrap().is_none());
        let (_far, answering, stop) = connected();
        stop.send_replace(true);
        assert!(answering.await.unwrap().is_none());
    }
}
