//! `slapbox net map`: the whole network, as its registry knows it, drawn. The registry is asked on its own machine.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::arguments::NetMap;
use crate::drawing::svg;
use crate::failure::Stop;
use crate::output;

/// The registry answers at once.
const PATIENCE: Duration = Duration::from_secs(20);
/// A hundred thousand nodes and their tunnels are less.
const LONGEST: usize = 256 << 20;

/// The network. What an older or newer registry does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Map {
    pub(crate) network: String,
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: Vec<Tunnel>,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Node {
    pub(crate) reference: String,
    pub(crate) prefix: String,
    pub(crate) is_alive: bool,
    pub(crate) silent_seconds: Option<u64>,
}

/// A tunnel between two nodes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Tunnel {
    pub(crate) ends: [String; 2],
    pub(crate) round_trip_ms: Option<f64>,
}

/// Draws the network, or prints what the registry says of it.
pub(super) async fn run(asked: &NetMap) -> Result<()> {
    let answer = timeout(PATIENCE, ask(&asked.socket)).await;
    let json = answer.with_context(|| {
        format!(
            "the registry at `{}` does not answer within {} seconds",
            asked.socket,
            PATIENCE.as_secs()
        )
    })??;
    if asked.json {
        return output::print(&json);
    }
    let map: Map = serde_json::from_str(&json)
        .with_context(|| format!("what the registry at `{}` says is no map", asked.socket))?;
    output::print(&svg(&map))
}

/// Asks the registry for its map.
async fn ask(socket: &Utf8Path) -> Result<String> {
    let stream = match UnixStream::connect(socket).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(closed(socket)),
        Err(error)
            if [ErrorKind::NotFound, ErrorKind::ConnectionRefused].contains(&error.kind()) =>
        {
            return Err(absent(socket));
        }
        Err(error) => return Err(error).with_context(|| format!("cannot connect to `{socket}`")),
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = hyper::Request::get("/local/map")
        .header("host", "registry")
        .body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await;
    let answer = answer.with_context(|| format!("the registry at `{socket}` does not answer"))?;
    let status = answer.status();
    if !status.is_success() {
        bail!("what listens at `{socket}` has no map: it answers {status}");
    }
    let body = Limited::new(answer.into_body(), LONGEST).collect().await;
    let body = body.map_err(anyhow::Error::from_boxed);
    let bytes = body
        .with_context(|| format!("the registry at `{socket}` ceased to answer"))?
        .to_bytes();
    String::from_utf8(bytes.into()).context("what the registry says is no text")
}

fn absent(socket: &Utf8Path) -> anyhow::Error {
    let words = format!(
        "no registry listens at `{socket}`: this is asked on the machine of the network's master, or with `--socket` where the registry listens elsewhere"
    );
    Stop { status: 1, words }.into()
}

fn closed(socket: &Utf8Path) -> anyhow::Error {
    let words = format!(
        "`{socket}` is open to root and to the master only: run this as root, or behind `sudo`"
    );
    Stop { status: 5, words }.into()
}

#[cfg(test)]
mod tests;
