//! A backup of a master, which may be running: its database as it is at one moment, its CA, the releases that it serves.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use camino::{Utf8Path, Utf8PathBuf};

use super::archive::{self, DATABASE, DUMP, FORMAT, Manifest, Member};
use super::staging::{Staging, parent, sync_folder};
use super::{BackupError, dump, failed_read, failed_write};
use crate::ca::{Authority, PREVIOUS};
use crate::clock::Moment;
use crate::config::ca_in;
use crate::store::Location;
use crate::store::copy::{self, Facts};

/// What is to be backed up, and where to.
#[derive(Clone, Debug)]
pub struct Make {
    pub data: Utf8PathBuf,
    pub database: Location,
    /// Whether the files of published releases are to be in it.
    pub releases: bool,
    /// What there is by this name is replaced when the backup is whole.
    pub file: Utf8PathBuf,
}

/// A backup that is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    pub bytes: u64,
    pub releases: usize,
}

/// Makes a backup. Dropped before its end, it leaves nothing.
pub async fn make(wish: &Make, now: Moment) -> Result<Made, BackupError> {
    if let Location::File(file) = &wish.database
        && !file.is_file()
    {
        return Err(BackupError::NoMaster(wish.data.clone()));
    }
    let staging = Staging::beside(&wish.file)?;
    let (database, facts) = copy_database(wish, &staging).await?;
    let mut members = vec![database];
    members.extend(copy_authority(wish, &staging, &facts)?);
    let ca = facts.ca.unwrap_or_default();
    // Where masters share a database, the content of releases is in it.
    let with_files = wish.releases && matches!(wish.database, Location::File(_));
    let releases = facts.releases.iter().filter(|_| with_files);
    members.extend(releases.map(|it| Member {
        name: format!("releases/{}", it.name),
        size: it.size,
        sha256: it.sha256.clone(),
    }));
    let manifest = Manifest {
        format: FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: now.seconds(),
        schema: facts.schema,
        ca,
        members,
    };
    let releases = facts.releases.len() * usize::from(wish.releases);
    let bytes = write(wish, staging, manifest).await?;
    Ok(Made { bytes, releases })
}

async fn copy_database(wish: &Make, staging: &Staging) -> Result<(Member, Facts), BackupError> {
    match &wish.database {
        Location::File(file) => {
            let to = staging.join(DATABASE);
            copy::copy(file, &to).await?;
            // It is checked here, where there is something to do about it.
            let facts = copy::facts(&Location::File(to.clone())).await?;
            Ok((Member::of(DATABASE.to_owned(), &to)?, facts))
        }
        Location::Server(url) => {
            let to = staging.join(DUMP);
            dump::dump(url, &to).await?;
            // Asked after: no release that the copy has is missing, and one more does no harm.
            let facts = copy::facts(&wish.database).await?;
            Ok((Member::of(DUMP.to_owned(), &to)?, facts))
        }
    }
}

/// The files of the CA are small, and replaced whole: each is copied first, so that what is said of it holds.
fn copy_authority(
    wish: &Make,
    staging: &Staging,
    facts: &Facts,
) -> Result<Vec<Member>, BackupError> {
    let from = ca_in(&wish.data);
    let to = staging.join("ca");
    let mut members = Vec::new();
    copy_folder(&from, &to, "ca", &mut members)?;
    let previous = from.join(PREVIOUS);
    if previous.is_dir() {
        copy_folder(
            &previous,
            &to.join(PREVIOUS),
            &format!("ca/{PREVIOUS}"),
            &mut members,
        )?;
    }
    members.sort_by(|a, b| a.name.cmp(&b.name));
    let bound = facts.ca.as_deref().unwrap_or_default();
    if Authority::open(&to)?.is_or_follows(bound) {
        Ok(members)
    } else {
        Err(BackupError::OtherAuthority { folder: from })
    }
}

fn copy_folder(
    from: &Utf8Path,
    to: &Utf8Path,
    name: &str,
    members: &mut Vec<Member>,
) -> Result<(), BackupError> {
    fs::create_dir(to).map_err(failed_write(to))?;
    for entry in from.read_dir_utf8().map_err(failed_read(from))? {
        let entry = entry.map_err(failed_read(from))?;
        // What is hidden is in the making.
        if entry.file_name().starts_with('.') || entry.path().is_dir() {
            continue;
        }
        let copied = to.join(entry.file_name());
        fs::copy(entry.path(), &copied).map_err(failed_read(entry.path()))?;
        members.push(Member::of(
            format!("{name}/{}", entry.file_name()),
            &copied,
        )?);
    }
    Ok(())
}

async fn write(wish: &Make, staging: Staging, manifest: Manifest) -> Result<u64, BackupError> {
    let (data, file) = (wish.data.clone(), wish.file.clone());
    unless_dropped(move |stop| {
        let whole = staging.join("whole.tar");
        let place = |member: &Member| {
            if member.name.starts_with("releases/") {
                data.join(&member.name)
            } else {
                staging.join(&member.name)
            }
        };
        archive::write(&whole, &manifest, place, stop)?;
        put(&whole, &file)
    })
    .await
}

fn put(whole: &Utf8Path, file: &Utf8Path) -> Result<u64, BackupError> {
    let bytes = fs::metadata(whole).map_err(failed_read(whole))?.len();
    fs::rename(whole, file).map_err(failed_write(file))?;
    sync_folder(parent(file))?;
    Ok(bytes)
}

/// Does what takes long on a thread of its own; when nobody waits for it any more, it is told to stop.
pub(super) async fn unless_dropped<T: Send + 'static>(
    act: impl FnOnce(&AtomicBool) -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    struct Stop(Arc<AtomicBool>);
    impl Drop for Stop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = Stop(Arc::default());
    let told = Arc::clone(&stop.0);
    let acting = tokio::task::spawn_blocking(move || act(&told));
    acting.await.unwrap_or(Err(BackupError::Interrupted))
}
