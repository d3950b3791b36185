//! What whoever owns the master's files may do without a certificate: make tokens, retire a CA. Works while the master runs.

use camino::{Utf8Path, Utf8PathBuf};
use slap::join::Token;

use crate::ca::{self, Authority, CaError};
use crate::clock::{Clock, Entropy};
use crate::config::ca_in;
use crate::master::join_line;
use crate::minting::{Mint, MintError, mint};
use crate::store::{Location, Store, StoreError, certificates, settings};

/// Why no token is made.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    #[error("there is no master in `{0}`: start it there first")]
    NoMaster(Utf8PathBuf),
    #[error("the master in `{0}` knows no URL of its own yet: start it first, or say `--url`")]
    NoUrl(Utf8PathBuf),
    #[error(
        "{} still have certificates of the CA before alone: {}; wait until they have renewed them, or shut them out by `--force`",
        .0.len(), .0.join(", ")
    )]
    StillNeeded(Vec<String>),
    #[error("there is no such token")]
    BadToken(#[from] MintError),
    #[error("the CA cannot be used")]
    Ca(#[from] CaError),
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
}

/// Makes a token and returns the join blob with it. Without `urls` it has those of the master's last start.
pub async fn make_token(
    data: &Utf8Path,
    database: &Location,
    wish: Mint,
    urls: Vec<String>,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<String, LocalError> {
    wish.check()?;
    must_be_there(data, database)?;
    let authority = Authority::open(&ca_in(data))?;
    let store = Store::open(database).await?;
    let made = mint_in(&store, wish, clock, entropy).await;
    let known = match store.read().await {
        Ok(mut db) => settings::urls(&mut db).await,
        Err(err) => Err(err),
    };
    store.close().await;
    let urls = if urls.is_empty() { known? } else { urls };
    if urls.is_empty() {
        return Err(LocalError::NoUrl(data.to_owned()));
    }
    Ok(join_line(urls, &authority, made?))
}

/// Retires the CA before this one, unless somebody still needs it.
pub async fn retire_ca(
    data: &Utf8Path,
    database: &Location,
    force: bool,
    clock: &Clock,
) -> Result<(), LocalError> {
    let folder = ca_in(data);
    let authority = Authority::open(&folder)?;
    if let Some(previous) = authority.previous_pin()
        && !force
    {
        must_be_there(data, database)?;
        let store = Store::open(database).await?;
        let needed = match store.read().await {
            Ok(mut db) => certificates::bearers_of(&mut db, &previous, clock.now()).await,
            Err(err) => Err(err),
        };
        store.close().await;
        let needed = needed?;
        if !needed.is_empty() {
            return Err(LocalError::StillNeeded(needed));
        }
    }
    Ok(ca::retire(&folder)?)
}

fn must_be_there(data: &Utf8Path, database: &Location) -> Result<(), LocalError> {
    match database {
        Location::File(file) if !file.is_file() => Err(LocalError::NoMaster(data.to_owned())),
        Location::File(_) | Location::Server(_) => Ok(()),
    }
}

async fn mint_in(
    store: &Store,
    wish: Mint,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<Token, StoreError> {
    let mut writing = store.write("local", clock.now()).await?;
    let token = mint(&mut writing, wish, entropy).await?;
    writing.commit().await?;
    Ok(token)
}
