//! `product.NAME` where a URL is asked for: the best release of a product, as the master has it.

use anyhow::{Context as _, Result};
use slap::client::Client;

use crate::failure::NotReady;

/// Returns a URL as it was typed, or the one of the product that was.
pub(crate) async fn resolve(client: &Client, typed: String) -> Result<String> {
    let Some(product) = product_of(&typed) else {
        return Ok(typed);
    };
    let found = client
        .product_releases(product)
        .await
        .with_context(|| format!("cannot ask for the releases of `{product}`"))?;
    found.into_iter().next().ok_or_else(|| {
        let words = format!(
            "the master has no release of a product `{product}`: `slapbox release list` shows what it has"
        );
        NotReady(words).into()
    })
}

fn product_of(typed: &str) -> Option<&str> {
    typed.strip_prefix("product.").filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_told_from_a_url() {
        assert_eq!(product_of("product.hello"), Some("hello"));
        for url in ["https://m/product.hello", "product.", "hello"] {
            assert_eq!(product_of(url), None, "{url}");
        }
    }
}
