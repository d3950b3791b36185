//! What whoever owns the master's files may do without a certificate: make tokens. Works while the master runs.

use camino::{Utf8Path, Utf8PathBuf};
use slap::join::Token;

use crate::ca::{Authority, CaError};
use crate::clock::{Clock, Entropy};
use crate::config::ca_in;
use crate::master::join_line;
use crate::minting::{Mint, MintError, mint};
use crate::store::{Location, Store, StoreError, settings};

/// Why no token is made.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    #[error("there is no master in `{0}`: start it there first")]
    NoMaster(Utf8PathBuf),
    #[error("the master in `{0}` knows no URL of its own yet: start it first, or say `--url`")]
    NoUrl(Utf8PathBuf),
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
    if let Location::File(file) = database
        && !file.is_file()
    {
        return Err(LocalError::NoMaster(data.to_owned()));
    }
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
