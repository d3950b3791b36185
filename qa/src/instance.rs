//! An instance: a service that was requested, asked as people ask it, through a port that the master forwards over the overlay.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use crate::child::Child;
use crate::eventually::{eventually, minutes};
use crate::http;
use crate::network::free_tcp_port;
use crate::operator::{Operator, Wish};
use crate::story::act;

/// A software release that a master serves.
#[derive(Debug, Clone)]
pub struct Release {
    /// Where it is fetched.
    pub url: String,
}

/// A requested service.
#[derive(Debug)]
pub struct Instance {
    title: String,
    release: Release,
    computer: String,
    greeting: String,
    operator: Operator,
    folder: Utf8PathBuf,
}

/// An open way from a port of the host to a service.
#[derive(Debug)]
pub struct Forwarded {
    address: SocketAddr,
    process: Child,
}

impl Instance {
    pub(crate) fn new(
        title: &str,
        release: &Release,
        computer: &str,
        greeting: &str,
        operator: &Operator,
        folder: &Utf8Path,
    ) -> Self {
        Self {
            title: title.to_owned(),
            release: release.clone(),
            computer: computer.to_owned(),
            greeting: greeting.to_owned(),
            operator: operator.clone(),
            folder: folder.to_owned(),
        }
    }

    /// Requests that it run.
    pub async fn start(&self) -> Result<()> {
        self.request("started").await
    }

    /// Requests that it stand still.
    pub async fn stop(&self) -> Result<()> {
        act(format_args!("stop “{}”", self.title));
        self.request("stopped").await
    }

    /// Requests that nothing of it be left.
    pub async fn destroy(&self) -> Result<()> {
        act(format_args!("destroy “{}”", self.title));
        self.request("destroyed").await
    }

    /// Waits until its node reports `state`.
    pub async fn is_reported(&self, state: &str) -> Result<()> {
        self.is_reported_within(state, minutes(3)).await
    }

    /// The same, for what takes long before it can be.
    pub async fn is_reported_within(&self, state: &str, patience: Duration) -> Result<()> {
        let reported = eventually(
            format!("“{}” is reported {state}", self.title),
            async || {
                let service = self.operator.service(&self.title).await?;
                let Some(seen) = service["reported_state"].as_str() else {
                    bail!("its node has not reported it yet");
                };
                ensure!(
                    seen == state,
                    "it is reported as {seen}: {}",
                    service["status"].as_str().unwrap_or_default()
                );
                Ok(())
            },
        );
        reported.within(patience).await
    }

    /// Waits until the master knows nothing of it.
    pub async fn is_gone(&self) -> Result<()> {
        let gone = eventually(
            format!("nothing is left of “{}”", self.title),
            async || {
                let computer = self.operator.computer(&self.computer).await?;
                let used = computer["partitions_used"].as_u64();
                ensure!(
                    used == Some(0),
                    "{used:?} partitions of {} are in use",
                    self.computer
                );
                match self.operator.service(&self.title).await {
                    Err(_) => Ok(()),
                    Ok(service) if service["reported_state"] == "destroyed" => Ok(()),
                    Ok(service) => {
                        bail!("the master still has it as {}", service["reported_state"])
                    }
                }
            },
        );
        gone.within(minutes(3)).await
    }

    /// The URL on the overlay that it has published.
    pub async fn url(&self) -> Result<String> {
        let published = eventually(
            format!("“{}” has published its URL", self.title),
            async || {
                let service = self.operator.service(&self.title).await?;
                let url = service["connection"]["url"]
                    .as_str()
                    .context("it has published no URL yet")?;
                Ok(url.to_owned())
            },
        );
        published.within(minutes(2)).await
    }

    /// Opens a port of the host that leads to it.
    pub async fn forward(&self) -> Result<Forwarded> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_tcp_port()?));
        act(format_args!("forward {address} to “{}”", self.title));
        let command = self.operator.forward(&self.title, &address.to_string());
        let log = self.folder.join(format!("forward-{}.log", address.port()));
        let mut process = Child::start("slapbox service forward", &command, &log)?;
        let open = eventually("the forwarded port is open", async || {
            process.must_live()?;
            tokio::net::TcpStream::connect(address)
                .await
                .context("closed")?;
            Ok(())
        });
        open.within(minutes(1)).await?;
        Ok(Forwarded { address, process })
    }

    /// Waits until it answers with its greeting, through a port of the host.
    pub async fn answers(&self) -> Result<Forwarded> {
        let mut way = self.forward().await?;
        self.answers_through(&mut way).await?;
        Ok(way)
    }

    /// Waits until it answers through a way that is open already.
    pub async fn answers_through(&self, way: &mut Forwarded) -> Result<()> {
        let answers = eventually(
            format!("“{}” answers over the overlay", self.title),
            async || {
                let page = way.get("/").await?;
                ensure!(
                    page.contains(&self.greeting),
                    "it answers without its greeting: {page}"
                );
                Ok(())
            },
        );
        answers.within(minutes(2)).await
    }

    async fn request(&self, state: &'static str) -> Result<()> {
        let parameters = [("greeting".to_owned(), self.greeting.clone())].into();
        self.operator
            .request(
                &self.title,
                &self.release.url,
                &self.computer,
                &Wish { state, parameters },
            )
            .await
    }
}

impl Forwarded {
    /// What a browser on the host opens.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Fetches a page.
    pub async fn get(&mut self, path: &str) -> Result<String> {
        self.process.must_live()?;
        http::get(self.address, path).await
    }
}
