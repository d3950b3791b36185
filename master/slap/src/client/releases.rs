//! Releases that the master serves: published and fetched as streams, however large.

use std::time::Duration;

use reqwest::header::CONTENT_LENGTH;
use reqwest::{Body, Response, Url};
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use super::Client;
use super::call::{Call, accepted};
use super::error::CallError;
use crate::v1::{Release, ReleaseName, Releases};

/// Longest that a large transfer may take.
const TRANSFER: Duration = Duration::from_secs(6 * 3600);

/// A release on its way.
#[derive(Debug)]
pub struct Download(Response);

impl Download {
    /// Returns how many bytes it has, if the server said.
    pub fn length(&self) -> Option<u64> {
        self.0.content_length()
    }

    /// Returns the next bytes, or nothing at the end. A transfer that breaks off is an error, never an end.
    pub async fn chunk(&mut self) -> Result<Option<impl AsRef<[u8]> + Send + use<>>, CallError> {
        self.0.chunk().await.map_err(CallError::Cut)
    }
}

impl Client {
    /// `PUT /v1/releases/NAME`.
    pub async fn publish_release(
        &self,
        name: &ReleaseName,
        length: u64,
        content: impl AsyncRead + Send + 'static,
    ) -> Result<Release, CallError> {
        let path = format!("v1/releases/{name}");
        let answer = self.put_stream(&path, length, &[], content).await?;
        let text = answer.bytes().await.map_err(CallError::Cut)?;
        serde_json::from_slice(&text).map_err(|err| CallError::BadAnswer {
            call: format!("PUT /v1/releases/{name}"),
            err: err.into(),
        })
    }

    /// Puts a stream of this length to a path, which is one, with more headers; returns the master's answer, which is a good one.
    pub(super) async fn put_stream(
        &self,
        path: &str,
        length: u64,
        headers: &[(&str, &str)],
        content: impl AsyncRead + Send + 'static,
    ) -> Result<Response, CallError> {
        // A stream can be sent once: find out first where.
        self.discover().await?;
        let base = self.answering();
        let url = base.join(path).expect("a path is part of a URL");
        let stream = ReaderStream::with_capacity(content, 64 << 10);
        let mut request = self
            .http
            .put(url)
            .timeout(TRANSFER)
            .header(CONTENT_LENGTH, length)
            .body(Body::wrap_stream(stream));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await;
        accepted(response.map_err(|err| CallError::unanswered(base, err))?).await
    }

    /// `GET /v1/releases`.
    pub async fn releases(&self) -> Result<Releases, CallError> {
        self.answer(&Call::get(["v1", "releases"])).await
    }

    /// Whether a URL is one of this master's, so that [`Client::download`] fetches it.
    pub fn serves(&self, url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| self.urls.iter().any(|base| base.origin() == url.origin()))
    }

    /// Fetches what the master serves at a URL, from whichever of its addresses answers.
    pub async fn download(&self, url: &str) -> Result<Download, CallError> {
        let path = Url::parse(url)
            .map(|url| url.path().trim_start_matches('/').to_owned())
            .unwrap_or_default();
        let mut call = Call::get([]).timeout(TRANSFER);
        call.extend_path(path.split('/'));
        self.send(&call).await.map(Download)
    }
}
