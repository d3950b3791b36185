//! Slapbox's own interface, in JSON: what SLAP has not. Plain SLAP clients need none of it.

mod computers;
mod discovery;
pub(super) mod enrol;
mod log;
mod projects;
mod report;
pub(super) mod services;
mod tokens;
mod users;
mod watch;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, delete, get, post, put};

use super::{cache, forward, re6st, releases};
use crate::master::Master;

/// No document of these is larger.
const BODY_LIMIT: usize = 256 * 1024;

pub(super) fn routes() -> Router<Arc<Master>> {
    Router::new()
        .route("/v1/", get(discovery::discover))
        .route("/v1/ca", get(discovery::ca))
        .route("/v1/crl", get(discovery::crl))
        .route("/v1/time", get(discovery::time))
        .route("/v1/enrol", post(enrol::enrol))
        .route("/v1/renew", post(enrol::renew))
        .route("/v1/watch", get(watch::watch))
        .route("/v1/report", post(report::report))
        .route("/v1/tokens", post(tokens::create).get(tokens::list))
        .route("/v1/tokens/{id}", delete(tokens::revoke))
        .route("/v1/computers", get(computers::list))
        .route("/v1/computers/{reference}", get(computers::show))
        .route(
            "/v1/computers/{reference}/approve",
            post(computers::approve),
        )
        .route("/v1/computers/{reference}/revoke", post(computers::revoke))
        .route(
            "/v1/computers/{reference}/project/{project}",
            put(computers::set_project),
        )
        .route(
            "/v1/computers/{reference}/trusted",
            put(computers::trust).delete(computers::distrust),
        )
        .route("/v1/users", get(users::list))
        .route("/v1/users/{name}/revoke", post(users::revoke))
        .route(
            "/v1/users/{organisation}/people/{person}",
            put(users::join).delete(users::part),
        )
        .route("/v1/projects", get(projects::list).post(projects::create))
        .route("/v1/projects/{name}", delete(projects::delete))
        .route(
            "/v1/projects/{name}/roles/{user}",
            put(projects::give_role).delete(projects::take_role),
        )
        .route("/v1/log", get(log::log))
        .route("/v1/services", get(services::list))
        .route("/v1/services/{title}", get(services::show))
        .route("/v1/forward", get(forward::forward))
        .route("/v1/cache/key", put(cache::announce))
        .route("/v1/cache/keys", get(cache::keys))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .route("/v1/releases", get(releases::list))
        .route("/v1/releases/{name}", put(releases::publish))
        .route(
            "/v1/cache/{system}/{file}",
            get(cache::fetch).put(cache::offer),
        )
        .route("/v1/re6st/{*path}", any(re6st::proxy))
}
