//! The original: re6stnet from its registry, as it is by default but for a shorter hello, with openvpn and babeld from Debian. Of what it
//! expects of them and Debian's have not, two small programs make up for it.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use super::world::Overlay;
use crate::child::Child;
use crate::files::{empty_folder, put};
use crate::host::Host;
use crate::product;
use crate::run::run;
use crate::underlay::{Site, Underlay};

const REQUIREMENTS: &str = include_str!("original/requirements.txt");
const OPENVPN: &str = include_str!("original/openvpn.sh");
const BABELD: &str = include_str!("original/babeld.py");
const REGISTRY: &str = include_str!("original/registry.py");
const ENROL: &str = include_str!("original/enrol.py");

/// Says how many seconds are between hellos, where it is set: 15 is what its registry takes unless it is told.
const HELLO: &str = "SLAPBOX_QA_RE6ST_HELLO";
/// It finds out that a link is dead after three or four hellos.
const USUAL_HELLO: &str = "4";
/// Where the registry's certificate says that the network is: its serial number ends with 2001:db8:42::/48.
const NETWORK: &str = "0x120010db80042";
/// The site that its registry shares with a node.
const FIRST: u16 = 1;
const URL: &str = "http://10.99.0.1/";

/// Its programs, installed.
#[derive(Debug)]
pub(super) struct Installed {
    folder: Utf8PathBuf,
}

/// The original's overlay.
#[derive(Debug)]
pub(super) struct Original {
    nodes: BTreeMap<u16, Child>,
    addresses: BTreeMap<u16, Ipv6Addr>,
    _registry: Child,
    installed: Utf8PathBuf,
    folder: Utf8PathBuf,
}

/// Installs it in an environment of its own, unless it is there as the list of its packages has it.
pub(super) async fn install(host: &Host) -> Result<Installed> {
    host.has_venv().await?;
    let folder = product::target()?.join("qa/re6stnet");
    let installed = Installed { folder };
    let (venv, list) = (
        installed.folder.join("venv"),
        installed.folder.join("installed.txt"),
    );
    if std::fs::read_to_string(&list).is_ok_and(|it| it == REQUIREMENTS) && installed.runs() {
        return installed.with_programs();
    }
    empty_folder(&installed.folder)?;
    let mut make = Command::new("python3");
    make.args(["-m", "venv", venv.as_str()]);
    run("make an environment for re6stnet", &make, &host.logs).await?;
    let wanted = installed.folder.join("requirements.txt");
    put(&wanted, REQUIREMENTS)?;
    let mut install = Command::new(venv.join("bin/python3"));
    install
        .args(["-m", "pip", "install", "--no-deps", "--requirement"])
        .arg(&wanted);
    run("install re6stnet", &install, &host.logs).await?;
    put(&list, REQUIREMENTS)?;
    installed.with_programs()
}

impl Installed {
    /// The interpreter that it was installed with may have gone.
    fn runs(&self) -> bool {
        let mut ask = Command::new(self.folder.join("venv/bin/python3"));
        let ended = ask.args(["-c", "import re6st, OpenSSL"]).output();
        ended.is_ok_and(|it| it.status.success())
    }

    /// Lays out what stands between it and Debian's programs.
    fn with_programs(self) -> Result<Self> {
        let programs = self.folder.join("programs");
        empty_folder(&programs)?;
        for (name, text) in [("openvpn", OPENVPN), ("babeld", BABELD)] {
            let path = programs.join(name);
            put(&path, text)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
                .with_context(|| format!("cannot make {path} a program"))?;
        }
        for (name, text) in [("registry.py", REGISTRY), ("enrol.py", ENROL)] {
            put(&self.folder.join(name), text)?;
        }
        Ok(self)
    }
}

impl Overlay for Original {
    const NAME: &'static str = "re6st";
    const HAS_GOALS: bool = false;
    type Program = Installed;

    async fn prepare(program: &Installed, underlay: &Underlay, folder: &Utf8Path) -> Result<Self> {
        let site = underlay.site(FIRST)?;
        let hello = std::env::var(HELLO).unwrap_or_else(|_| USUAL_HELLO.to_owned());
        make_authority(site, folder)?;
        let python = program.folder.join("venv/bin/python3");
        let mut serve = site.command(python.as_str())?;
        serve
            .arg(program.folder.join("registry.py"))
            .args(["--port", "80", "-6", "", "--hello", &hello, "--run", RUN])
            .args(["--ca", folder.join("ca.crt").as_str()])
            .args(["--key", folder.join("ca.key").as_str()])
            .args(["--dh", folder.join("dh.pem").as_str()])
            .args(["--db", folder.join("registry.db").as_str()])
            .args(["--logfile", folder.join("registry.log").as_str(), "-v", "2"]);
        let registry = site.start(&serve, &folder.join("registry-output.log"))?;
        let mut enrol = site.command(python.as_str())?;
        enrol
            .arg(program.folder.join("enrol.py"))
            .args([URL, folder.as_str()])
            .args(underlay.sites().map(|site| site.number.to_string()));
        let said = run("enrol nodes with the original's registry", &enrol, folder).await?;
        Ok(Self {
            nodes: BTreeMap::new(),
            addresses: enrolled(&said)?,
            _registry: registry,
            installed: program.folder.clone(),
            folder: folder.to_owned(),
        })
    }

    fn start(&mut self, site: &Site) -> Result<()> {
        let number = site.number;
        let folder = self.folder.join(format!("node-{number}"));
        let program = self.installed.join("venv/bin/re6stnet");
        let programs = self.installed.join("programs");
        let mut node = site.command(program.as_str())?;
        node.env("PATH", format!("{programs}:{}", site.path()))
            .args(["--registry", URL, "--run", RUN])
            .args(["--ip", &site.ipv4().to_string(), "--ovpnlog"])
            .args(["--ca", folder.join("ca.crt").as_str()])
            .args(["--cert", folder.join("cert.crt").as_str()])
            .args(["--key", folder.join("cert.key").as_str()])
            .args(["--log", folder.join("log").as_str()])
            .args(["--state", folder.join("state").as_str()]);
        let child = site.start(&node, &folder.join("output.log"))?;
        self.nodes.insert(number, child);
        Ok(())
    }

    fn address(&mut self, number: u16) -> Result<Option<Ipv6Addr>> {
        let node = self.nodes.get_mut(&number);
        node.context("a node that was never started")?.must_live()?;
        Ok(self.addresses.get(&number).copied())
    }

    fn forget(&mut self, number: u16) {
        self.nodes.remove(&number);
    }

    fn is_daemon(program: &str, words: &[String]) -> bool {
        // What stands for babeld is a script, which is ours and not its.
        let is_script = words.get(1).is_some_and(|it| it.ends_with("/babeld"));
        ["re6stnet", "openvpn", "babeld"].contains(&program) && !is_script
    }
}

/// A folder of the site's own.
const RUN: &str = "/run/re6stnet";

fn make_authority(site: &Site, folder: &Utf8Path) -> Result<()> {
    let (key, certificate) = (folder.join("ca.key"), folder.join("ca.crt"));
    site.run(&[
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "3650",
        "-set_serial",
        NETWORK,
        "-subj",
        "/CN=bench/emailAddress=bench@localhost",
        "-keyout",
        key.as_str(),
        "-out",
        certificate.as_str(),
    ])?;
    // A group that is known need not be searched for.
    site.run(&[
        "openssl",
        "genpkey",
        "-genparam",
        "-algorithm",
        "DH",
        "-pkeyopt",
        "group:ffdhe2048",
        "-out",
        folder.join("dh.pem").as_str(),
    ])
    .map(drop)
}

/// Reads which node got which address.
fn enrolled(said: &str) -> Result<BTreeMap<u16, Ipv6Addr>> {
    let nodes = said.lines().map(|line| {
        let (number, address) = line.split_once(' ').context("two words a line")?;
        Ok((number.parse()?, address.parse()?))
    });
    let nodes: BTreeMap<_, _> = nodes
        .collect::<Result<_>>()
        .with_context(|| format!("nodes were enrolled otherwise than expected: {said}"))?;
    ensure!(!nodes.is_empty(), "no node was enrolled");
    Ok(nodes)
}
