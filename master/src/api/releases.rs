//! Published releases: an operator puts one, whoever has a certificate gets it. A name means the same bytes for ever,
//! because a node that has installed a URL never looks at it again.

pub(super) mod shared;
pub(super) mod upload;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use slap::v1::{self, ReleaseName, Releases};
use tower::ServiceExt;
use tower_http::services::ServeFile;

use super::ApiError;
use super::caller::{Caller, Operator};
use super::extract::Path;
use crate::master::Master;
use crate::store::releases::{self, Release};
use upload::{Upload, receive};

pub(crate) use upload::remove_leftovers;

pub(super) fn routes() -> Router<Arc<Master>> {
    Router::new().route("/releases/{name}", get(download))
}

pub(super) async fn list(
    State(master): State<Arc<Master>>,
    _operator: Operator,
) -> Result<axum::Json<Releases>, ApiError> {
    let mut db = master.store.read().await?;
    let releases = releases::releases(&mut db)
        .await?
        .into_iter()
        .map(|it| shown(&master, it))
        .collect::<Result<_, _>>()?;
    Ok(axum::Json(Releases { releases }))
}

pub(super) async fn publish(
    State(master): State<Arc<Master>>,
    Operator(actor): Operator,
    Path(name): Path<ReleaseName>,
    body: Body,
) -> Result<(StatusCode, axum::Json<v1::Release>), ApiError> {
    let upload = receive(&master, body).await?;
    let _held = master.publishing.lock().await;
    if let Some(known) = known(&master, &name, &upload).await? {
        return Ok((StatusCode::OK, axum::Json(shown(&master, known)?)));
    }
    let (sha256, size) = (upload.sha256.clone(), upload.size);
    let path = master.releases.join(name.as_str());
    let upload = if master.store.is_shared() {
        shared::put(&master, &actor, &upload).await?;
        Some(upload)
    } else {
        // The file is all there is of the content: it is there before anybody is told.
        upload.keep_as(&path).await?;
        None
    };
    let mut writing = master.store.write(actor, master.clock.now()).await?;
    // Another master may have published it meanwhile.
    let there = releases::release(writing.db(), name.as_str()).await?;
    let status = match &there {
        Some(there) if there.sha256 != sha256 => return Err(other_content(&name)),
        Some(_) => StatusCode::OK,
        None => {
            writing.add_release(name.as_str(), &sha256, size).await?;
            StatusCode::CREATED
        }
    };
    let release = releases::release(writing.db(), name.as_str()).await?;
    writing.commit().await?;
    if let Some(upload) = upload {
        upload.keep_as(&path).await?;
    }
    let release = release.ok_or_else(|| no_such(&name))?;
    Ok((status, axum::Json(shown(&master, release)?)))
}

/// Returns the release of this name, if there is one with this content.
async fn known(
    master: &Master,
    name: &ReleaseName,
    upload: &Upload,
) -> Result<Option<Release>, ApiError> {
    let mut db = master.store.read().await?;
    match releases::release(&mut db, name.as_str()).await? {
        Some(known) if known.sha256 != upload.sha256 => Err(other_content(name)),
        known => Ok(known),
    }
}

fn other_content(name: &ReleaseName) -> ApiError {
    ApiError::Conflict(format!(
        "`{name}` is published with other content: choose another name, since nodes never fetch one twice"
    ))
}

fn no_such(name: &ReleaseName) -> ApiError {
    ApiError::NotFound(format!("there is no release `{name}`"))
}

async fn download(
    State(master): State<Arc<Master>>,
    _caller: Caller,
    Path(name): Path<ReleaseName>,
    request: Request,
) -> Result<Response, ApiError> {
    let mut db = master.store.read().await?;
    let known = releases::release(&mut db, name.as_str()).await?;
    drop(db);
    let known = known.ok_or_else(|| no_such(&name))?;
    let path = master.releases.join(name.as_str());
    if master.store.is_shared() && !path.exists() {
        shared::fetch(&master, &known.sha256, &path).await?;
    }
    let file = ServeFile::new(path);
    let response = file
        .oneshot(request)
        .await
        .map_err(|err| ApiError::Internal(err.into()))?;
    Ok(response.map(Body::new).into_response())
}

/// Returns where a published release is fetched.
pub(super) fn url_of(master: &Master, name: &str) -> String {
    format!("{}/releases/{name}", master.urls[0])
}

fn shown(master: &Master, release: Release) -> Result<v1::Release, ApiError> {
    Ok(v1::Release {
        url: url_of(master, &release.name),
        name: release
            .name
            .parse()
            .map_err(|err: v1::ReleaseNameError| ApiError::Internal(err.into()))?,
        sha256: release.sha256,
        size: release.size,
        published_at: release.published_at.seconds(),
        published_by: release.published_by,
    })
}
