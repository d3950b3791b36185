//! The cache of built releases: a computer that a manager trusts offers what it built, the computers of its project take it. The master
//! keeps it and names whose keys are trusted; whether to believe an entry is for whoever takes it to find out.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use camino::Utf8PathBuf;
use futures_util::StreamExt as _;
use slap::v1::{
    CACHE_ENTRY_HEADER, CACHE_ENTRY_MAX_BYTES, CACHE_SIGNATURE_HEADER, CACHE_SIGNATURE_MAX_BYTES,
    CacheFile, CacheKey, CacheKeys, CacheName, CacheSystem, Sha256Hex, TrustedKey,
};
use tower::ServiceExt as _;
use tower_http::services::ServeFile;

use super::ApiError;
use super::caller::Node;
use super::error::chain;
use super::extract::{Json, Path};
use super::releases::shared;
use super::releases::upload::{Receiving, Upload};
use crate::cache::{OfferError, OfferKey, Signed};
use crate::identity::{ComputerId, Identity, ProjectName};
use crate::master::Master;
use crate::store::cache::{self, Standing};
use crate::store::{Connection, Writing};

/// When an archive was taken is noted no more often.
const NOTED_EVERY: Duration = Duration::from_hours(1);

/// A computer says by which key it signs.
pub(super) async fn announce(
    State(master): State<Arc<Master>>,
    Node(computer): Node,
    Json(CacheKey { key }): Json<CacheKey>,
) -> Result<StatusCode, ApiError> {
    OfferKey::parse(&key).map_err(refused)?;
    let mut writing = begin(&master, &computer).await?;
    writing.set_cache_key(&computer, &key).await?;
    writing.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A computer asks whose builds it may take.
pub(super) async fn keys(
    State(master): State<Arc<Master>>,
    Node(computer): Node,
) -> Result<axum::Json<CacheKeys>, ApiError> {
    let mut db = master.store.read().await?;
    let project = standing(&mut db, &computer).await?.project;
    let keys = cache::keys(&mut db, &project).await?;
    let keys = keys.into_iter();
    let keys = keys.map(|(computer, key)| TrustedKey { computer, key });
    Ok(axum::Json(CacheKeys {
        keys: keys.collect(),
    }))
}

pub(super) async fn fetch(
    State(master): State<Arc<Master>>,
    Node(computer): Node,
    Path((system, file)): Path<(CacheSystem, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let mut db = master.store.read().await?;
    let project = standing(&mut db, &computer).await?.project;
    let of_entry = async |db: &mut Connection, name: &CacheName| {
        let found = cache::entry(db, &project, system.as_str(), name.as_str()).await?;
        found.ok_or_else(|| no_such(&file))
    };
    match file.parse() {
        Ok(CacheFile::Entry(name)) => {
            let (entry, _) = of_entry(&mut db, &name).await?;
            Ok(([(header::CONTENT_TYPE, "application/json")], entry).into_response())
        }
        Ok(CacheFile::Signature(name)) => {
            let (_, signature) = of_entry(&mut db, &name).await?;
            Ok(signature.into_response())
        }
        Ok(CacheFile::Archive(digest)) => {
            drop(db);
            archive(&master, &computer, &project, &system, &digest, request).await
        }
        Err(_) => Err(no_such(&file)),
    }
}

async fn archive(
    master: &Master,
    computer: &ComputerId,
    project: &ProjectName,
    system: &CacheSystem,
    digest: &Sha256Hex,
    request: Request,
) -> Result<Response, ApiError> {
    let mut db = master.store.read().await?;
    let found = cache::archive(&mut db, project, system.as_str(), digest.as_str()).await?;
    drop(db);
    let missing = || no_such(&CacheFile::Archive(digest.clone()).to_string());
    let found = found.ok_or_else(missing)?;
    let path = path_of(master, digest);
    if !path.exists() {
        if !master.store.is_shared() {
            // A backup has no archives: what it says of them is true no more.
            let mut writing = begin(master, computer).await?;
            writing.forget_archive(project, digest.as_str()).await?;
            writing.commit().await?;
            return Err(missing());
        }
        shared::fetch(master, digest.as_str(), &path).await?;
    }
    if master.clock.now().since(found.used_at) >= NOTED_EVERY {
        let mut writing = begin(master, computer).await?;
        writing.used_archive(project, digest.as_str()).await?;
        writing.commit().await?;
    }
    let response = ServeFile::new(path).oneshot(request).await;
    let response = response.map_err(|err| ApiError::Internal(err.into()))?;
    Ok(response.map(Body::new).into_response())
}

/// A trusted computer puts an entry and its archive, which nobody sees before both are whole.
pub(super) async fn offer(
    State(master): State<Arc<Master>>,
    Node(computer): Node,
    Path((system, file)): Path<(CacheSystem, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let mut db = master.store.read().await?;
    let standing = standing(&mut db, &computer).await?;
    drop(db);
    let key = key_of(&standing, &computer)?;
    let signed = signed(&headers, &key)?;
    fits(&signed, &system, &file, master.cache_room)?;
    let upload = receive(&master, body, &signed).await?;
    let _held = master.publishing.lock().await;
    let path = path_of(&master, &signed.entry.sha256);
    let upload = if master.store.is_shared() {
        let actor = Identity::Computer(computer.clone()).to_string();
        shared::put(&master, &actor, &upload).await?;
        Some(upload)
    } else {
        // The file is all there is of the content: it is there before anybody is told.
        upload.keep_as(&path).await?;
        None
    };
    let mut writing = begin(&master, &computer).await?;
    // It may have been decided otherwise while the archive was on its way.
    let standing = self::standing(writing.db(), &computer).await?;
    key_of(&standing, &computer)?;
    let (project, room) = (&standing.project, master.cache_room);
    writing.put_cached(project, &signed, room).await?;
    writing.commit().await?;
    if let Some(upload) = upload {
        upload.keep_as(&path).await?;
    }
    sweep(&master).await?;
    Ok(StatusCode::CREATED)
}

/// Removes the files of archives that no project has any more.
pub(crate) async fn sweep(master: &Master) -> Result<(), ApiError> {
    let mut db = master.store.read().await?;
    let known = cache::digests(&mut db).await?;
    drop(db);
    let mut files = tokio::fs::read_dir(&master.cache).await?;
    while let Some(file) = files.next_entry().await? {
        let name = file.file_name();
        if !known.iter().any(|known| name == known.as_str()) {
            tokio::fs::remove_file(file.path()).await?;
        }
    }
    Ok(())
}

/// Returns the key of a computer that may offer.
fn key_of(standing: &Standing, computer: &ComputerId) -> Result<OfferKey, ApiError> {
    if !standing.trusted {
        return Err(ApiError::Forbidden(format!(
            "nobody takes what {computer} builds: a manager of its project may decide otherwise (`slapbox computer trust {computer}`)"
        )));
    }
    let key = standing.key.as_deref().ok_or_else(|| {
        ApiError::BadRequest(format!(
            "{computer} has not said by which key it signs: `PUT /v1/cache/key`"
        ))
    })?;
    OfferKey::parse(key).map_err(refused)
}

fn signed(headers: &HeaderMap, key: &OfferKey) -> Result<Signed, ApiError> {
    let header = |name: &str, most: usize| {
        let text = headers.get(name).and_then(|value| value.to_str().ok());
        let text = text.filter(|text| text.len() <= most);
        text.ok_or_else(|| {
            ApiError::BadRequest(format!(
                "the header `{name}` is missing, or has more than {most} bytes"
            ))
        })
    };
    let entry = header(CACHE_ENTRY_HEADER, CACHE_ENTRY_MAX_BYTES)?;
    let signature = header(CACHE_SIGNATURE_HEADER, CACHE_SIGNATURE_MAX_BYTES)?;
    Signed::parse(entry, signature, key).map_err(refused)
}

/// Refuses an entry that is for another place, or has no room.
fn fits(signed: &Signed, system: &CacheSystem, file: &str, room: u64) -> Result<(), ApiError> {
    let entry = &signed.entry;
    if entry.system != *system || CacheFile::Archive(entry.sha256.clone()).to_string() != file {
        return Err(ApiError::BadRequest(
            "the entry is for another system, or names another archive, than the path".to_owned(),
        ));
    }
    if entry.size > room {
        return Err(ApiError::TooLarge(format!(
            "the archive has {} bytes, and the cache of a project has room for {room}",
            entry.size
        )));
    }
    Ok(())
}

/// Receives an archive, and no more bytes than its entry has announced.
async fn receive(master: &Master, body: Body, signed: &Signed) -> Result<Upload, ApiError> {
    let entry = &signed.entry;
    let other =
        || ApiError::BadRequest("the archive is not the one that its entry describes".to_owned());
    let mut receiving = Receiving::begin(master).await?;
    let mut chunks = body.into_data_stream();
    let mut size = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::BadRequest("the upload was cut off".to_owned()))?;
        size += chunk.len() as u64;
        if size > entry.size {
            return Err(other());
        }
        receiving.write(&chunk).await?;
    }
    let upload = receiving.end().await?;
    if upload.size != entry.size || upload.sha256 != entry.sha256.as_str() {
        return Err(other());
    }
    Ok(upload)
}

async fn standing(db: &mut Connection, computer: &ComputerId) -> Result<Standing, ApiError> {
    let standing = cache::standing(db, computer).await?;
    standing.ok_or_else(|| ApiError::no_computer(computer))
}

async fn begin(master: &Master, computer: &ComputerId) -> Result<Writing, ApiError> {
    let actor = Identity::Computer(computer.clone()).to_string();
    Ok(master.store.write(actor, master.clock.now()).await?)
}

fn path_of(master: &Master, digest: &Sha256Hex) -> Utf8PathBuf {
    master.cache.join(digest.as_str())
}

fn no_such(file: &str) -> ApiError {
    ApiError::NotFound(format!("`{file}` is not in the cache"))
}

fn refused(error: OfferError) -> ApiError {
    ApiError::BadRequest(chain(&error))
}
