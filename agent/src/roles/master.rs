//! A box that is the master: what its master and its registry are told, the box's own token, the first operator's login line.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context as _, bail};

use serde::{Deserialize, Serialize};
use slap::JoinBlob;
use tokio::process::Command;

use super::{MASTER, REGISTRY, Services};
use crate::config::{LISTEN, Master};
use crate::disk;
use crate::places::Places;
use crate::status::LoginLine;

const USER: &str = "slapbox-master";
const DATA: &str = "/var/lib/slapbox-master";
const SOCKET: &str = "/run/slapbox-registry/http.sock";
const WELCOME: &str = "/run/slapbox-master/welcome.json";
const REGISTRY_STATE: &str = "/var/lib/slapbox-registry";
/// The master's first computer is the box itself, where the registry is.
const HOST: &str = "COMP-1";

/// `/run/slapbox/master.toml`.
#[derive(Debug, Serialize)]
struct MasterToml<'a> {
    data: &'a str,
    urls: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<SocketAddr>,
    registry_socket: &'a str,
    welcome: &'a str,
}

/// `/run/slapbox/registry.toml`.
#[derive(Debug, Serialize)]
struct RegistryToml<'a> {
    state: &'a str,
    socket: &'a str,
    host: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<ipnet::Ipv6Net>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    regions: &'a BTreeMap<String, ipnet::Ipv6Net>,
}

/// What the master and the registry read at their start.
pub fn files(master: &Master) -> anyhow::Result<[(&'static str, String); 2]> {
    let for_master = MasterToml {
        data: DATA,
        urls: &master.urls,
        // What is not said is everywhere, on a machine without IPv6 too.
        listen: Some(master.listen).filter(|listen| *listen != LISTEN),
        registry_socket: SOCKET,
        welcome: WELCOME,
    };
    let for_registry = RegistryToml {
        state: REGISTRY_STATE,
        socket: SOCKET,
        host: HOST,
        network: master.network,
        regions: &master.regions,
    };
    Ok([
        ("master.toml", toml::to_string(&for_master)?),
        ("registry.toml", toml::to_string(&for_registry)?),
    ])
}

/// Writes what master and registry read, and starts them; restarts them if they have read something else.
pub async fn prepare(
    places: &Places,
    services: &impl Services,
    master: &Master,
) -> anyhow::Result<()> {
    let files = files(master)?;
    let mut changed = false;
    for (name, text) in &files {
        let path = places.run().join(name);
        let before = disk::read_text(&path)?;
        changed |= before.as_ref().is_some_and(|before| before != text);
        if before.as_ref() != Some(text) {
            disk::replace(&path, text.as_bytes())?;
        }
    }
    for unit in [REGISTRY, MASTER] {
        let started = if changed {
            services.restart(unit).await
        } else {
            services.start(unit).await
        };
        started.with_context(|| format!("{unit} cannot be started"))?;
    }
    Ok(())
}

/// Gets the box's own token from the master on it, to join through its own address.
pub async fn local_join(master: &Master) -> anyhow::Result<JoinBlob> {
    let user = nix::unistd::User::from_name(USER).context("the users cannot be read")?;
    let Some(user) = user else {
        bail!("there is no user {USER}")
    };
    let url = own_url(master.listen);
    let mut command = Command::new("/usr/bin/slapbox-master");
    command.args(["token", "--data", DATA, "--kind", "node", "--url", &url]);
    command
        .uid(user.uid.as_raw())
        .gid(user.gid.as_raw())
        .kill_on_drop(true);
    let output = command
        .output()
        .await
        .context("slapbox-master cannot be run")?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!(
            "no token yet: {}",
            words.trim().lines().last().unwrap_or("it says nothing")
        );
    }
    let line = String::from_utf8(output.stdout).context("the token is no text")?;
    line.trim().parse().context("the token cannot be read")
}

/// How the box reaches its own master, whatever its network.
fn own_url(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        given => given,
    };
    format!("https://{}", SocketAddr::new(ip, listen.port()))
}

/// What the master leaves for the first operator; nothing once somebody has used it.
pub fn login_line(places: &Places) -> Option<LoginLine> {
    let text = disk::read_text(&places.at(WELCOME.trim_start_matches('/'))).ok()??;
    parse_welcome(&text)
}

#[derive(Deserialize)]
struct Welcome {
    login: String,
}

fn parse_welcome(text: &str) -> Option<LoginLine> {
    let welcome: Welcome = serde_json::from_str(text).ok()?;
    Some(LoginLine(welcome.login.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master(listen: &str) -> Master {
        Master {
            urls: vec!["https://203.0.113.7".into()],
            listen: listen.parse().unwrap(),
            network: "fd12:3456:789a::/48".parse().ok(),
            regions: BTreeMap::from([(
                "eu".to_owned(),
                "fd12:3456:789a:8000::/49".parse().unwrap(),
            )]),
        }
    }

    #[test]
    fn master_and_registry_are_told_what_the_document_says() {
        let [elsewhere, _] = files(&master("192.0.2.1:8443")).unwrap();
        assert!(
            elsewhere.1.contains("listen = \"192.0.2.1:8443\""),
            "{}",
            elsewhere.1
        );
        let [for_master, for_registry] = files(&master("[::]:443")).unwrap();
        insta::assert_snapshot!(for_master.1, @r#"
        data = "/var/lib/slapbox-master"
        urls = ["https://203.0.113.7"]
        registry_socket = "/run/slapbox-registry/http.sock"
        welcome = "/run/slapbox-master/welcome.json"
        "#);
        insta::assert_snapshot!(for_registry.1, @r#"
        state = "/var/lib/slapbox-registry"
        socket = "/run/slapbox-registry/http.sock"
        host = "COMP-1"
        network = "fd12:3456:789a::/48"

        [regions]
        eu = "fd12:3456:789a:8000::/49"
        "#);
    }

    #[test]
    fn a_box_joins_itself_through_an_address_that_needs_no_network() {
        for (listen, url) in [
            ("[::]:443", "https://127.0.0.1:443"),
            ("0.0.0.0:8443", "https://127.0.0.1:8443"),
            ("192.0.2.1:443", "https://192.0.2.1:443"),
        ] {
            assert_eq!(own_url(listen.parse().unwrap()), url);
        }
    }

    #[test]
    fn the_login_line_is_one_line() {
        let json = r#"{"login":"slapbox login slapbox1.abc\n","urls":["https://203.0.113.7"]}"#;
        let line = parse_welcome(json).unwrap();
        assert_eq!(line.0, "slapbox login slapbox1.abc");
        assert_eq!(format!("{line:?}"), "LoginLine(…)");
        assert_eq!(parse_welcome("{}"), None);
    }
}
