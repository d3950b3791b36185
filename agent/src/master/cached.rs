//! The master as the one who keeps the cache of built releases. One of another make keeps none.

use std::sync::Arc;

use slap::client::{CallError, Client};
use slap::v1::CacheKey;

use super::Master;
use super::upstream::said;
use crate::software::cache::{Answer, KeepsCache, Offered};

impl KeepsCache for Master {
    fn url(&self) -> Answer<'_, Option<String>> {
        Box::pin(async move {
            let keeps = self.has("cache").await.map_err(|error| error.reason)?;
            let url = self.settings().urls.into_iter().next();
            let url = url.map(|url| format!("{}/v1/cache", url.trim_end_matches('/')));
            Ok(url.filter(|_| keeps))
        })
    }

    fn keys(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async move {
            let call = |client: Arc<Client>| async move { client.cache_keys().await };
            let keys = self.call(call).await.map_err(in_words)?.keys;
            Ok(keys.into_iter().map(|trusted| trusted.key).collect())
        })
    }

    fn announce<'a>(&'a self, key: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            if KeepsCache::url(self).await?.is_none() {
                return Err("the master keeps no cache".to_owned());
            }
            let announced = CacheKey {
                key: key.to_owned(),
            };
            let announced = &announced;
            let call =
                |client: Arc<Client>| async move { client.announce_cache_key(announced).await };
            self.call(call).await.map_err(in_words)?;
            let is_trusted = self.keys().await?.iter().any(|trusted| trusted == key);
            is_trusted.then_some(()).ok_or_else(|| {
                format!(
                    "nobody takes it: a manager may decide otherwise (`slapbox computer trust {}`)",
                    self.computer
                )
            })
        })
    }

    fn offer<'a>(&'a self, offered: &'a Offered) -> Answer<'a, ()> {
        Box::pin(async move {
            let archive = tokio::fs::File::open(&offered.archive).await;
            let archive = archive.map_err(|error| format!("its archive is lost: {error}"))?;
            let Offered {
                entry,
                bytes,
                signature,
                ..
            } = offered;
            let client = self.client();
            let brought = client.offer_to_cache(entry, bytes, signature, archive);
            brought.await.map_err(in_words)
        })
    }
}

fn in_words(error: CallError) -> String {
    said(error).reason
}
