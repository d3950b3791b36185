//! One connection, plain or of TLS, kept as long as the server keeps it: bytes out, an answer in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use slap::client::{self, Identity};
use slap::join::CaPin;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

const HEAD_END: &[u8] = b"\r\n\r\n";
/// What is read at once.
const PIECE: usize = 64 * 1024;

/// Where to, as whom, and from which of this machine's addresses.
#[derive(Clone)]
pub struct Target {
    address: SocketAddr,
    tls: Option<TlsConnector>,
    from: IpAddr,
}

/// A connection to a target, made when it is needed.
pub struct Line {
    target: Target,
    stream: Option<Box<dyn Stream>>,
    buffer: Vec<u8>,
}

/// An answer; it lives until the next call.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    head: &'a str,
    /// Its body.
    pub body: &'a [u8],
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Target {
    /// A server of plain HTTP.
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            tls: None,
            from: Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// A master, to somebody who has no certificate.
    pub fn pinned(address: SocketAddr, ca: CaPin) -> Result<Self> {
        let tls = client::pinned(ca, client::Clock::Trusted, None)?;
        Ok(Self {
            tls: Some(Arc::new(tls).into()),
            ..Self::plain(address)
        })
    }

    /// A master, to somebody who has enrolled. Each target remembers its sessions, as each node does.
    pub fn trusting(address: SocketAddr, ca_pem: &str, identity: &Identity) -> Result<Self> {
        let tls = client::trusting(ca_pem, client::Clock::Trusted, Some(identity))?;
        Ok(Self {
            tls: Some(Arc::new(tls).into()),
            ..Self::plain(address)
        })
    }

    /// The same, called from another address of this machine, as if from another machine.
    pub fn from(self, from: IpAddr) -> Self {
        Self { from, ..self }
    }

    async fn connect(&self) -> Result<Box<dyn Stream>> {
        let socket = match self.address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        };
        let socket = socket.context("cannot make a socket")?;
        if self.from != Ipv4Addr::LOCALHOST {
            socket
                .bind(SocketAddr::new(self.from, 0))
                .context("cannot call from another address")?;
        }
        let stream = socket
            .connect(self.address)
            .await
            .with_context(|| format!("cannot connect to {}", self.address))?;
        stream.set_nodelay(true).context("cannot set an option")?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = slap::MASTER_NAME.try_into().context("not a name")?;
        let stream = tls.connect(name, stream).await.context("no TLS")?;
        Ok(Box::new(stream))
    }
}

impl Line {
    /// A line to a target; nothing is connected yet.
    pub fn to(target: Target) -> Self {
        Self {
            target,
            stream: None,
            buffer: Vec::new(),
        }
    }

    /// Connects, if it is not.
    pub async fn connect(&mut self) -> Result<()> {
        if self.stream.is_none() {
            self.stream = Some(self.target.connect().await?);
        }
        Ok(())
    }

    /// Hangs up.
    pub async fn close(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            // Whether the other side hears the goodbye does not matter.
            let _ = stream.shutdown().await;
        }
        self.buffer = Vec::new();
    }

    /// Makes a call and reads its answer. After a failure the next call connects anew.
    pub async fn ask(&mut self, call: &[u8]) -> Result<Answer<'_>> {
        self.connect().await?;
        let mut stream = self.stream.take().context("not connected")?;
        stream.write_all(call).await.context("cannot send a call")?;
        let head = read_head(&mut stream, &mut self.buffer).await?;
        let text = std::str::from_utf8(&self.buffer[..head]).context("a head that is no text")?;
        let length: usize = match field(text, "content-length") {
            Some(length) => length.parse().context("a length that is no number")?,
            None => 0,
        };
        let stays = text.starts_with("HTTP/1.1")
            && field(text, "connection").is_none_or(|it| it != "close");
        let whole = head + HEAD_END.len() + length;
        read_until(&mut stream, &mut self.buffer, whole).await?;
        if stays {
            self.stream = Some(stream);
        }
        let text = std::str::from_utf8(&self.buffer[..head]).context("a head that is no text")?;
        let status = text
            .split(' ')
            .nth(1)
            .and_then(|it| it.parse().ok())
            .context("an answer without a status")?;
        Ok(Answer {
            status,
            head: text,
            body: &self.buffer[head + HEAD_END.len()..whole],
        })
    }
}

impl Answer<'_> {
    /// Returns what the answer's document is called.
    pub fn tag(&self) -> Option<&str> {
        field(self.head, "etag")
    }

    /// Refuses an answer that is no 200.
    pub fn must_be_good(&self) -> Result<()> {
        if self.status != 200 {
            let words = String::from_utf8_lossy(self.body);
            bail!("{}: {words}", self.status);
        }
        Ok(())
    }
}

async fn read_head(stream: &mut Box<dyn Stream>, buffer: &mut Vec<u8>) -> Result<usize> {
    buffer.clear();
    loop {
        let seen = buffer.len().saturating_sub(HEAD_END.len());
        read_piece(stream, buffer).await?;
        let end = buffer[seen..]
            .windows(HEAD_END.len())
            .position(|it| it == HEAD_END);
        if let Some(end) = end {
            return Ok(seen + end);
        }
    }
}

async fn read_until(
    stream: &mut Box<dyn Stream>,
    buffer: &mut Vec<u8>,
    length: usize,
) -> Result<()> {
    while buffer.len() < length {
        read_piece(stream, buffer).await?;
    }
    Ok(())
}

async fn read_piece(stream: &mut Box<dyn Stream>, buffer: &mut Vec<u8>) -> Result<()> {
    let length = buffer.len();
    buffer.reserve(if length == 0 { 1024 } else { PIECE });
    let read = stream.read_buf(buffer).await.context("cannot read")?;
    if read == 0 {
        bail!("the connection was closed in the middle of an answer");
    }
    Ok(())
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("address", &self.address)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A server that gives its answers one after the other, a new connection for each if it says so.
    async fn server(answers: &'static [&'static str]) -> (Target, tokio::task::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let mut connections = 0;
            let mut kept = None;
            for answer in answers {
                let mut stream = match kept.take() {
                    Some(stream) => stream,
                    None => {
                        connections += 1;
                        listener.accept().await.unwrap().0
                    }
                };
                let mut call = [0; 4];
                stream.read_exact(&mut call).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                kept = answer.starts_with("HTTP/1.1").then_some(stream);
            }
            connections
        });
        (Target::plain(address), serving)
    }

    #[tokio::test]
    async fn a_connection_is_kept_if_the_server_keeps_it() {
        let (target, serving) = server(&[
            "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 3\r\n\r\nabc",
            "HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n",
            "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.0 404 Not Found\r\ncontent-length: 2\r\n\r\nno",
        ])
        .await;
        let mut line = Line::to(target);
        let answer = line.ask(b"call").await.unwrap();
        assert_eq!((answer.status, answer.body), (200, b"abc".as_slice()));
        assert_eq!(answer.tag(), Some("\"x\""));
        assert_eq!(line.ask(b"call").await.unwrap().status, 304);
        line.ask(b"call").await.unwrap().must_be_good().unwrap();
        let refused = line.ask(b"call").await.unwrap().must_be_good();
        assert_eq!(refused.unwrap_err().to_string(), "404: no");
        assert_eq!(serving.await.unwrap(), 2);
    }

    #[tokio::test]
    async fn half_an_answer_is_an_error() {
        let (target, _serving) = server(&["HTTP/1.0 200 OK\r\ncontent-length: 9\r\n\r\nabc"]).await;
        assert!(Line::to(target).ask(b"call").await.is_err());
    }
}
