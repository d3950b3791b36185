//! What the image weighs and what is in it.

use anyhow::{Context as _, Result};

use crate::figures::Figure;
use crate::gpt::{load_erofs_length, load_partitions};
use crate::product::Product;

const MB: f64 = 1e6;

pub(super) fn measure(product: &Product) -> Result<Vec<Figure>> {
    let partitions = load_partitions(&product.image)?;
    let usr = partitions
        .iter()
        .find(|it| it.is_usr())
        .context("the image has no /usr")?;
    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
    let usr = load_erofs_length(&product.image, usr.start)? as f64 / MB;
    Ok(vec![
        Figure::at_most(150.0, "image, zstd", compressed(product)? / MB, "MB"),
        Figure::at_most(300.0, "/usr", usr, "MB"),
        Figure::watched("packages in the image", packages(product)?, ""),
    ])
}

/// The size of the image as it is published.
fn compressed(product: &Product) -> Result<f64> {
    let path = product.image.with_extension("raw.zst");
    let file = std::fs::metadata(&path).with_context(|| format!("cannot look at {path}"))?;
    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
    Ok(file.len() as f64)
}

fn packages(product: &Product) -> Result<f64> {
    let lock = product.image.with_file_name("packages.lock");
    let text = std::fs::read_to_string(&lock).with_context(|| format!("cannot read {lock}"))?;
    let count = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .count();
    Ok(f64::from(
        u32::try_from(count).context("far too many packages")?,
    ))
}
