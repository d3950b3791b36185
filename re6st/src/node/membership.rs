//! Keeps the membership: joins, asks for news, joins again when something changed or the certificate is half way.

use std::net::SocketAddr;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::Instant;

use super::backoff::{chance, pause};
use super::client::Error as ClientError;
use super::credentials::{self, Registry, Source};
use super::document::{Document, Facts};
use super::machine::Machine;
use super::policy;
use super::state::{KeyError, State};
use crate::disk;
use crate::wire::View;
use crate::words::words;

/// A clock that is a year off must not make the node join without end.
const BETWEEN_RENEWALS: Duration = Duration::from_secs(3600);

/// What the node knows of its membership.
#[derive(Clone, Debug, Default)]
pub struct Membership {
    /// What the registry last said.
    pub document: Option<Document>,
    /// Why nothing newer is known, in words.
    pub problem: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the master cannot be called")]
    Credentials(#[source] credentials::Error),
    #[error("the network cannot be joined")]
    Join(#[source] ClientError),
    #[error("no news of the network")]
    News(#[source] ClientError),
    #[error("the key cannot be used")]
    Key(#[source] KeyError),
    #[error("the document cannot be kept")]
    Keep(#[source] disk::Error),
}

/// What to ask the registry next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Join,
    News { since: u64 },
}

/// Keeps the membership, for ever; tells what changes through `news`.
pub(super) async fn keep<M: Machine>(
    source: &Source,
    state: &State,
    machine: &M,
    mut seen: watch::Receiver<Vec<SocketAddr>>,
    news: &watch::Sender<Membership>,
) {
    let mut failures = 0;
    let mut attempt = 0;
    let mut joined = None;
    let mut registry = None;
    loop {
        let stepped = match source.open(attempt, registry.take()) {
            Ok(opened) => {
                step(
                    registry.insert(opened),
                    state,
                    machine,
                    &mut seen,
                    &mut joined,
                    news,
                )
                .await
            }
            Err(err) => Err(Error::Credentials(err)),
        };
        match stepped {
            Ok(()) => failures = 0,
            Err(err) => {
                failures += 1;
                attempt += 1;
                let problem = words(&err);
                tracing::warn!(%problem, failures, "the registry was not reached");
                news.send_if_modified(|known| {
                    known.problem.replace(problem.clone()) != Some(problem)
                });
                tokio::time::sleep(pause(failures, chance())).await;
            }
        }
    }
}

async fn step<M: Machine>(
    registry: &Registry,
    state: &State,
    machine: &M,
    seen: &mut watch::Receiver<Vec<SocketAddr>>,
    joined: &mut Option<Instant>,
    news: &watch::Sender<Membership>,
) -> Result<(), Error> {
    let facts = Facts {
        reference: registry.master.reference.clone(),
        wireguard_public_key: state.keys().wireguard_public,
        port: registry.master.overlay.port,
        endpoint: registry.master.overlay.endpoint.clone(),
        addresses: policy::reachable(
            &seen.borrow_and_update(),
            machine.addresses(),
            registry.master.overlay.port,
        ),
    };
    let known = news.borrow().document.clone();
    let may_renew = joined.is_none_or(|joined: Instant| joined.elapsed() >= BETWEEN_RENEWALS);
    let document = match (
        question(known.as_ref(), &facts, OffsetDateTime::now_utc(), may_renew),
        known,
    ) {
        (Question::News { since }, Some(known)) => match news_or(seen, registry, since).await {
            // Others see this node elsewhere, which is to be told.
            None => return Ok(()),
            Some(answer) => match answer {
                // What does not fit to what is known was asked with another version: everything is asked anew.
                Ok(news) => match known.with_news(news) {
                    Some(document) => document,
                    None => join(registry, facts, state).await?,
                },
                Err(err) if err.is_not_a_member() => join(registry, facts, state).await?,
                Err(err) => return Err(Error::News(err)),
            },
        },
        (Question::News { .. } | Question::Join, _) => {
            let document = join(registry, facts, state).await?;
            *joined = Some(Instant::now());
            document
        }
    };
    let changed = news.borrow().document.as_ref() != Some(&document);
    if changed {
        state.save_document(&document).map_err(Error::Keep)?;
    }
    news.send_if_modified(|known| {
        let solved = known.problem.take().is_some();
        known.document = Some(document);
        changed || solved
    });
    Ok(())
}

/// Waits for news, or until others see this node elsewhere.
async fn news_or(
    seen: &mut watch::Receiver<Vec<SocketAddr>>,
    registry: &Registry,
    since: u64,
) -> Option<Result<View, ClientError>> {
    let elsewhere = async {
        if seen.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        answer = registry.client.network(since) => Some(answer),
        () = elsewhere => None,
    }
}

async fn join(registry: &Registry, facts: Facts, state: &State) -> Result<Document, Error> {
    let csr = state.keys().signing_request().map_err(Error::Key)?;
    let joined = registry
        .client
        .join(&facts.request(csr))
        .await
        .map_err(Error::Join)?;
    tracing::info!(prefix = %joined.prefix, network = %joined.network, "joined the network");
    Ok(Document {
        facts,
        url: registry.url.clone(),
        joined,
    })
}

fn question(
    known: Option<&Document>,
    facts: &Facts,
    now: OffsetDateTime,
    may_renew: bool,
) -> Question {
    match known {
        Some(known) if known.facts == *facts && !(may_renew && now >= known.renew_at()) => {
            Question::News {
                since: known.joined.view.version,
            }
        }
        _ => Question::Join,
    }
}

#[cfg(test)]
mod tests;
