//! The frame of a story in a box: it is booted with a document, and nothing of it is left on this machine.

use anyhow::{Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use slapbox_qa::cell::Cell;
use slapbox_qa::files::empty_folder;
use slapbox_qa::host::is_root;
use slapbox_qa::partitions::traces_on_this_machine;
use slapbox_qa::peer::Peer;
use slapbox_qa::product::{self, Product};

/// Boots a box, and plays with it, the product, a Python with the original, and an empty folder.
pub(crate) async fn in_a_box(
    name: &str,
    document: &str,
    story: impl AsyncFnOnce(&Cell, &Product, Utf8PathBuf, &Utf8Path) -> Result<()>,
) -> Result<()> {
    let Some((product, python)) = what_it_takes(name)? else {
        return Ok(());
    };
    let before = traces_on_this_machine()?;
    let folder = product::target()?.join("qa").join(name);
    empty_folder(&folder)?;
    {
        let cell = Cell::boot(&product.usr, document, &folder.join("box")).await?;
        let played = story(&cell, &product, python, &folder).await;
        let journal = cell.journal()?;
        played.map_err(|error| error.context(journal))?;
    }
    let after = traces_on_this_machine()?;
    ensure!(after == before, "left: {:?}", after.difference(&before));
    Ok(())
}

/// Finds the product, and a Python with the original; where something is missing it says so, and there is nothing to play.
pub(crate) fn what_it_takes(name: &str) -> Result<Option<(Product, Utf8PathBuf)>> {
    if !is_root() {
        return product::skip(name, "namespaces need root").map(|()| None);
    }
    match (Product::find(), Peer::told_python()) {
        (Ok(product), Ok(python)) => Ok(Some((product, python))),
        (Err(missing), _) | (_, Err(missing)) => {
            product::skip(name, &format!("{missing:#}")).map(|()| None)
        }
    }
}
