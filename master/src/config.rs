//! What the master is told at its start: options, or a file, options winning. Checked once; after that nothing is optional that is needed.

use std::net::SocketAddr;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use slap::ComputerId;
use slap::join::is_master_url;

use crate::master::Open;
use crate::store::{Location, LocationError};

/// Where it listens when nothing is said.
pub const DEFAULT_LISTEN: &str = "[::]:443";

/// How much each project may have in the cache when nothing is said: 20 GB.
pub const CACHE_BYTES: u64 = 20_000_000_000;

/// What may be said, in a file or by options.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    pub data: Option<Utf8PathBuf>,
    pub listen: Option<SocketAddr>,
    #[serde(default)]
    pub urls: Vec<String>,
    pub registry_socket: Option<Utf8PathBuf>,
    pub welcome: Option<Utf8PathBuf>,
    /// `postgres://…`; a file in the data folder when nothing is said.
    pub database: Option<String>,
    /// Serve plain HTTP here, to anyone.
    pub insecure_http: Option<SocketAddr>,
    pub default_computer: Option<ComputerId>,
    /// How many bytes of built releases each project may have.
    pub cache_bytes: Option<u64>,
}

/// What the master runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub data: Utf8PathBuf,
    pub listen: Listen,
    /// At least one, without a slash at the end; none when it is open.
    pub urls: Vec<String>,
    pub registry_socket: Option<Utf8PathBuf>,
    /// Where the words for the first operator go; standard output when nothing is said.
    pub welcome: Option<Utf8PathBuf>,
    pub database: Location,
    pub cache_bytes: u64,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Port 443 of every address, of IPv4 alone on a machine without IPv6.
    Everywhere,
    At(SocketAddr),
    /// Plain HTTP, to anyone on this machine.
    Openly(SocketAddr, Open),
}

/// What is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("failed to read `{path}`")]
    FailedRead {
        path: Utf8PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{path}` is no configuration of a master")]
    Malformed {
        path: Utf8PathBuf,
        #[source]
        source: toml::de::Error,
    },
    #[error("nobody said where the master keeps its data: `--data DIR`")]
    NoData,
    #[error("nobody said how boxes reach this master: `--url https://HOST[:PORT]`")]
    NoUrl,
    #[error("`{0}` is no address of a master: it must be `https://HOST` or `https://HOST:PORT`")]
    BadUrl(String),
    #[error(
        "`--insecure-http {0}` would let anyone who reaches that address do everything: it must be of the loopback, 127.0.0.1 or [::1]"
    )]
    NotLoopback(SocketAddr),
    #[error("`--insecure-http` and `{0}` exclude each other: an open master has no TLS")]
    OpenAnd(&'static str),
    #[error("`--default-computer` is for an open master: `--insecure-http 127.0.0.1:PORT`")]
    NotOpen,
    #[error("the database cannot be there")]
    BadDatabase(#[from] LocationError),
}

/// Reads a configuration file.
pub fn load_inputs(path: &Utf8Path) -> Result<Inputs, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::FailedRead {
        path: path.to_owned(),
        source,
    })?;
    toml::from_str(&text).map_err(|source| ConfigError::Malformed {
        path: path.to_owned(),
        source,
    })
}

impl Inputs {
    /// Returns these, with what is not said taken from `others`.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            data: self.data.or(others.data),
            listen: self.listen.or(others.listen),
            urls: if self.urls.is_empty() {
                others.urls
            } else {
                self.urls
            },
            registry_socket: self.registry_socket.or(others.registry_socket),
            welcome: self.welcome.or(others.welcome),
            database: self.database.or(others.database),
            insecure_http: self.insecure_http.or(others.insecure_http),
            default_computer: self.default_computer.or(others.default_computer),
            cache_bytes: self.cache_bytes.or(others.cache_bytes),
        }
    }

    /// Returns what to run with, or what is missing or wrong.
    pub fn check(self) -> Result<Settings, ConfigError> {
        let listen = self.listen()?;
        if self.urls.is_empty() && !matches!(listen, Listen::Openly(..)) {
            return Err(ConfigError::NoUrl);
        }
        let data = self.data.ok_or(ConfigError::NoData)?;
        Ok(Settings {
            database: database_of(&data, self.database.as_deref())?,
            data,
            listen,
            urls: check_urls(self.urls)?,
            registry_socket: self.registry_socket,
            welcome: self.welcome,
            cache_bytes: self.cache_bytes.unwrap_or(CACHE_BYTES),
        })
    }
}

impl Inputs {
    fn listen(&self) -> Result<Listen, ConfigError> {
        let Some(address) = self.insecure_http else {
            if self.default_computer.is_some() {
                return Err(ConfigError::NotOpen);
            }
            return Ok(self.listen.map_or(Listen::Everywhere, Listen::At));
        };
        if !address.ip().is_loopback() {
            return Err(ConfigError::NotLoopback(address));
        }
        if self.listen.is_some() {
            return Err(ConfigError::OpenAnd("--listen"));
        }
        if !self.urls.is_empty() {
            return Err(ConfigError::OpenAnd("--url"));
        }
        let default_computer = self.default_computer.clone();
        Ok(Listen::Openly(address, Open { default_computer }))
    }
}

/// Refuses what is no master's URL; takes slashes at the end away.
pub fn check_urls(urls: Vec<String>) -> Result<Vec<String>, ConfigError> {
    urls.into_iter()
        .map(|url| {
            if is_master_url(&url) {
                Ok(url.trim_end_matches('/').to_owned())
            } else {
                Err(ConfigError::BadUrl(url))
            }
        })
        .collect()
}

impl Settings {
    /// Returns the hosts of the URLs, for the server's certificate.
    pub fn hosts(&self) -> Vec<String> {
        self.urls
            .iter()
            .filter_map(|url| url.strip_prefix("https://"))
            .map(host_of)
            .map(str::to_owned)
            .collect()
    }

    /// Returns the folder of the CA.
    pub fn ca(&self) -> Utf8PathBuf {
        ca_in(&self.data)
    }
}

/// Returns where the database of a master is.
pub fn database_of(data: &Utf8Path, url: Option<&str>) -> Result<Location, LocationError> {
    match url {
        Some(url) => Ok(Location::Server(url.parse()?)),
        None => Ok(Location::File(data.join("master.sqlite"))),
    }
}

/// Returns the folder of the CA in a data folder.
pub fn ca_in(data: &Utf8Path) -> Utf8PathBuf {
    data.join("ca")
}

fn host_of(authority: &str) -> &str {
    match authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or(authority),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, String> {
        let inputs: Inputs = toml::from_str(text).map_err(|err| err.message().to_owned())?;
        inputs.check().map_err(|err| err.to_string())
    }

    #[test]
    fn a_whole_document_is_taken() {
        let settings = parse(
            r#"
            data = "/var/lib/slapbox-master"
            listen = "[::]:8443"
            urls = ["https://203.0.113.7/", "https://[fd00::1]:8443", "https://box.example"]
            registry_socket = "/run/registry.sock"
            "#,
        )
        .unwrap();
        assert_eq!(settings.urls[0], "https://203.0.113.7");
        assert_eq!(settings.hosts(), ["203.0.113.7", "fd00::1", "box.example"]);
        assert_eq!(settings.listen, Listen::At("[::]:8443".parse().unwrap()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let refused = |text| parse(text).unwrap_err();
        assert_eq!(
            refused(r#"data = "/d""#),
            "nobody said how boxes reach this master: `--url https://HOST[:PORT]`"
        );
        assert_eq!(
            refused(r#"urls = ["https://h"]"#),
            "nobody said where the master keeps its data: `--data DIR`"
        );
        assert_eq!(
            refused("data = \"/d\"\nurls = [\"http://h\"]"),
            "`http://h` is no address of a master: it must be `https://HOST` or `https://HOST:PORT`"
        );
        assert!(refused("date = 1").contains("unknown field `date`"));
        assert!(refused(r#"listen = "443""#).contains("invalid socket address"));
    }

    #[test]
    fn an_open_master_is_for_this_machine_alone() {
        let settings =
            parse("data = \"/d\"\ninsecure_http = \"[::1]:5000\"\ndefault_computer = \"local\"")
                .unwrap();
        let open = Open {
            default_computer: Some("local".parse().unwrap()),
        };
        assert_eq!(
            settings.listen,
            Listen::Openly("[::1]:5000".parse().unwrap(), open)
        );
        for (text, words) in [
            ("insecure_http = \"0.0.0.0:80\"", "must be of the loopback"),
            ("insecure_http = \"192.0.2.1:80\"", "would let anyone"),
            (
                "insecure_http = \"127.0.0.1:80\"\nlisten = \"[::]:1\"",
                "`--listen` exclude each other",
            ),
            (
                "insecure_http = \"127.0.0.1:80\"\nurls = [\"https://h\"]",
                "`--url` exclude each other",
            ),
            (
                "urls = [\"https://h\"]\ndefault_computer = \"x\"",
                "is for an open master",
            ),
        ] {
            let refused = parse(&format!("data = \"/d\"\n{text}")).unwrap_err();
            assert!(refused.contains(words), "{text}: {refused}");
        }
    }

    #[test]
    fn options_win_over_the_file() {
        let option = Inputs {
            urls: vec!["https://a".into()],
            ..Inputs::default()
        };
        let file = Inputs {
            data: Some("/d".into()),
            urls: vec!["https://b".into()],
            ..Inputs::default()
        };
        let settings = option.or(file).check().unwrap();
        assert_eq!(settings.urls, ["https://a"]);
        assert_eq!(settings.data, "/d");
    }
}
