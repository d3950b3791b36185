//! The command line.

use std::net::SocketAddr;
use std::time::Duration;

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum};

use slap::ComputerId;
use slap::v1::UserKind;

use crate::config::Inputs;
use crate::enrolment::TokenKind;

/// A password in an option is seen by everybody on the machine; one in the environment is not.
const DATABASE: &str = "SLAPBOX_DATABASE";

/// The master of a Slapbox cloud.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: Run,
}

/// What can be done besides running.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a token and print the line that joins with it; works while the master runs
    Token {
        #[arg(long, value_name = "DIR")]
        data: Utf8PathBuf,
        /// The master's database, if it is not in its data folder
        #[arg(long, value_name = "URL", env = DATABASE, hide_env_values = true)]
        database: Option<String>,
        /// What it makes of its bearer
        #[arg(long, value_enum, default_value = "node")]
        kind: Kind,
        /// How many machines may use it
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// How long it lives: 90s, 10m, 24h, 7d
        #[arg(long, default_value = "1h", value_parser = parse_lifetime)]
        lifetime: Duration,
        /// How to reach the master, if not by the URLs of its last start
        #[arg(long = "url", value_name = "URL")]
        urls: Vec<String>,
    },
    /// The CA that every box and person of this master trusts
    #[command(subcommand)]
    Ca(CaCommand),
    /// Make an operator's token and print the command that logs in with it; works while the master runs
    OperatorToken {
        #[arg(long, value_name = "DIR")]
        data: Utf8PathBuf,
        /// The master's database, if it is not in its data folder
        #[arg(long, value_name = "URL", env = DATABASE, hide_env_values = true)]
        database: Option<String>,
        /// How to reach the master, if not by the URLs of its last start
        #[arg(long = "url", value_name = "URL")]
        urls: Vec<String>,
    },
    /// Write everything that makes this master that master to one file, which holds the CA's key; works while the master runs
    Backup(Backup),
    /// Make a master of a backup; nothing is touched before all of it was checked
    Restore(Restore),
}

/// One CA after another.
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Make a new CA, which the one that there is vouches for; the master takes it at its next start
    ///
    /// Boxes and people learn of it when they renew their certificates: a box within half a week, a person within half a quarter.
    /// Tokens made before stay good until the old CA retires. With several masters, copy the folder `ca` to each, then restart them.
    Rotate {
        #[arg(long, value_name = "DIR")]
        data: Utf8PathBuf,
    },
    /// Forget the CA before the last rotation: who trusts it alone has to join again
    Retire {
        #[arg(long, value_name = "DIR")]
        data: Utf8PathBuf,
        /// The master's database, if it is not in its data folder
        #[arg(long, value_name = "URL", env = DATABASE, hide_env_values = true)]
        database: Option<String>,
        /// Even those who have no certificate of the new CA yet
        #[arg(long)]
        force: bool,
    },
}

/// What a token makes of its bearer.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Kind {
    Node,
    Operator,
}

impl From<Kind> for TokenKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Node => Self::Node,
            Kind::Operator => Self::User(UserKind::Operator),
        }
    }
}

/// What to back up.
#[derive(Debug, Args)]
pub struct Backup {
    /// Where to; replaced when the backup is whole
    #[arg(value_name = "FILE")]
    pub file: Utf8PathBuf,
    #[arg(long, value_name = "DIR")]
    pub data: Utf8PathBuf,
    /// The master's database, if it is not in its data folder
    #[arg(long, value_name = "URL", env = DATABASE, hide_env_values = true)]
    pub database: Option<String>,
    /// Leave out the files of published releases
    #[arg(long)]
    pub without_releases: bool,
}

/// What to restore.
#[derive(Debug, Args)]
pub struct Restore {
    #[arg(value_name = "FILE")]
    pub file: Utf8PathBuf,
    #[arg(long, value_name = "DIR")]
    pub data: Utf8PathBuf,
    /// The database that is to have it, if the backup is one of a PostgreSQL server's
    #[arg(long, value_name = "URL", env = DATABASE, hide_env_values = true)]
    pub database: Option<String>,
    /// Put aside what is there
    #[arg(long)]
    pub replace: bool,
}

/// How to run.
#[derive(Debug, Args)]
pub struct Run {
    /// Read what is not said here from a file (TOML: data, listen, urls, `registry_socket`, welcome, `cache_bytes`)
    #[arg(long, value_name = "FILE")]
    pub config: Option<Utf8PathBuf>,
    /// Where everything is kept; made at the first start
    #[arg(long, value_name = "DIR")]
    data: Option<Utf8PathBuf>,
    /// How boxes and people reach this master: <https://HOST> or <https://HOST:PORT>; may be repeated
    #[arg(long = "url", value_name = "URL")]
    urls: Vec<String>,
    /// Where to listen; port 443 of every address if nothing is said
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// For tests and a single machine: serve plain HTTP, and let anyone do everything, without a certificate; loopback addresses only
    #[arg(long, value_name = "ADDRESS:PORT")]
    insecure_http: Option<SocketAddr>,
    /// The computer that is meant when nobody says which; with --insecure-http only
    #[arg(long, value_name = "NAME")]
    default_computer: Option<ComputerId>,
    /// The socket of the overlay's registry
    #[arg(long, value_name = "PATH")]
    registry_socket: Option<Utf8PathBuf>,
    /// Keep the database on a PostgreSQL server, which several masters may share: <postgres://USER:PASSWORD@HOST/DATABASE>
    #[arg(long, value_name = "URL", env = DATABASE, hide_env_values = true)]
    database: Option<String>,
    /// Write how the first operator logs in to this file, and not to standard output
    #[arg(long, value_name = "FILE")]
    welcome: Option<Utf8PathBuf>,
    /// How much of what its computers built each project may keep here for others, in bytes [default: 20 GB]
    #[arg(long, value_name = "BYTES")]
    cache_bytes: Option<u64>,
}

impl From<Run> for Inputs {
    fn from(run: Run) -> Self {
        Self {
            data: run.data,
            listen: run.listen,
            urls: run.urls,
            registry_socket: run.registry_socket,
            welcome: run.welcome,
            database: run.database,
            insecure_http: run.insecure_http,
            default_computer: run.default_computer,
            cache_bytes: run.cache_bytes,
        }
    }
}

fn parse_lifetime(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time: write 90s, 10m, 24h or 7d");
    let (number, unit) = text
        .char_indices()
        .next_back()
        .map(|(last, _)| text.split_at(last))
        .ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(seconds)
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn lifetimes_have_a_unit() {
        assert_eq!(parse_lifetime("10m"), Ok(Duration::from_mins(10)));
        assert_eq!(parse_lifetime("7d"), Ok(Duration::from_hours(7 * 24)));
        for wrong in ["", "10", "m", "1w", "-1h", "é", "99999999999999999999s"] {
            assert!(parse_lifetime(wrong).is_err(), "{wrong}");
        }
    }
}
