//! JSON-RPC v0, as the original master and slapproxy have it: `POST /slapos.VERB.v0.NOUN` with a JSON body, errors as one triple.
//! What is served is described by `openapi.json`, which is made from these types and served at `/openapi.json`.

mod instances;
mod nodes;
mod software;
mod wire;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use utoipa::OpenApi;

use super::ApiError;
use super::error::{no_such_method, words};
use crate::master::Master;
use wire::{Refusal, Success};

/// Two hundred partitions are 100 kB.
const BODY_LIMIT: usize = 2 * 1024 * 1024;

/// The description of what is served.
#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "SlapOS JSON-RPC",
        description = "Requests, reports and lists of a SlapOS master. Whoever calls is known by a client certificate.",
        version = "v0",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        instances::post_instance,
        instances::get_instance,
        instances::get_partition,
        instances::get_tree,
        instances::list_trees,
        instances::list_instances,
        instances::list_shares,
        instances::put_instance_state,
        instances::put_instance_error,
        instances::put_instance_bang,
        instances::put_instance_title,
        instances::put_instance_connection,
        instances::get_instance_certificate,
        software::post_installation,
        software::put_installation_state,
        software::put_installation_error,
        software::list_installations,
        nodes::put_node_format,
        nodes::put_node_bang,
        nodes::get_node_status,
        nodes::post_node_usage,
        nodes::post_node_certificate,
        nodes::remove_node_certificate,
        nodes::get_hateoas_url,
        nodes::list_nodes,
    )
)]
struct Description;

pub(super) fn routes() -> Router<Arc<Master>> {
    Router::new()
        .merge(instances::routes())
        .merge(software::routes())
        .merge(nodes::routes())
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn(as_triple))
        .route("/openapi.json", get(description))
}

/// Returns the description as it is served and committed.
pub fn description_text() -> String {
    let mut text = Description::openapi()
        .to_pretty_json()
        .expect("a description is JSON");
    text.push('\n');
    text
}

async fn description() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/json")],
        description_text(),
    )
}

/// A body of JSON that is what the description says, with nothing else in it.
#[derive(Debug)]
struct Asked<T>(T);

impl<T: DeserializeOwned> FromRequest<Arc<Master>> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, master: &Arc<Master>) -> Result<Self, ApiError> {
        let super::extract::Json(value) =
            super::extract::Json::from_request(request, master).await?;
        Ok(Self(value))
    }
}

/// Makes every refusal the triple that clients of this protocol expect. What is not there and what is not allowed are one:
/// nobody learns by asking what exists.
async fn as_triple(request: Request, next: Next) -> Response {
    if !accepts_json(&request) {
        return triple(
            StatusCode::NOT_ACCEPTABLE,
            "this answers in `application/json` alone".to_owned(),
        );
    }
    let response = next.run(request).await;
    if response.status().is_success() {
        return response;
    }
    let status = match response.status() {
        StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
        StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        status => status,
    };
    let title = words(&response).unwrap_or_else(|| status.to_string());
    triple(status, title)
}

fn accepts_json(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT);
    accept.and_then(|it| it.to_str().ok()).is_none_or(|accept| {
        ["application/json", "application/*", "*/*"]
            .iter()
            .any(|kind| accept.contains(kind))
    })
}

fn triple(status: StatusCode, title: String) -> Response {
    let refusal = Refusal {
        status: status.as_u16(),
        kind: status.canonical_reason().unwrap_or_default().to_owned(),
        title,
    };
    let mut response = (status, Json(refusal)).into_response();
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let post = HeaderValue::from_static("POST");
        response.headers_mut().insert(header::ALLOW, post);
    }
    response
}

fn success(title: impl Into<String>) -> Json<Success> {
    Json(Success {
        kind: "success".to_owned(),
        title: title.into(),
    })
}
