//! The calls to the master, through `slap`'s client: who calls is renewed while others are calling, a clock that makes TLS
//! fail is set and the call made again. Failures leave as words. Decides nothing about what the answers mean.

mod cached;
mod requests;
mod time;
mod upstream;
mod words;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use slap::ComputerId;
use slap::client::{self, CallError, Client, SetupError, Tag};
use tokio::sync::OnceCell;

use crate::desired::Desired;
use crate::identity::Identity;
use crate::places::Places;
use crate::world::World;

pub use time::TimeSource;
pub use words::{code_of, reason};

/// Nothing that a node asks of its master is long, watching apart.
const TIMEOUT: Duration = Duration::from_secs(60);
const MOST_REDIRECTS: usize = 10;

/// The master of an enrolled box.
#[derive(Debug)]
pub struct Master {
    computer: ComputerId,
    client: RwLock<Arc<Client>>,
    settings: RwLock<client::Settings>,
    extensions: OnceCell<Vec<String>>,
    told: Mutex<Option<(Tag, Desired)>>,
    time: TimeSource,
}

impl Master {
    /// A master that is called as this box; nothing is called yet.
    pub fn new(
        settings: client::Settings,
        computer: ComputerId,
        places: Places,
        world: World,
    ) -> Result<Self, SetupError> {
        let client = Client::new(&settings)?;
        let time = TimeSource::new(&settings, places, world)?;
        Ok(Self {
            computer,
            client: RwLock::new(Arc::new(client)),
            settings: RwLock::new(settings),
            extensions: OnceCell::new(),
            told: Mutex::default(),
            time,
        })
    }

    /// Calls with another certificate from now on.
    pub fn renewed(&self, identity: &Identity) -> Result<(), SetupError> {
        let settings = settings(identity);
        let client = Client::new(&settings)?;
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(client);
        *self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = settings;
        Ok(())
    }

    /// The client to call with.
    pub fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The client's settings, for those who need a client of their own.
    pub fn settings(&self) -> client::Settings {
        self.settings
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Makes a call; makes it again if the clock was what made it fail.
    pub async fn call<T, Answer: Future<Output = Result<T, CallError>>>(
        &self,
        make: impl Fn(Arc<Client>) -> Answer,
    ) -> Result<T, CallError> {
        match make(self.client()).await {
            Err(error) if words::is_clock(&error) => {
                self.keep_time().await?;
                make(self.client()).await
            }
            other => other,
        }
    }

    /// What the master told last, and what it called that.
    fn told(&self) -> MutexGuard<'_, Option<(Tag, Desired)>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the clock if the master's CA says that it is wrong.
    pub async fn keep_time(&self) -> Result<(), CallError> {
        self.time.keep().await
    }
}

/// How an enrolled box calls its master.
pub fn settings(identity: &Identity) -> client::Settings {
    let own = client::Identity {
        certificate_pem: identity.certificate.pem.clone(),
        key_pem: identity.key.reveal().to_owned(),
    };
    let master = &identity.master;
    let settings = client::Settings::enrolled(master.urls.clone(), identity.ca.clone(), own);
    client::Settings {
        proxy: master.proxy.clone(),
        timeout: TIMEOUT,
        ..settings
    }
}

/// Whether nobody on the way can change what comes from a URL: https, or what this machine serves itself.
pub fn is_trusted_way(url: &reqwest::Url) -> bool {
    let here = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    match url.scheme() {
        "https" => true,
        "http" => here,
        _ => false,
    }
}

/// Who serves from elsewhere does not lead to what this machine keeps to itself.
fn is_followed(from: Option<&reqwest::Url>, to: &reqwest::Url) -> bool {
    let is_plain = |url: &reqwest::Url| url.scheme() == "http";
    is_trusted_way(to) && (!is_plain(to) || from.is_some_and(is_plain))
}

/// A client for what the master serves, as this box.
pub fn fetching(settings: &client::Settings) -> anyhow::Result<reqwest::Client> {
    fetching_through(settings.tls()?, settings.proxy.as_deref())
}

/// A client for what anybody serves, as nobody.
pub fn fetching_from_anyone(proxy: Option<&str>) -> anyhow::Result<reqwest::Client> {
    fetching_through(reqwest::Client::builder(), proxy)
}

fn fetching_through(
    builder: reqwest::ClientBuilder,
    proxy: Option<&str>,
) -> anyhow::Result<reqwest::Client> {
    let builder = builder
        .no_proxy()
        .redirect(reqwest::redirect::Policy::custom(|redirected| {
            if redirected.previous().len() > MOST_REDIRECTS {
                redirected.error("it is redirected again and again")
            } else if is_followed(redirected.previous().last(), redirected.url()) {
                redirected.follow()
            } else {
                redirected.error("it is redirected to where there is no https")
            }
        }))
        .connect_timeout(Duration::from_secs(10));
    Ok(match proxy {
        Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy)?).build()?,
        None => builder.build()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirection_leads_neither_out_of_https_nor_back_to_this_machine() {
        let url = |text: &str| reqwest::Url::parse(text).unwrap();
        for (from, to, follows) in [
            ("https://x/", "https://y/", true),
            ("http://127.0.0.1/", "https://y/", true),
            ("http://127.0.0.1/", "http://[::1]/", true),
            ("https://x/", "http://127.0.0.1/", false),
            ("https://x/", "http://y/", false),
            ("http://127.0.0.1/", "ftp://y/", false),
        ] {
            assert_eq!(is_followed(Some(&url(from)), &url(to)), follows, "{to}");
        }
    }
}
