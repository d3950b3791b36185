//! The accepted document, kept for the next boot.

use anyhow::Context as _;

use super::channels::Provided;
use super::documents::Documents;
use crate::config::{self, Settings};
use crate::disk;
use crate::places::Places;

/// Keeps a document. An enrolled box keeps no token.
pub fn accept(places: &Places, provided: &Provided, enrolled: bool) -> anyhow::Result<()> {
    disk::private_folder(&places.state())?;
    let stripped = if enrolled {
        config::without_join(&provided.text)
    } else {
        None
    };
    let text = stripped.as_deref().unwrap_or(&provided.text);
    let known = Documents::load(places).accepting(provided.text.as_bytes());
    disk::replace_private(&places.configuration(), text.as_bytes())?;
    known.store(places)
}

/// Takes the used token out of the kept document.
pub fn forget_token(places: &Places) -> anyhow::Result<()> {
    let text = disk::read_text(&places.configuration())?.unwrap_or_default();
    match config::without_join(&text) {
        Some(stripped) => Ok(disk::replace_private(
            &places.configuration(),
            stripped.as_bytes(),
        )?),
        None => Ok(()),
    }
}

/// The kept document. One that does not parse is set aside and told.
pub(super) fn load(places: &Places) -> anyhow::Result<Option<Settings>> {
    let path = places.configuration();
    let Some(text) = disk::read_text(&path)? else {
        return Ok(None);
    };
    match config::parse_kept(&text) {
        Ok(settings) => Ok(Some(settings)),
        Err(mistake) => {
            let aside = disk::set_aside(&path)?;
            Err(mistake).with_context(|| format!("the kept configuration is put aside as {aside}"))
        }
    }
}
