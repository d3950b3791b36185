//! The words for the first operator: how to log in, shown as long as nobody has. A box gives them to its console by a file.
//! The token in them is a secret: it is in that file or on standard output, never in the log.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use atomic_write_file::AtomicWriteFile;
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use crate::clock::Moment;
use crate::master::Master;
use crate::minting::{Mint, mint};
use crate::store::{StoreError, users};

/// Who makes the tokens of these words: only the last one made counts.
const MAKER: &str = "welcome";
/// A token of a day is replaced a little before,
const REPLACED_AFTER: Duration = Duration::from_hours(23);
/// by a clock that may jump: a box may learn the time after its first start.
const LOOKED_AT_EVERY: Duration = Duration::from_mins(1);

/// Why the words are not given.
#[derive(Debug, thiserror::Error)]
pub enum WelcomeError {
    #[error("failed to write `{path}`")]
    FailedWrite {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to write to standard output")]
    FailedPrint(#[source] io::Error),
    #[error("failed to make an operator's token")]
    Store(#[from] StoreError),
}

#[derive(Debug, Serialize)]
struct Welcome<'a> {
    login: String,
    urls: &'a [String],
}

/// Gives the words if nobody is operator yet, and returns when; takes them back if somebody is.
pub async fn greet(
    master: &Master,
    file: Option<&Utf8Path>,
) -> Result<Option<Moment>, WelcomeError> {
    let mut db = master.store.read().await?;
    let greeted = users::has_operator(&mut db).await?;
    drop(db);
    if greeted {
        if let Some(file) = file {
            remove(file)?;
        }
        return Ok(None);
    }
    let now = master.clock.now();
    let mut writing = master.store.write(MAKER, now).await?;
    writing.revoke_tokens_of(MAKER).await?;
    let token = mint(&mut writing, Mint::operator(), &master.entropy).await?;
    writing.commit().await?;
    let welcome = Welcome {
        login: format!("slapbox login {}", master.join_line(token)),
        urls: &master.urls,
    };
    match file {
        Some(file) => write(file, &welcome)?,
        None => print(&welcome).map_err(WelcomeError::FailedPrint)?,
    }
    Ok(Some(now))
}

/// Keeps the words good until somebody has logged in.
pub async fn keep(master: Arc<Master>, file: Option<Utf8PathBuf>, given: Option<Moment>) {
    let Some(mut given) = given else {
        return;
    };
    loop {
        tokio::select! {
            () = master.operator_enrolled.notified() => {}
            () = tokio::time::sleep(LOOKED_AT_EVERY) => {
                let now = master.clock.now();
                if now >= given && now.since(given) < REPLACED_AFTER {
                    continue;
                }
            }
        }
        match greet(&master, file.as_deref()).await {
            Ok(None) => return,
            Ok(Some(now)) => given = now,
            Err(err) => tracing::error!(
                error = &err as &dyn std::error::Error,
                "cannot say how the first operator logs in"
            ),
        }
    }
}

fn write(path: &Utf8Path, welcome: &Welcome<'_>) -> Result<(), WelcomeError> {
    let attempt = || -> io::Result<()> {
        let mut file = AtomicWriteFile::open(path)?;
        file.as_file()
            .set_permissions(std::fs::Permissions::from_mode(0o600))?;
        serde_json::to_writer(&mut file, welcome)?;
        file.write_all(b"\n")?;
        file.commit()
    };
    attempt().map_err(|source| WelcomeError::FailedWrite {
        path: path.to_owned(),
        source,
    })
}

fn remove(path: &Utf8Path) -> Result<(), WelcomeError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(WelcomeError::FailedWrite {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

fn print(welcome: &Welcome<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "This master has no operator yet. To become its operator, within a day, once:\n\n    {}\n",
        welcome.login
    )?;
    writeln!(
        out,
        "A new line can be had at any time: slapbox-master operator-token --data DIR"
    )?;
    out.flush()
}
