//! What clients ask first: who this is, where the pages for tools are, which release is the newest of a product.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Deserialize;
use slap::{Value, xml};

use super::Marshalled;
use crate::api::ApiError;
use crate::api::base::Base;
use crate::api::caller::Caller;
use crate::api::extract::Query;
use crate::api::releases::url_of;
use crate::master::Master;
use crate::store::releases;

/// 32 characters that no other run of any master has.
pub(super) async fn run_id(State(master): State<Arc<Master>>) -> String {
    master.run_id.clone()
}

/// Every client that is not told where to find them begins with this.
pub(super) async fn hateoas_url(Base(base): Base) -> impl IntoResponse {
    (
        [(header::CACHE_CONTROL, "public, max-age=3600")],
        format!("{base}/hateoas/"),
    )
}

#[derive(Debug, Deserialize)]
pub(super) struct Product {
    software_product_reference: Option<String>,
    software_release_url: Option<String>,
}

/// A product is what published releases are called before their version: `hello` of `hello-1.2.oci.tar`. The newest comes first.
pub(super) async fn product_releases(
    State(master): State<Arc<Master>>,
    _caller: Caller,
    Query(asked): Query<Product>,
) -> Result<Marshalled, ApiError> {
    let mut db = master.store.read().await?;
    let mut all = releases::releases(&mut db).await?;
    all.sort_by(|a, b| (b.published_at, &b.name).cmp(&(a.published_at, &a.name)));
    let wanted = match (asked.software_product_reference, asked.software_release_url) {
        (Some(product), None) => Some(product),
        (None, Some(url)) => all
            .iter()
            .find(|it| url_of(&master, &it.name) == url)
            .map(|it| product(&it.name).to_owned()),
        (Some(_), Some(_)) | (None, None) => {
            return Err(ApiError::BadRequest(
                "say either `software_product_reference` or `software_release_url`".to_owned(),
            ));
        }
    };
    let urls = all
        .iter()
        .filter(|it| wanted.as_deref() == Some(product(&it.name)))
        .map(|it| Value::from(url_of(&master, &it.name)));
    Ok(Marshalled(xml::write(&Value::List(urls.collect()))))
}

/// Returns what a release is a version of.
fn product(name: &str) -> &str {
    let end = name
        .match_indices(['-', '.', '_'])
        .find(|(at, _)| name[at + 1..].starts_with(|next: char| next.is_ascii_digit()))
        .map(|(at, _)| at);
    match end.or_else(|| name.find('.')) {
        Some(end) => &name[..end],
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_a_name_without_its_version() {
        for (name, expected) in [
            ("hello-1.2.oci.tar", "hello"),
            ("hello-world-2.tar", "hello-world"),
            ("hello.oci.tar", "hello"),
            ("hello", "hello"),
            ("k8s-1", "k8s"),
        ] {
            assert_eq!(product(name), expected);
        }
    }
}
