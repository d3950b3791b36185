//! A byte stream to a port of a service, through the master: an upgraded connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Client;
use super::call::{Call, bad_answer};
use super::error::{AnswerError, CallError};
use crate::id::Title;
use crate::v1::FORWARD_PROTOCOL;

/// The stream: what is written goes to the service's port, what it says is read.
#[derive(Debug)]
pub struct Forwarded(reqwest::Upgraded);

impl Client {
    /// `GET /v1/forward`: opens one connection to a port of a service.
    pub async fn forward(&self, service: &Title, port: u16) -> Result<Forwarded, CallError> {
        let call = Call::get(["v1", "forward"])
            .query("service", service)
            .query("port", port)
            .header("connection", "upgrade")
            .header("upgrade", FORWARD_PROTOCOL);
        let response = self.send(&call).await?;
        if response.status() != reqwest::StatusCode::SWITCHING_PROTOCOLS {
            return Err(bad_answer(
                &call,
                AnswerError::Other("the connection was not upgraded"),
            ));
        }
        response
            .upgrade()
            .await
            .map(Forwarded)
            .map_err(CallError::Cut)
    }
}

impl AsyncRead for Forwarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Forwarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
