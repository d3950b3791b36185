//! The configuration document of the node that this machine becomes: written from what was typed, checked by the agent itself,
//! kept where the agent looks for the one that it has accepted.

use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use atomic_write_file::AtomicWriteFile;
use atomic_write_file::unix::OpenOptionsExt as _;
use camino::Utf8Path;
use slap::JoinBlob;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::AGENT;

/// The agent's folder; only root looks into it.
const STATE: &str = "/var/lib/slapbox";
/// Where the agent keeps the document that it has accepted.
pub(super) const FILE: &str = "/var/lib/slapbox/configuration.toml";
/// Begins the secret of a document.
const BLOB: &str = "slapbox1.";

/// What was typed of a node.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) name: String,
    pub(super) partitions: Option<u16>,
    pub(super) endpoint: Option<String>,
    pub(super) proxy: Option<String>,
}

/// Returns the document.
pub(super) fn text(wish: &Wish, join: Option<&JoinBlob>) -> String {
    let mut document = toml::Table::new();
    let mut put = |key: &str, value: toml::Value| document.insert(key.to_owned(), value);
    put("name", wish.name.as_str().into());
    if let Some(count) = wish.partitions {
        put("partitions", i64::from(count).into());
    }
    if let Some(proxy) = &wish.proxy {
        put("proxy", proxy.as_str().into());
    }
    if let Some(join) = join {
        put("join", join.reveal().into());
    }
    if let Some(endpoint) = &wish.endpoint {
        let mut overlay = toml::Table::new();
        overlay.insert("endpoint".to_owned(), endpoint.as_str().into());
        put("overlay", overlay.into());
    }
    document.to_string()
}

/// Returns a document as it may be shown.
pub(super) fn without_secret(document: &str) -> String {
    let shown = |line: &str| match line.split_once(BLOB) {
        Some((before, _)) => format!("{before}{BLOB}…\"\n"),
        None => format!("{line}\n"),
    };
    document.lines().map(shown).collect()
}

/// Has the agent say whether a document is good, or what is wrong with it.
pub(super) async fn check(document: &str) -> Result<()> {
    let run = async || -> io::Result<std::process::Output> {
        let mut command = Command::new(AGENT);
        command.args(["check-config", "/dev/stdin"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(document.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let said = run()
        .await
        .with_context(|| format!("cannot run `{AGENT}`"))?;
    if said.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&said.stdout);
    let words = words.trim().trim_start_matches("/dev/stdin: ");
    bail!("the agent does not take this configuration: {words}")
}

/// Keeps a document: whole, on the disk, and for root alone.
pub(super) fn keep(document: &str) -> Result<()> {
    let folder = Utf8Path::new(STATE);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot make `{folder}`"))?;
    write(Utf8Path::new(FILE), document)
}

fn write(path: &Utf8Path, document: &str) -> Result<()> {
    let act = || -> io::Result<()> {
        let mut file = AtomicWriteFile::options()
            .preserve_mode(false)
            .mode(0o600)
            .open(path)?;
        file.write_all(document.as_bytes())?;
        file.commit()
    };
    act().with_context(|| format!("cannot write `{path}`"))
}

/// Reads a document that somebody has written.
pub(super) fn read(path: &Utf8Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read `{path}`"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use slap::join::{CaPin, Token};

    use super::*;

    fn blob() -> JoinBlob {
        JoinBlob {
            urls: vec!["https://192.0.2.1".to_owned()],
            ca: CaPin::of_spki(b""),
            token: Token::from_random([1; 12], [2; 32]),
        }
    }

    #[test]
    fn the_document_says_what_was_typed_and_shows_no_secret() {
        let wish = Wish {
            name: "edge \"1\"".to_owned(),
            partitions: Some(20),
            endpoint: Some("edge.example:6326".to_owned()),
            proxy: Some("http://proxy:3128".to_owned()),
        };
        let document = text(&wish, Some(&blob()));
        let read: toml::Table = document.parse().unwrap();
        assert_eq!(read["name"].as_str(), Some("edge \"1\""));
        assert_eq!(read["partitions"].as_integer(), Some(20));
        assert_eq!(read["proxy"].as_str(), Some("http://proxy:3128"));
        assert_eq!(read["join"].as_str(), Some(blob().reveal().as_str()));
        let endpoint = read["overlay"]["endpoint"].as_str();
        assert_eq!(endpoint, Some("edge.example:6326"));

        let shown = without_secret(&document);
        assert!(shown.contains("slapbox1.…"), "{shown}");
        assert!(!shown.contains(&blob().reveal()[12..]), "{shown}");
        assert!(shown.contains("partitions = 20"), "{shown}");
    }

    #[test]
    fn nobody_but_root_reads_it_whatever_was_there() {
        let scratch = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(scratch.path()).unwrap();
        let path = path.join("configuration.toml");
        drop(fs::File::create(&path).unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, "partitions = 7\n").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(read(&path).unwrap(), "partitions = 7\n");
    }
}
