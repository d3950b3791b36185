//! What is sent, in a file that nobody knows yet: it gets its name when it is whole and synced, and goes if it does not come to that.

use std::path::Path as StdPath;

use axum::body::Body;
use camino::{Utf8Path, Utf8PathBuf};
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use crate::api::ApiError;
use crate::master::Master;

/// A file that is whole; removed unless it is kept.
pub(in crate::api) struct Upload {
    pub(in crate::api) path: Utf8PathBuf,
    pub(in crate::api) sha256: String,
    pub(in crate::api) size: u64,
    kept: bool,
}

/// A file that is being written.
pub(in crate::api) struct Receiving {
    upload: Upload,
    file: File,
    digest: Sha256,
}

pub(super) async fn receive(master: &Master, body: Body) -> Result<Upload, ApiError> {
    let mut receiving = Receiving::begin(master).await?;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::BadRequest("the upload was cut off".to_owned()))?;
        receiving.write(&chunk).await?;
    }
    receiving.end().await
}

impl Receiving {
    pub(in crate::api) async fn begin(master: &Master) -> Result<Self, ApiError> {
        let random: [u8; 8] = master.entropy.bytes();
        let path = master
            .releases
            .join(format!(".upload-{:016x}", u64::from_be_bytes(random)));
        Ok(Self {
            file: File::create(&path).await?,
            upload: Upload {
                path,
                sha256: String::new(),
                size: 0,
                kept: false,
            },
            digest: Sha256::new(),
        })
    }

    pub(in crate::api) async fn write(&mut self, chunk: &[u8]) -> Result<(), ApiError> {
        self.digest.update(chunk);
        self.upload.size += chunk.len() as u64;
        Ok(self.file.write_all(chunk).await?)
    }

    pub(in crate::api) async fn end(mut self) -> Result<Upload, ApiError> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        let digest = self.digest.finalize();
        self.upload.sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(self.upload)
    }
}

impl Upload {
    pub(in crate::api) async fn keep_as(mut self, path: &Utf8Path) -> Result<(), ApiError> {
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
