//! The way into the cloud: from a document to an identity that is kept. A stick with another document starts it anew.

use std::time::Duration;

use anyhow::Context as _;
use slap::JoinBlob;
use tokio::time::sleep;

use super::{Life, show};
use crate::config::{Master, Role, Settings};
use crate::enrol::{self, Admitted, Applicant, Outcome};
use crate::identity::{self, Identity, Key, MasterFile, OverlayFile, inventory};
use crate::provision;
use crate::roles::{self, Services};
use crate::status::Enrolment;

const PAUSE: Duration = Duration::from_secs(1);
/// Ends this life; the next one begins with the new document.
const OTHER_MAKE: &str = "the new configuration is for a master of another make: starting anew";

/// Enrols, and keeps the identity. `settings` are those that led to it.
pub(super) async fn join(
    life: &Life,
    services: &impl Services,
    key: &Key,
    settings: &mut Settings,
) -> anyhow::Result<Identity> {
    let (places, board) = (&life.places, &life.board);
    loop {
        let current = settings.clone();
        let other = tokio::select! {
            identity = attempt(life, services, key, &current) => return identity,
            other = provision::another(places, board, &current, || false) => other,
        };
        let (provided, chosen) = other;
        tracing::info!("the configuration on {} is accepted", provided.channel);
        provision::accept(places, &provided, false)?;
        board.update(|status| status.notices.clear());
        *settings = chosen;
        show(board, settings);
    }
}

/// One document's way to an identity; ends only with one.
async fn attempt(
    life: &Life,
    services: &impl Services,
    key: &Key,
    settings: &Settings,
) -> anyhow::Result<Identity> {
    loop {
        let join = match &settings.role {
            Role::Node(Some(join)) => join.clone(),
            Role::Node(None) => {
                let reason = "the token of this configuration is used and erased, and the box \
                              has no identity: it needs a configuration with a new `join` line";
                let shown = Enrolment::Unconfigured {
                    reason: Some(reason.to_owned()),
                };
                life.board.update(|status| status.enrolment = shown);
                std::future::pending().await
            }
            Role::Master(master) => own_token(life, services, master).await,
            Role::Slap(_) => anyhow::bail!(OTHER_MAKE),
        };
        let applicant = Applicant {
            places: &life.places,
            board: &life.board,
            key,
            join: &join,
            proxy: settings
                .proxy
                .clone()
                .filter(|_| matches!(settings.role, Role::Node(_))),
            inventory: inventory(
                &life.places,
                settings.name.as_deref().unwrap_or_default(),
                &life.version,
            ),
            world: life.world,
        };
        match (enrol::enrol(&applicant).await, &settings.role) {
            (Outcome::Admitted(admitted), _) => {
                return keep(life, key, settings, &join, admitted);
            }
            // Nobody but this box can bring a new token.
            (Outcome::Refused, Role::Master(_)) => sleep(10 * PAUSE).await,
            (Outcome::Refused, Role::Node(_) | Role::Slap(_)) => std::future::pending().await,
        }
    }
}

fn keep(
    life: &Life,
    key: &Key,
    settings: &Settings,
    join: &JoinBlob,
    admitted: Admitted,
) -> anyhow::Result<Identity> {
    let Admitted {
        reference,
        certificate,
        ca,
    } = admitted;
    let master = master_file(settings, &join.urls, &reference);
    let identity = identity::assemble(key.clone(), certificate, ca, master)
        .context("what the master gave cannot be used")?;
    anyhow::ensure!(
        identity.pins.contains(&join.ca),
        "the master gave another CA than the join blob's"
    );
    identity::store(&life.places.identity(), &identity)?;
    Ok(identity)
}

/// What the box's programs need to know about the master.
pub(super) fn master_file(settings: &Settings, urls: &[String], reference: &str) -> MasterFile {
    MasterFile {
        urls: urls.to_vec(),
        reference: reference.to_owned(),
        overlay: OverlayFile {
            port: settings.overlay.port,
            endpoint: settings.overlay.endpoint.clone(),
        },
        proxy: settings
            .proxy
            .clone()
            .filter(|_| matches!(settings.role, Role::Node(_))),
    }
}

/// Starts the master on this box and gets a token of it.
async fn own_token(life: &Life, services: &impl Services, master: &Master) -> JoinBlob {
    let reason = "its programs are started for the first time".to_owned();
    life.board
        .update(|status| status.enrolment = Enrolment::Preparing { reason });
    loop {
        let started = roles::prepare(&life.places, services, master).await;
        let join = match started {
            Ok(()) => roles::local_join(master).await,
            Err(error) => Err(error),
        };
        match join {
            Ok(join) => return join,
            Err(error) => {
                let reason = format!("{error:#}");
                tracing::warn!("the master is not ready: {reason}");
                life.board
                    .update(|status| status.enrolment = Enrolment::Preparing { reason });
            }
        }
        sleep(PAUSE).await;
    }
}
