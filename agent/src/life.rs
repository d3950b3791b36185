//! The life of a box: a document, a role, an identity, then the loop. Each step shows on the board how it goes, and none
//! gives up: what cannot be done is tried again or waits for a person.

mod duties;
mod join;
mod membership;

use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::config::{Role, Settings};
use crate::identity::{self, Identity};
use crate::places::Places;
use crate::provision;
use crate::roles::{self, Overlay, Services};
use crate::status::{Board, Enrolment};
use crate::systemd::Systemd;
use crate::world::World;
use membership::Membership;

const PAUSE: Duration = Duration::from_secs(2);

/// What a life is given: where things are, and the outside.
#[derive(Debug, Clone)]
pub struct Life {
    /// Where things are.
    pub places: Places,
    /// Where it is said how it goes.
    pub board: Board,
    /// The version of this program.
    pub version: String,
    /// Time and chance.
    pub world: World,
    /// How often somebody has asked that it look at once.
    pub asked: watch::Receiver<u64>,
}

/// Why a life ends in good order: systemd starts the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Another document was accepted.
    OtherDocument,
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OtherDocument => f.write_str("another configuration is accepted: starting anew"),
        }
    }
}

/// Lives until another document is accepted.
pub async fn live(life: &Life) -> anyhow::Result<End> {
    let (places, board) = (&life.places, &life.board);
    let key = identity::load_or_make_key(&places.identity()).context("the box has no key")?;
    board.update(|status| status.code = Some(key.code()));
    let identity = load_identity(life);
    let mut settings = provision::settings(places, board, identity.is_some()).await?;
    show(board, &settings);
    let systemd = bus(board).await;
    if let Role::Slap(master) = &settings.role {
        let membership = Membership::Known(master.clone());
        return duties::run(life, systemd, settings, membership).await;
    }
    let identity = match identity {
        Some(identity) => {
            start_role(life, &systemd, &settings).await;
            identity
        }
        None => join::join(life, &systemd, &key, &mut settings).await?,
    };
    forget_token(life, &settings)?;
    let (identity, is_moved) = follow_settings(life, &settings, identity)?;
    if let Role::Node(_) = settings.role {
        let masters = identity.master.urls.clone();
        board.update(|status| status.masters = masters);
    }
    let overlay = if is_moved {
        Overlay::Restart
    } else {
        Overlay::Start
    };
    let membership = Membership::Enrolled(Box::new(identity), overlay);
    duties::run(life, systemd, settings, membership).await
}

/// The identity, if the box has one that can be used.
fn load_identity(life: &Life) -> Option<Identity> {
    let folder = life.places.identity();
    match identity::load(&folder) {
        Ok(identity) => identity,
        Err(error) => {
            let why = format!("{error:#}: the box enrols again");
            tracing::error!("{why}");
            life.board.update(|status| status.notices.push(why));
            if let Err(error) = identity::set_aside(&folder) {
                tracing::error!("{error:#}");
            }
            None
        }
    }
}

/// After enrolment nothing of the token stays: on no medium and in no file. A power cut in between is made good here.
fn forget_token(life: &Life, settings: &Settings) -> anyhow::Result<()> {
    let Role::Node(Some(used)) = &settings.role else {
        return Ok(());
    };
    for erased in provision::erase(&life.places, used) {
        match &erased.outcome {
            Ok(()) => tracing::info!("{erased}"),
            Err(_) => {
                tracing::error!("{erased}");
                life.board
                    .update(|status| status.notices.push(erased.to_string()));
            }
        }
    }
    provision::forget_token(&life.places).context("the used token cannot be taken out")
}

/// Tells the box's other programs what the document says now; says whether that is something else than before.
fn follow_settings(
    life: &Life,
    settings: &Settings,
    identity: Identity,
) -> anyhow::Result<(Identity, bool)> {
    let master = join::master_file(settings, &identity.master.urls, &identity.master.reference);
    if master == identity.master {
        return Ok((identity, false));
    }
    identity::store_master(&life.places.identity(), &master)?;
    Ok((Identity { master, ..identity }, true))
}

/// Shows what the document says.
fn show(board: &Board, settings: &Settings) {
    board.update(|status| {
        status.name = settings.name.clone().unwrap_or_default();
        status.role = Some(settings.role.name());
        status.partitions.wanted = settings.partitions;
        status.masters = match &settings.role {
            Role::Node(join) => join
                .as_ref()
                .map(|join| join.urls.clone())
                .unwrap_or_default(),
            Role::Master(master) => master.urls.clone(),
            Role::Slap(master) => vec![master.url.clone()],
        };
    });
}

/// The service manager; without it nothing can be done, so it is waited for.
async fn bus(board: &Board) -> Systemd {
    loop {
        match zbus::Connection::system().await {
            Ok(connection) => return Systemd::new(connection),
            Err(error) => {
                let reason = format!("the system bus does not answer: {error}");
                tracing::error!("{reason}");
                board.update(|status| status.enrolment = Enrolment::Preparing { reason });
            }
        }
        sleep(PAUSE).await;
    }
}

/// Starts the role's units of a box that has its identity: trying goes on, but the box does not wait.
async fn start_role(life: &Life, services: &impl Services, settings: &Settings) {
    let Role::Master(master) = &settings.role else {
        return;
    };
    if let Err(error) = roles::prepare(&life.places, services, master).await {
        tracing::error!("{error:#}");
        life.board
            .update(|status| status.notices.push(format!("{error:#}")));
    }
}
