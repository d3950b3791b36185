//! Published releases: an operator puts one, whoever has a certificate gets it. A name means the same bytes for ever,
//! because a node that has installed a URL never looks at it again.

use std::path::Path as StdPath;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use camino::{Utf8Path, Utf8PathBuf};
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use slap::v1::{self, ReleaseName, Releases};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tower::ServiceExt;
use tower_http::services::ServeFile;

use super::ApiError;
use super::caller::{Caller, Operator};
use super::extract::Path;
use crate::master::Master;
use crate::store::releases::{self, Release};

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
    let mut db = master.store.read().await?;
    let known = releases::release(&mut db, name.as_str()).await?;
    drop(db);
    if let Some(known) = known {
        if known.sha256 != upload.sha256 {
            return Err(ApiError::Conflict(format!(
                "`{name}` is published with other content: choose another name, since nodes never fetch one twice"
            )));
        }
        return Ok((StatusCode::OK, axum::Json(shown(&master, known)?)));
    }
    let (sha256, size) = (upload.sha256.clone(), upload.size);
    upload.keep_as(&master.releases.join(name.as_str())).await?;
    let mut writing = master.store.write(actor, master.clock.now()).await?;
    writing.add_release(name.as_str(), &sha256, size).await?;
    let release = releases::release(writing.db(), name.as_str()).await?;
    writing.commit().await?;
    let release =
        release.ok_or_else(|| ApiError::NotFound(format!("there is no release `{name}`")))?;
    Ok((StatusCode::CREATED, axum::Json(shown(&master, release)?)))
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
    if known.is_none() {
        return Err(ApiError::NotFound(format!("there is no release `{name}`")));
    }
    let file = ServeFile::new(master.releases.join(name.as_str()));
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

/// What was sent, in a file that nobody knows yet; removed unless it is kept.
struct Upload {
    path: Utf8PathBuf,
    file: File,
    sha256: String,
    size: u64,
    kept: bool,
}

async fn receive(master: &Master, body: Body) -> Result<Upload, ApiError> {
    let random: [u8; 8] = master.entropy.bytes();
    let path = master
        .releases
        .join(format!(".upload-{:016x}", u64::from_be_bytes(random)));
    let mut upload = Upload {
        file: File::create(&path).await?,
        path,
        sha256: String::new(),
        size: 0,
        kept: false,
    };
    let mut digest = Sha256::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::BadRequest("the upload was cut off".to_owned()))?;
        digest.update(&chunk);
        upload.size += chunk.len() as u64;
        upload.file.write_all(&chunk).await?;
    }
    upload.file.flush().await?;
    upload.file.sync_all().await?;
    let digest = digest.finalize();
    upload.sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(upload)
}

impl Upload {
    async fn keep_as(mut self, path: &Utf8Path) -> Result<(), ApiError> {
        tokio::fs::rename(&self.path, path).await?;
        self.kept = true;
        let folder = path.parent().unwrap_or(Utf8Path::new("."));
        File::open(folder).await?.sync_all().await?;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(%error, path = %self.path, "an upload stays that nobody needs");
        }
    }
}

/// Removes what uploads left that a stop cut off.
pub(crate) fn remove_leftovers(folder: &StdPath) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(".upload-") {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
