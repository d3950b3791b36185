//! A client of babeld's text socket: what it speaks on, commands, and whom to tell that it should start anew.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::Ipv6Net;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::Babel;

/// babeld answers at once; one that does not is stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// What can go wrong between babeld and us.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket cannot be used.
    #[error("failed to reach babeld at {path}")]
    Connect {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It closed the connection, or says nothing.
    #[error("failed to talk to babeld")]
    Talk(#[source] io::Error),
    /// It does not want to.
    #[error("babeld refuses `{command}`: {answer}")]
    Refused {
        /// What it was told.
        command: String,
        /// What it said.
        answer: String,
    },
    /// It cannot be told to stop.
    #[error("failed to stop babeld")]
    Stop(#[source] io::Error),
}

/// What a neighbour says to be its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// The interface that the neighbour is behind.
    pub interface: String,
}

/// A conversation with a running babeld.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<UnixStream>,
}

/// Makes a running babeld speak on the desired tunnels and no others; returns how many it changed, or nothing if no
/// babeld runs: it then reads its file when it starts.
pub async fn reconcile(babel: &Babel) -> Result<Option<usize>, Error> {
    let Some(mut connection) = Connection::open(Path::new(&babel.socket)).await? else {
        return Ok(None);
    };
    let commands = babel.commands(&connection.interfaces().await?);
    for command in &commands {
        connection.command(command).await?;
    }
    Ok(Some(commands.len()))
}

/// Returns what neighbours say to be their own, nothing if no babeld runs.
pub async fn origins(socket: &Path) -> Result<Vec<Origin>, Error> {
    match Connection::open(socket).await? {
        Some(mut connection) => connection.origins().await,
        None => Ok(Vec::new()),
    }
}

/// Ends a running babeld, which the service supervisor then starts with its new file.
pub async fn stop(socket: &Path) -> Result<(), Error> {
    match Connection::open(socket).await? {
        Some(connection) => connection.stop(),
        None => Ok(()),
    }
}

impl Connection {
    /// Connects, unless no babeld runs.
    ///
    /// Nobody behind a socket that is there may also mean that babeld is about to listen, so the socket is left to
    /// whoever starts babeld: one that was killed leaves its socket, which keeps the next one from starting.
    pub async fn open(path: &Path) -> Result<Option<Self>, Error> {
        let stream = match UnixStream::connect(path).await {
            Ok(stream) => stream,
            Err(err)
                if matches!(
                    err.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                return Ok(None);
            }
            Err(source) => {
                return Err(Error::Connect {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        let mut connection = Self {
            stream: BufReader::new(stream),
        };
        connection.answer("greeting").await?;
        Ok(Some(connection))
    }

    /// Returns the interfaces that babeld knows.
    pub async fn interfaces(&mut self) -> Result<BTreeSet<String>, Error> {
        let lines = self.command("dump").await?;
        Ok(lines.iter().filter_map(|line| interface_in(line)).collect())
    }

    /// Returns what neighbours say to be their own, which is what they need no other for.
    pub async fn origins(&mut self) -> Result<Vec<Origin>, Error> {
        let lines = self.command("dump").await?;
        Ok(lines.iter().filter_map(|line| origin_in(line)).collect())
    }

    /// Gives a command and returns what babeld prints.
    pub async fn command(&mut self, command: &str) -> Result<Vec<String>, Error> {
        let line = format!("{command}\n");
        self.stream
            .write_all(line.as_bytes())
            .await
            .map_err(Error::Talk)?;
        self.answer(command).await
    }

    fn stop(&self) -> Result<(), Error> {
        let peer = self.stream.get_ref().peer_cred().map_err(Error::Stop)?;
        let process = peer
            .pid()
            .ok_or_else(|| Error::Stop(io::ErrorKind::NotFound.into()))?;
        kill(Pid::from_raw(process), Signal::SIGTERM).map_err(|err| Error::Stop(err.into()))
    }

    async fn answer(&mut self, command: &str) -> Result<Vec<String>, Error> {
        let lines = self.lines();
        let late = |_| Error::Talk(io::ErrorKind::TimedOut.into());
        let (lines, verdict) = timeout(PATIENCE, lines)
            .await
            .map_err(late)?
            .map_err(Error::Talk)?;
        if verdict == "ok" {
            return Ok(lines);
        }
        Err(Error::Refused {
            command: command.to_owned(),
            answer: verdict,
        })
    }

    /// Reads lines up to the one that closes an answer.
    async fn lines(&mut self) -> io::Result<(Vec<String>, String)> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            if line == "ok" || line == "bad" || line == "no" || line.starts_with("no ") {
                return Ok((lines, line.to_owned()));
            }
            lines.push(line.to_owned());
        }
    }
}

fn interface_in(line: &str) -> Option<String> {
    let mut words = line.split(' ');
    let is_interface = words.next() == Some("add") && words.next() == Some("interface");
    words.next().filter(|_| is_interface).map(str::to_owned)
}

/// Reads `add route … prefix P … refmetric 0 via … if slt2`, whose words come in pairs after the number.
fn origin_in(line: &str) -> Option<Origin> {
    let mut words = line.strip_prefix("add route ")?.split(' ').skip(1);
    let (mut prefix, mut interface, mut is_own) = (None, None, false);
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        match name {
            "prefix" => prefix = value.parse().ok(),
            "refmetric" => is_own = value == "0",
            "if" => interface = Some(value.to_owned()),
            _ => {}
        }
    }
    let origin = Origin {
        prefix: prefix?,
        interface: interface?,
    };
    is_own.then_some(origin)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, socket};

    use super::*;

    #[tokio::test]
    async fn a_babeld_that_is_about_to_listen_keeps_its_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("babeld.sock");
        let none = SockFlag::empty();
        let bound = socket(AddressFamily::Unix, SockType::Stream, none, None).unwrap();
        bind(bound.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        assert!(Connection::open(&path).await.unwrap().is_none());
        assert!(path.exists());
    }

    #[test]
    fn only_interfaces_are_read_from_a_dump() {
        let line = "add interface slt2 up true ipv6 fe80::3835:ffff:fef9:bf8c";
        assert_eq!(interface_in(line).as_deref(), Some("slt2"));
        let line =
            "add neighbour 561c91a87ac0 address fe80::b898:55ff:fe4f:7b6b if slt2 reach ffff";
        assert_eq!(interface_in(line), None);
        assert_eq!(interface_in(""), None);
    }

    #[test]
    fn what_neighbours_say_to_be_theirs_is_read_from_a_dump() {
        let route = |refmetric| {
            format!(
                "add route 561684966700 prefix fd12:3456:789a:2::/64 from ::/0 installed yes id 90:1d:7e:50:df:79:c3:0b \
                 metric 192 refmetric {refmetric} via fe80::2 if slt3"
            )
        };
        let origin = Origin {
            prefix: "fd12:3456:789a:2::/64".parse().unwrap(),
            interface: "slt3".to_owned(),
        };
        assert_eq!(origin_in(&route(0)), Some(origin));
        assert_eq!(origin_in(&route(96)), None, "they have it from another");
        let own =
            "add xroute fd12:3456:789a:1::/64-::/0 prefix fd12:3456:789a:1::/64 from ::/0 metric 0";
        for line in [
            own,
            "add route",
            "add route 1 prefix x refmetric 0 if a",
            "",
        ] {
            assert_eq!(origin_in(line), None, "{line}");
        }
    }
}
