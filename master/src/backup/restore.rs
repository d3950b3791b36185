//! A master made of a backup. Everything is checked first, in a folder beside the one that it becomes; what was there is put aside, not removed.

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::archive::{self, DATABASE, DUMP, Manifest};
use super::make::unless_dropped;
use super::staging::{Staging, parent, sync_folder};
use super::{BackupError, dump, failed_read, failed_write};
use crate::ca::{Authority, PREVIOUS};
use crate::clock::Moment;
use crate::config::{ca_in, database_of};
use crate::store::copy::{self, newest_schema};
use crate::store::{Location, Store};

/// What is to be restored, and where to.
#[derive(Clone, Debug)]
pub struct Restore {
    pub file: Utf8PathBuf,
    pub data: Utf8PathBuf,
    /// The PostgreSQL server's database that is to have it; none when it is in a file.
    pub database: Option<String>,
    /// Whether what is there may be put aside.
    pub replace: bool,
}

/// A master that is there again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// When the backup was made.
    pub made_at: Moment,
    /// The pin of its CA.
    pub ca: String,
    /// Where that is which was there.
    pub aside: Option<Utf8PathBuf>,
}

/// Makes a master of a backup. When it fails, everything is as it was.
pub async fn restore(wish: &Restore, now: Moment) -> Result<Restored, BackupError> {
    // What a link leads to is replaced, and not the link.
    let data = wish.data.canonicalize_utf8();
    let wish = &Restore {
        data: data.unwrap_or_else(|_| wish.data.clone()),
        ..wish.clone()
    };
    let target = database_of(&wish.data, wish.database.as_deref())?;
    let manifest = {
        let file = wish.file.clone();
        unless_dropped(move |stop| archive::read(&file, None, stop)).await?
    };
    must_fit(wish, &manifest, &target)?;
    must_be_free(wish, &target).await?;
    let staging = Staging::beside(&wish.data)?;
    let made = staging.join("made");
    extract(wish, &manifest, &made).await?;
    let made_at = Moment::from_seconds(manifest.made_at);
    let database = match &target {
        Location::File(_) => Location::File(made.join(DATABASE)),
        Location::Server(url) => {
            check_authority(&made, &manifest)?;
            let dumped = made.join(DUMP);
            dump::load(url, &dumped, wish.replace).await?;
            fs::remove_file(&dumped).map_err(failed_write(&dumped))?;
            target.clone()
        }
    };
    check(wish, &made, &manifest, &database).await?;
    mark(&database, made_at, now).await?;
    own_and_sync(&made, &wish.data)?;
    let aside = swap(&made, &wish.data, now)?;
    Ok(Restored {
        made_at,
        ca: manifest.ca,
        aside,
    })
}

fn must_fit(wish: &Restore, manifest: &Manifest, target: &Location) -> Result<(), BackupError> {
    let file = wish.file.clone();
    if manifest.schema > newest_schema() {
        return Err(BackupError::Newer(file));
    }
    match target {
        Location::File(_) if !manifest.has(DATABASE) => Err(BackupError::NeedsServer(file)),
        Location::Server(_) if !manifest.has(DUMP) => Err(BackupError::NeedsFile(file)),
        Location::File(_) | Location::Server(_) => Ok(()),
    }
}

async fn must_be_free(wish: &Restore, target: &Location) -> Result<(), BackupError> {
    let has_files = match fs::read_dir(&wish.data) {
        Ok(mut entries) => entries.next().is_some(),
        Err(err) if err.kind() == io::ErrorKind::NotFound => false,
        Err(err) => return Err(failed_read(&wish.data)(err)),
    };
    if has_files && !wish.replace {
        return Err(BackupError::NotEmpty(wish.data.clone()));
    }
    match target {
        Location::File(file) if !file.exists() => return Ok(()),
        Location::File(_) => {}
        Location::Server(_) => {
            if !wish.replace && !copy::is_empty(target).await? {
                return Err(BackupError::DatabaseNotEmpty(target.to_string()));
            }
        }
    }
    if copy::is_in_use(target).await? {
        return Err(BackupError::InUse(target.to_string()));
    }
    Ok(())
}

async fn extract(wish: &Restore, manifest: &Manifest, to: &Utf8Path) -> Result<(), BackupError> {
    let mut folders = vec![to.to_owned(), to.join("ca"), to.join("releases")];
    if manifest.has_in(&format!("ca/{PREVIOUS}")) {
        folders.push(to.join("ca").join(PREVIOUS));
    }
    for folder in folders {
        make_private(&folder).map_err(failed_write(&folder))?;
    }
    let (file, to) = (wish.file.clone(), to.to_owned());
    unless_dropped(move |stop| archive::read(&file, Some(&to), stop).map(drop)).await
}

fn make_private(folder: &Utf8Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(0o700).create(folder)
}

fn check_authority(made: &Utf8Path, manifest: &Manifest) -> Result<(), BackupError> {
    let folder = ca_in(made);
    if Authority::open(&folder)?.is_or_follows(&manifest.ca) {
        Ok(())
    } else {
        Err(BackupError::OtherAuthority { folder })
    }
}

/// The CA has its key, and is the one that the database belongs to, which is whole.
async fn check(
    wish: &Restore,
    made: &Utf8Path,
    manifest: &Manifest,
    database: &Location,
) -> Result<(), BackupError> {
    check_authority(made, manifest)?;
    let facts = copy::facts(database).await?;
    if facts.ca.as_deref() == Some(manifest.ca.as_str()) {
        return Ok(());
    }
    Err(BackupError::NoBackup {
        file: wish.file.clone(),
        reason: "its database belongs to another CA".to_owned(),
    })
}

/// Brings the database to this program's version, and has it know where it comes from.
async fn mark(database: &Location, made_at: Moment, now: Moment) -> Result<(), BackupError> {
    let store = Store::open(database).await?;
    let mut writing = store.write("local", now).await?;
    writing.mark_restored(made_at).await?;
    writing.commit().await?;
    store.close().await;
    Ok(())
}

/// Root makes it for whoever had what was there; the disk has it before it takes its place.
fn own_and_sync(made: &Utf8Path, data: &Utf8Path) -> Result<(), BackupError> {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let owner = fs::metadata(data)
        .ok()
        .filter(|_| rustix::process::geteuid().is_root())
        .map(|it| (it.uid(), it.gid()));
    let mut folders = vec![made.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir_utf8().map_err(failed_read(&folder))? {
            let path = entry.map_err(failed_read(&folder))?.into_path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let sync = || -> io::Result<()> {
                if let Some((user, group)) = owner {
                    chown(&path, Some(user), Some(group))?;
                }
                fs::File::open(&path)?.sync_all()
            };
            sync().map_err(failed_write(&path))?;
        }
        if let Some((user, group)) = owner {
            chown(&folder, Some(user), Some(group)).map_err(failed_write(&folder))?;
        }
        sync_folder(&folder)?;
    }
    Ok(())
}

/// Gives `made` the name `data`, in one step; returns where that is which had it.
fn swap(made: &Utf8Path, data: &Utf8Path, now: Moment) -> Result<Option<Utf8PathBuf>, BackupError> {
    let parent = parent(data);
    let failed = |err: rustix::io::Errno| failed_write(data)(err.into());
    // An empty folder is replaced as a missing one is.
    match fs::rename(made, data) {
        Ok(()) => {
            sync_folder(parent)?;
            return Ok(None);
        }
        Err(err) if err.kind() == io::ErrorKind::DirectoryNotEmpty => {}
        Err(err) => return Err(failed_write(data)(err)),
    }
    let name = data.file_name().unwrap_or_default();
    let aside = parent.join(format!("{name}.replaced-{}", now.seconds()));
    renameat_with(
        CWD,
        made.as_str(),
        CWD,
        data.as_str(),
        RenameFlags::EXCHANGE,
    )
    .map_err(failed)?;
    fs::rename(made, &aside).map_err(failed_write(&aside))?;
    sync_folder(parent)?;
    Ok(Some(aside))
}
