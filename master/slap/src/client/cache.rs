//! The calls about the cache of built releases, under `/v1/cache/`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use tokio::io::AsyncRead;

use super::Client;
use super::call::Call;
use super::error::CallError;
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
        let file = CacheFile::Archive(entry.sha256.clone());
        let path = format!("v1/cache/{}/{file}", entry.system);
        let bytes = STANDARD.encode(bytes);
        let headers = [
            (CACHE_ENTRY_HEADER, bytes.as_str()),
            (CACHE_SIGNATURE_HEADER, signature),
        ];
        let put = self.put_stream(&path, entry.size, &headers, content);
        put.await.map(drop)
    }

    /// `PUT /v1/computers/REF/trusted`, or `DELETE`.
    pub async fn set_trusted(&self, computer: &ComputerId, trusted: bool) -> Result<(), CallError> {
        let method = if trusted { Method::PUT } else { Method::DELETE };
        let path = ["v1", "computers", computer.as_str(), "trusted"];
        self.send(&Call::new(method, path)).await.map(drop)
    }
}
