//! What this machine must have and be before it can become a node, and what to do where it has not.

use std::io::ErrorKind;
use std::process::Stdio;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::statvfs::statvfs;
use serde::Deserialize;
use tokio::process::Command;

use super::{AGENT, systemd};

/// Less does not hold one release with its instance.
const LEAST_FREE: u64 = 1 << 30;
/// Parts of the kernel, each with what it is for. Without WireGuard or its tunnels, the overlay does with these, too.
const MODULES: [(&str, &str); 1] = [("tun", "the taps of partitions and the overlay")];
const SLAPGRID: &str = "/srv/slapgrid";

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) runs_systemd: bool,
    pub(super) unified_cgroups: bool,
    pub(super) has_agent: bool,
    /// Whose computer it is already, if it is: `COMP-2 of https://…`.
    pub(super) enrolled: Option<String>,
    /// Whether the original's node is configured here.
    pub(super) has_original: bool,
    /// Parts of the kernel that are missing.
    pub(super) missing: Vec<&'static str>,
    pub(super) ipv6: bool,
    pub(super) free_bytes: u64,
    pub(super) babel: Babel,
}

/// Debian's own Babel, which would use the overlay's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Babel {
    /// It does not run.
    Off,
    /// It runs as Debian installs it, and routes nothing.
    Idle,
    /// Somebody has configured it.
    Routing,
}

impl Facts {
    /// Looks at this machine.
    pub(super) async fn gather() -> Result<Self> {
        let exists = |path: &str| Utf8Path::new(path).exists();
        let runs_systemd = exists("/run/systemd/system");
        let mut missing = Vec::new();
        for (module, _) in MODULES {
            if !exists(&format!("/sys/module/{module}")) && !can_load(module).await {
                missing.push(module);
            }
        }
        Ok(Self {
            runs_systemd,
            unified_cgroups: exists("/sys/fs/cgroup/cgroup.controllers"),
            has_agent: exists(AGENT) && exists("/usr/lib/systemd/system/slapbox-agent.service"),
            enrolled: membership(Utf8Path::new("/var/lib/slapbox"))?,
            has_original: exists("/etc/opt/slapos/slapos.cfg"),
            missing,
            ipv6: has_ipv6(),
            free_bytes: free(Utf8Path::new(SLAPGRID))?,
            babel: if runs_systemd {
                babel().await?
            } else {
                Babel::Off
            },
        })
    }

    /// Everything that keeps this machine from becoming a node, each with what to do.
    pub(super) fn refusals(&self) -> Vec<String> {
        let mut refusals = Vec::new();
        let mut check = |good: bool, why: String| {
            if !good {
                refusals.push(why);
            }
        };
        if let Some(whose) = &self.enrolled {
            check(
                false,
                format!(
                    "it is a node already, {whose}: `slapbox node` shows how it is. To give it to another master, destroy its instances, `apt purge slapbox`, and install it again"
                ),
            );
        }
        check(self.runs_systemd, "systemd does not run it: a node needs systemd as its first process; a container without it cannot be one".to_owned());
        check(self.unified_cgroups, "its control groups are not the unified ones: remove `systemd.unified_cgroup_hierarchy=` from its kernel's command line and reboot".to_owned());
        check(
            self.has_agent,
            "the agent is not installed: `apt install ./slapbox_VERSION_amd64.deb` does".to_owned(),
        );
        check(!self.has_original, "it is a node of the original SlapOS, /etc/opt/slapos/slapos.cfg says: both would make partitions in /srv/slapgrid; remove that node first".to_owned());
        for (module, purpose) in MODULES {
            check(
                !self.missing.contains(&module),
                format!(
                    "its kernel has no `{module}`, which {purpose} need: boot a kernel of Debian (`apt install linux-image-amd64`); in a container, load it on the host"
                ),
            );
        }
        check(self.ipv6, "IPv6 is off: remove `ipv6.disable` from its kernel's command line and `disable_ipv6` from its sysctl.d, and reboot".to_owned());
        check(
            self.free_bytes >= LEAST_FREE,
            format!(
                "{SLAPGRID} has {} MB free, and a node needs {} at the least: make room, or mount a larger disk there",
                self.free_bytes / 1_000_000,
                LEAST_FREE / 1_000_000
            ),
        );
        check(self.babel != Babel::Routing, "it routes with Babel already, as /etc/babeld.conf says, and the overlay's Babel needs the same port: `systemctl disable --now babeld.service`, if that may go".to_owned());
        refusals
    }
}

/// Returns whether the kernel could load a module. Loads nothing.
async fn can_load(module: &str) -> bool {
    let mut command = Command::new("modprobe");
    command.args(["--dry-run", "--quiet", module]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().await.is_ok_and(|ended| ended.success())
}

/// The part of the agent's `master.json` that is shown.
#[derive(Deserialize)]
struct Membership {
    urls: Vec<String>,
    reference: String,
}

/// Whose computer this is, as the agent's state says.
fn membership(state: &Utf8Path) -> Result<Option<String>> {
    let identity = state.join("identity");
    let certificate = identity.join("certificate.pem");
    let enrolled = certificate
        .try_exists()
        .with_context(|| format!("cannot look at `{certificate}`"))?;
    if !enrolled {
        let document = std::fs::read_to_string(state.join("configuration.toml"));
        return Ok(other_role(&document.unwrap_or_default()));
    }
    let told = std::fs::read(identity.join("master.json")).unwrap_or_default();
    Ok(Some(match serde_json::from_slice::<Membership>(&told) {
        Ok(Membership { urls, reference }) => format!("{reference} of {}", urls.join(", ")),
        Err(_) => "of an unknown master".to_owned(),
    }))
}

/// What a document says that needs no certificate: to be a master, or the node of one of another make.
fn other_role(document: &str) -> Option<String> {
    let document: toml::Table = document.parse().ok()?;
    match document.get("role")?.as_str()? {
        "master" => Some("a master and a node of itself".to_owned()),
        "slap" => {
            let text = |key: &str| document.get("slap")?.get(key)?.as_str();
            let computer = text("computer").unwrap_or("a computer");
            Some(format!(
                "{computer} of {}",
                text("url").unwrap_or("a master")
            ))
        }
        _ => None,
    }
}

fn has_ipv6() -> bool {
    ["all", "default", "lo"].into_iter().all(|interface| {
        let switch = format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6");
        std::fs::read_to_string(switch).is_ok_and(|it| it.trim() == "0")
    })
}

/// How much room there is where a folder is or would be.
fn free(folder: &Utf8Path) -> Result<u64> {
    let existing: Option<Utf8PathBuf> = folder
        .ancestors()
        .find(|it| it.is_dir())
        .map(Utf8Path::to_owned);
    let existing = existing.unwrap_or_else(|| "/".into());
    let found = statvfs(existing.as_std_path());
    let found = found.with_context(|| format!("cannot tell how much room `{existing}` has"))?;
    Ok(found
        .blocks_available()
        .saturating_mul(found.fragment_size()))
}

async fn babel() -> Result<Babel> {
    if !systemd::is_in_use(systemd::DEBIANS_BABEL).await? {
        return Ok(Babel::Off);
    }
    let file = "/etc/babeld.conf";
    match std::fs::read_to_string(file) {
        Ok(text) if routes(&text) => Ok(Babel::Routing),
        Ok(_) => Ok(Babel::Idle),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Babel::Idle),
        Err(error) => Err(error).with_context(|| format!("cannot read `{file}`")),
    }
}

/// Returns whether somebody has changed the configuration that Debian ships, in which Babel runs on the loopback alone.
fn routes(configuration: &str) -> bool {
    let mut lines = configuration
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.any(|line| !line.is_empty() && line != "interface lo")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Of a stock Debian that can be a node.
    pub(in crate::commands::node) fn good() -> Facts {
        Facts {
            runs_systemd: true,
            unified_cgroups: true,
            has_agent: true,
            enrolled: None,
            has_original: false,
            missing: Vec::new(),
            ipv6: true,
            free_bytes: 8 << 30,
            babel: Babel::Idle,
        }
    }

    #[test]
    fn a_stock_debian_can_be_a_node() {
        assert_eq!(good().refusals(), Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_is_missing_is_said_with_what_to_do() {
        let bad = Facts {
            runs_systemd: false,
            unified_cgroups: false,
            has_agent: false,
            enrolled: Some("COMP-2 of https://192.0.2.1".to_owned()),
            has_original: true,
            missing: vec!["tun"],
            ipv6: false,
            free_bytes: 512 << 20,
            babel: Babel::Routing,
        };
        insta::assert_snapshot!(bad.refusals().join("\n"));
    }

    #[test]
    fn what_debian_ships_for_babel_routes_nothing() {
        assert!(!routes(
            "# Works on Linux > 3.11\n#ipv6-subtrees true\ninterface lo\n#interface eth0\n"
        ));
        assert!(routes("interface lo\ninterface eth0 rxcost 10\n"));
    }

    #[test]
    fn the_identity_tells_whose_node_it_is() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(scratch.path()).unwrap();
        assert_eq!(membership(folder).unwrap(), None);
        std::fs::create_dir(folder.join("identity")).unwrap();
        let put = |name: &str, text: &str| {
            let file = std::fs::File::create(folder.join(name)).unwrap();
            std::io::Write::write_all(&mut { file }, text.as_bytes()).unwrap();
        };
        put("configuration.toml", "join = \"slapbox1.refused\"\n");
        assert_eq!(membership(folder).unwrap(), None, "it may try again");
        put(
            "configuration.toml",
            "role = \"slap\"\n[slap]\nurl = \"http://127.0.0.1:5000\"\ncomputer = \"local_computer\"\n",
        );
        assert_eq!(
            membership(folder).unwrap().unwrap(),
            "local_computer of http://127.0.0.1:5000"
        );
        put("identity/certificate.pem", "x");
        assert_eq!(membership(folder).unwrap().unwrap(), "of an unknown master");
        put(
            "identity/master.json",
            r#"{"urls": ["https://192.0.2.1"], "reference": "COMP-2", "overlay": {"port": 6326, "endpoint": null}}"#,
        );
        assert_eq!(
            membership(folder).unwrap().unwrap(),
            "COMP-2 of https://192.0.2.1"
        );
    }

    #[test]
    fn the_room_of_a_folder_that_is_not_there_is_that_of_the_one_above() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(scratch.path()).unwrap();
        assert!(free(&folder.join("srv/slapgrid")).unwrap() > 0);
    }
}
