//! A bridge, for software that knows no IPv6: `etc/bridge/NAME` says which port of the partition's IPv6 leads to which port of its
//! IPv4. The agent opens it; here is what its file says, and the promise that something answers behind it.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::num::NonZeroU16;
use std::time::{Duration, Instant, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use crate::promise::{Answer, Outcome, Promise};

/// Where the files are, in the partition's directory.
pub const FOLDER: &str = "etc/bridge";
/// What a program of the partition finds its IPv4 in.
pub const IPV4: &str = "SLAPOS_IPV4";
/// The longest that a file may be, in bytes.
pub const LONGEST: u64 = 4096;

/// What the file of a bridge says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// Where it is reached, on the partition's IPv6.
    pub port: NonZeroU16,
    /// Where it leads to, on the partition's IPv4.
    pub to: NonZeroU16,
    /// Who is spoken to; nothing where nothing is encrypted.
    pub tls: Option<Tls>,
}

/// Whose certificate a bridge shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// The one that the partition has of its master.
    OfMaster,
    /// The partition's own, by files below its directory.
    Own {
        certificate: Utf8PathBuf,
        key: Utf8PathBuf,
    },
}

/// A file that is no bridge's.
#[derive(Debug, thiserror::Error)]
pub enum NotABridge {
    /// Not the JSON that it should be.
    #[error(
        "it must be a JSON object with the numbers `port` and `to`, and maybe `tls`, `certificate` and `key`"
    )]
    Malformed(#[source] serde_json::Error),
    /// Half of a pair.
    #[error("`certificate` and `key` must be given both or not at all")]
    Half,
    /// A certificate that would not be used.
    #[error("`tls` is false, and a certificate is given")]
    Unused,
    /// A path that leads elsewhere.
    #[error(
        "`{0}` must be the path of a file below the partition's directory, of letters, digits, `.`, `_`, `-` and `/`"
    )]
    Path(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    port: NonZeroU16,
    to: NonZeroU16,
    tls: Option<bool>,
    certificate: Option<String>,
    key: Option<String>,
}

impl Bridge {
    /// Reads the file of a bridge.
    pub fn parse(text: &[u8]) -> Result<Self, NotABridge> {
        let text: Text = serde_json::from_slice(text).map_err(NotABridge::Malformed)?;
        let tls = match (text.tls, text.certificate, text.key) {
            (None | Some(false), None, None) => None,
            (Some(true), None, None) => Some(Tls::OfMaster),
            (Some(false), Some(_), Some(_)) => return Err(NotABridge::Unused),
            (None | Some(true), Some(certificate), Some(key)) => Some(Tls::Own {
                certificate: path(certificate)?,
                key: path(key)?,
            }),
            (_, Some(_), None) | (_, None, Some(_)) => return Err(NotABridge::Half),
        };
        Ok(Self {
            port: text.port,
            to: text.to,
            tls,
        })
    }
}

impl fmt::Display for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.tls.is_some() { ", TLS" } else { "" };
        write!(f, "{} to {}{tls}", self.port, self.to)
    }
}

/// What becomes part of a program's configuration must not be able to end a line of it.
fn path(text: String) -> Result<Utf8PathBuf, NotABridge> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    let parts_fit = || {
        text.split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
    };
    if text.bytes().all(allowed) && parts_fit() {
        return Ok(text.into());
    }
    Err(NotABridge::Path(text))
}

/// Looks whether something answers where the bridge leads to.
pub fn look(promise: &Promise, ipv4: Option<Ipv4Addr>, timeout: Duration) -> Outcome {
    let (when, begin) = (SystemTime::now(), Instant::now());
    let answer = match target(&promise.path, ipv4) {
        Err(why) => Answer::Broken(why),
        Ok(address) => match TcpStream::connect_timeout(&address, timeout) {
            Ok(_) => Answer::Kept(format!("{address} answers")),
            Err(error) => Answer::Broken(format!(
                "nothing answers at {address}, where the bridge leads to: {error}"
            )),
        },
    };
    Outcome::new(answer, when, begin.elapsed())
}

fn target(path: &Utf8Path, ipv4: Option<Ipv4Addr>) -> Result<SocketAddr, String> {
    let text = std::fs::read(path).map_err(|error| format!("`{path}` cannot be read: {error}"))?;
    let bridge = Bridge::parse(&text).map_err(|error| format!("`{path}`: {error}"))?;
    let ipv4 = ipv4.ok_or("the partition has no IPv4")?;
    Ok(SocketAddr::new(ipv4.into(), bridge.to.get()))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;
    use crate::promise::Form;

    fn shown(text: &str) -> Result<String, String> {
        match Bridge::parse(text.as_bytes()) {
            Ok(bridge) => Ok(format!("{bridge} {:?}", bridge.tls)),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_bridge_is_what_its_file_says() {
        for (text, expected) in [
            (r#"{"port": 80, "to": 8080}"#, "80 to 8080 None"),
            (
                r#"{"port": 80, "to": 8080, "tls": false}"#,
                "80 to 8080 None",
            ),
            (
                r#"{"port": 443, "to": 1, "tls": true}"#,
                "443 to 1, TLS Some(OfMaster)",
            ),
            (
                r#"{"port": 443, "to": 1, "certificate": "etc/a.crt", "key": "etc/a.key"}"#,
                r#"443 to 1, TLS Some(Own { certificate: "etc/a.crt", key: "etc/a.key" })"#,
            ),
        ] {
            assert_eq!(shown(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_bridge_is_refused_in_words() {
        for (text, words) in [
            ("", "it must be a JSON object"),
            (r#"{"port": 0, "to": 8080}"#, "it must be a JSON object"),
            (r#"{"port": 70000, "to": 80}"#, "it must be a JSON object"),
            (
                r#"{"port": 1, "to": 2, "host": "x"}"#,
                "it must be a JSON object",
            ),
            (
                r#"{"port": 1, "to": 2, "key": "k"}"#,
                "`certificate` and `key` must",
            ),
            (
                r#"{"port": 1, "to": 2, "tls": false, "certificate": "c", "key": "k"}"#,
                "`tls` is false",
            ),
            (
                r#"{"port": 1, "to": 2, "certificate": "/etc/shadow", "key": "k"}"#,
                "`/etc/shadow` must be the path",
            ),
            (
                r#"{"port": 1, "to": 2, "certificate": "a/../b", "key": "k"}"#,
                "`a/../b` must be the path",
            ),
            (
                r#"{"port": 1, "to": 2, "certificate": "a\nexec=b", "key": "k"}"#,
                "`a\nexec=b` must be the path",
            ),
        ] {
            let said = shown(text).unwrap_err();
            assert!(said.starts_with(words), "{said}");
        }
    }

    #[test]
    fn its_promise_is_kept_while_something_answers() {
        let keep = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(keep.path()).unwrap().join("web");
        let ipv4 = Ipv4Addr::LOCALHOST;
        let listener = TcpListener::bind((ipv4, 0)).unwrap();
        let to = listener.local_addr().unwrap().port();
        let text = format!(r#"{{"port": 80, "to": {to}}}"#);
        File::create(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        let promise = Promise {
            form: Form::Bridge,
            name: "bridge-web".into(),
            path,
        };
        let answer = |ipv4| look(&promise, ipv4, Duration::from_secs(5)).answer;
        assert!(matches!(answer(Some(ipv4)), Answer::Kept(_)));
        let without = Answer::Broken("the partition has no IPv4".into());
        assert_eq!(answer(None), without);
        drop(listener);
        let said = format!("{:?}", answer(Some(ipv4)));
        assert!(
            said.contains("nothing answers at 127.0.0.1:") && said.contains("refused"),
            "{said}"
        );
    }
}
