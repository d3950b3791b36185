//! The calls about the cache of built releases, under `/v1/cache/`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Body, Method};
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use super::Client;
use super::call::{Call, accepted};
use super::error::CallError;
use super::releases::TRANSFER;
use crate::id::ComputerId;
use crate::v1::{
    CACHE_ENTRY_HEADER, CACHE_SIGNATURE_HEADER, CacheEntry, CacheFile, CacheKey, CacheKeys,
};

impl Client {
    /// `PUT /v1/cache/key`.
    pub async fn announce_cache_key(&self, key: &CacheKey) -> Result<(), CallError> {
        let call = Call::json(["v1", "cache", "key"], key).by(Method::PUT);
        self.send(&call).await.map(drop)
    }

    /// `GET /v1/cache/keys`.
    pub async fn cache_keys(&self) -> Result<CacheKeys, CallError> {
        self.answer(&Call::get(["v1", "cache", "keys"])).await
    }

    /// `PUT /v1/cache/SYSTEM/SHA256.tar.zst`: an entry, its bytes and their signature in base64, and the archive.
    pub async fn offer_to_cache(
        &self,
        entry: &CacheEntry,
        bytes: &[u8],
        signature: &str,
        content: impl AsyncRead + Send + 'static,
    ) -> Result<(), CallError> {
        // A stream can be sent once: find out first where.
        self.discover().await?;
        let base = self.answering();
        let file = CacheFile::Archive(entry.sha256.clone());
        let url = base
            .join(&format!("v1/cache/{}/{file}", entry.system))
            .expect("the names of the cache are parts of paths");
        let request = self
            .http
            .put(url)
            .timeout(TRANSFER)
            .header(CONTENT_LENGTH, entry.size)
            .header(CACHE_ENTRY_HEADER, STANDARD.encode(bytes))
            .header(CACHE_SIGNATURE_HEADER, signature)
            .body(Body::wrap_stream(ReaderStream::with_capacity(
                content,
                64 << 10,
            )));
        let response = request
            .send()
            .await
            .map_err(|err| CallError::unanswered(base, err))?;
        accepted(response).await.map(drop)
    }

    /// `PUT /v1/computers/REF/trusted`, or `DELETE`.
    pub async fn set_trusted(&self, computer: &ComputerId, trusted: bool) -> Result<(), CallError> {
        let method = if trusted { Method::PUT } else { Method::DELETE };
        let path = ["v1", "computers", computer.as_str(), "trusted"];
        self.send(&Call::new(method, path)).await.map(drop)
    }
}
