//! Whose fault an error of the database is: that it cannot be reached, that its disk is full or fails, or that this program is wrong.
//! Pure: it looks at what an engine said, and asks nobody.

use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

use super::StoreError;

/// What is the matter with the database, where the program is not to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be reached, or does not answer in time, or is not to be written to.
    Away,
    /// There is no room left where it is kept.
    Full,
    /// It was given a text that it cannot keep: PostgreSQL keeps no NUL.
    Unfit,
    /// It went away while a change was being kept: that is there whole, or not at all.
    Unsure,
}

impl StoreError {
    /// Returns what is the matter with the database; none when that is not what went wrong.
    pub fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Database(error) | Self::FailedOpen { source: error, .. } => of(error),
            Self::FailedCommit(error) => match of(error) {
                // What does not fit is not kept.
                Some(Trouble::Full) => Some(Trouble::Full),
                Some(Trouble::Away | Trouble::Unsure) => Some(Trouble::Unsure),
                Some(Trouble::Unfit) => Some(Trouble::Unfit),
                None => None,
            },
            Self::Newer { .. } | Self::FailedMigrate { .. } | Self::Corrupted { .. } => None,
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "sqlx adds errors as it likes; all others are faults of this program"
)]
fn of(error: &sqlx::Error) -> Option<Trouble> {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Some(Trouble::Away),
        sqlx::Error::Database(said) => {
            let code = said.code()?;
            if said.try_downcast_ref::<PgDatabaseError>().is_some() {
                of_postgres(&code)
            } else if said.try_downcast_ref::<SqliteError>().is_some() {
                of_sqlite(code.parse().ok()?)
            } else {
                None
            }
        }
        _ => None,
    }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn of_postgres(sqlstate: &str) -> Option<Trouble> {
    match sqlstate {
        // disk_full
        "53100" => Some(Trouble::Full),
        // character_not_in_repertoire
        "22021" => Some(Trouble::Unfit),
        // A standby takes no changes; a statement took too long; the database is not there, or lets nobody in.
        "25006" | "25P03" | "57014" | "3D000" | "42501" | "55000" => Some(Trouble::Away),
        // The connection, who connects, a conflict with others, resources, the administrator, the system.
        _ if ["08", "28", "40", "53", "57", "58"].contains(&sqlstate.get(..2)?) => {
            Some(Trouble::Away)
        }
        _ => None,
    }
}

const BUSY: u32 = 5;

/// <https://sqlite.org/rescode.html>
fn of_sqlite(extended: u32) -> Option<Trouble> {
    const LOCKED: u32 = 6;
    const READONLY: u32 = 8;
    const IOERR: u32 = 10;
    const FULL: u32 = 13;
    const CANTOPEN: u32 = 14;
    /// The index of the log cannot grow: on a full disk this is what fails first.
    const IOERR_SHMSIZE: u32 = IOERR | 19 << 8;
    match (extended, extended & 0xff) {
        (IOERR_SHMSIZE, _) | (_, FULL) => Some(Trouble::Full),
        (_, BUSY | LOCKED | READONLY | IOERR | CANTOPEN) => Some(Trouble::Away),
        _ => None,
    }
}

/// Says whether SQLite refused because somebody else has the file.
pub(super) fn is_busy(said: &dyn sqlx::error::DatabaseError) -> bool {
    let code = said.code().and_then(|it| it.parse::<u32>().ok());
    code.is_some_and(|it| it & 0xff == BUSY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_stops_is_away_and_a_wrong_statement_is_ours() {
        for (sqlstate, trouble) in [
            ("53100", Some(Trouble::Full)),
            ("57P01", Some(Trouble::Away)),
            ("57P03", Some(Trouble::Away)),
            ("08006", Some(Trouble::Away)),
            ("53300", Some(Trouble::Away)),
            ("25006", Some(Trouble::Away)),
            ("28P01", Some(Trouble::Away)),
            ("22021", Some(Trouble::Unfit)),
            ("42601", None),
            ("23505", None),
            ("XX001", None),
            ("é", None),
        ] {
            assert_eq!(of_postgres(sqlstate), trouble, "{sqlstate}");
        }
    }

    #[test]
    fn a_full_disk_is_told_from_a_failing_one() {
        for (code, trouble) in [
            (13, Some(Trouble::Full)),
            (4874, Some(Trouble::Full)),
            (778, Some(Trouble::Away)),
            (517, Some(Trouble::Away)),
            (1555, None),
            (11, None),
            (26, None),
        ] {
            assert_eq!(of_sqlite(code), trouble, "{code}");
        }
    }

    #[test]
    fn a_change_that_did_not_fit_is_not_there_and_one_that_was_cut_may_be() {
        let lost = || sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert_eq!(StoreError::Database(lost()).trouble(), Some(Trouble::Away));
        assert_eq!(
            StoreError::FailedCommit(lost()).trouble(),
            Some(Trouble::Unsure)
        );
        let wrong = StoreError::FailedCommit(sqlx::Error::RowNotFound);
        assert_eq!(wrong.trouble(), None);
    }
}
