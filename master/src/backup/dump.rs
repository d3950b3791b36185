//! The database of a PostgreSQL server, by the server's own programs: `pg_dump` and `pg_restore`.
//! The password goes to them in their environment, where only this user sees it.

use std::process::Stdio;

use camino::Utf8Path;
use tokio::process::Command;
use url::Url;

use super::BackupError;
use crate::store::ServerUrl;

const DUMP: &str = "pg_dump";
const RESTORE: &str = "pg_restore";

/// Writes what the database is at this moment to `file`.
pub(super) async fn dump(url: &ServerUrl, file: &Utf8Path) -> Result<(), BackupError> {
    let mut command = command(DUMP, url);
    command.args(["--format=custom", "--no-owner", "--no-acl", "--file"]);
    run(DUMP, command.arg(file)).await
}

/// Puts what `file` has into the database, whole or not at all. With `replace`, in place of what is there.
pub(super) async fn load(
    url: &ServerUrl,
    file: &Utf8Path,
    replace: bool,
) -> Result<(), BackupError> {
    let mut command = command(RESTORE, url);
    command.args([
        "--single-transaction",
        "--exit-on-error",
        "--no-owner",
        "--no-acl",
    ]);
    if replace {
        command.args(["--clean", "--if-exists"]);
    }
    run(RESTORE, command.arg(file)).await
}

fn command(program: &str, url: &ServerUrl) -> Command {
    let (place, password) = without_password(url.reveal());
    let mut command = Command::new(program);
    command.arg("--dbname").arg(place).arg("--no-password");
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
    command
}

async fn run(program: &'static str, command: &mut Command) -> Result<(), BackupError> {
    let ended = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    match ended {
        Ok(ended) if ended.status.success() => Ok(()),
        Ok(ended) => {
            let said = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
            Err(BackupError::ProgramFailed { program, said })
        }
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
            Err(BackupError::NoProgram(program))
        }
        Err(err) => Err(BackupError::ProgramFailed {
            program,
            said: err.to_string(),
        }),
    }
}

/// Returns a URL without the password that it may have in either place, and the password.
fn without_password(url: &str) -> (String, Option<String>) {
    let Ok(mut url) = Url::parse(url) else {
        return (url.to_owned(), None);
    };
    let before = url.password().map(|it| {
        percent_encoding::percent_decode_str(it)
            .decode_utf8_lossy()
            .into_owned()
    });
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let (secret, others): (Vec<_>, Vec<_>) =
        pairs.into_iter().partition(|(key, _)| key == "password");
    let inside = secret.into_iter().next_back().map(|(_, value)| value);
    if inside.is_some() {
        url.query_pairs_mut().clear().extend_pairs(others);
    }
    // Only a URL without a host cannot be without a password, and has none.
    let _ = url.set_password(None);
    (url.into(), inside.or(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_in_the_arguments() {
        for (url, place, password) in [
            (
                "postgres://ann:p%40ss@h:1/db",
                "postgres://ann@h:1/db",
                Some("p@ss"),
            ),
            (
                "postgres://ann@h/db?password=s3cret&host=%2Frun",
                "postgres://ann@h/db?host=%2Frun",
                Some("s3cret"),
            ),
            (
                "postgres://postgres@localhost/db?host=/run",
                "postgres://postgres@localhost/db?host=/run",
                None,
            ),
        ] {
            let expected = (place.to_owned(), password.map(str::to_owned));
            assert_eq!(without_password(url), expected);
        }
    }
}
