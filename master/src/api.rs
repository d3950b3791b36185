//! The routes: SLAP at the root, documents for its tools under `/hateoas/`, Slapbox's own under `/v1/`, published releases under `/releases/`.
//! Handlers turn what is sent into the master's own types at the door; errors become answers in `error` alone.

mod base;
mod cache;
mod caller;
mod error;
mod extract;
mod forward;
mod hateoas;
mod re6st;
mod releases;
mod rpc;
mod slap;
mod v1;

use std::sync::Arc;

use axum::Router;

use crate::master::Master;

pub(crate) use cache::sweep;
pub use error::ApiError;
pub(crate) use releases::remove_leftovers;
pub use rpc::description_text;

/// Returns everything that the master serves.
pub fn router(master: Arc<Master>) -> Router {
    Router::new()
        .merge(slap::routes())
        .merge(hateoas::routes())
        .merge(rpc::routes())
        .merge(v1::routes())
        .merge(releases::routes())
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .with_state(master)
}
