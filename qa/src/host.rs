//! The machine the bench runs on: Debian with a Rust toolchain, git and apt. Finds out what is missing and installs it.
//! Nothing is installed that would run as a service: such packages are only unpacked into the target folder.

use std::env;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use crate::postgres;
use crate::product;
use crate::registry;
use crate::run::run;
use crate::story::{act, detail};

const NEEDED_SPACE_GIB: u64 = 15;

/// A program and the Debian package it comes from.
struct Need {
    program: &'static str,
    package: &'static str,
}

const NEEDS: &[Need] = &[
    Need {
        program: "cc",
        package: "gcc",
    },
    Need {
        program: "make",
        package: "make",
    },
    Need {
        program: "python3",
        package: "python3",
    },
    Need {
        program: "ip",
        package: "iproute2",
    },
    Need {
        program: "ping",
        package: "iputils-ping",
    },
    Need {
        program: "sysctl",
        package: "procps",
    },
    Need {
        program: "useradd",
        package: "passwd",
    },
    Need {
        program: "setpriv",
        package: "util-linux",
    },
    Need {
        program: "unshare",
        package: "util-linux",
    },
    // Another implementation, for our own to talk to.
    Need {
        program: "wireguard-go",
        package: "wireguard-go",
    },
    Need {
        program: "wg",
        package: "wireguard-tools",
    },
    Need {
        program: "systemd-sysusers",
        package: "systemd-standalone-sysusers",
    },
    Need {
        program: "busybox",
        package: "busybox-static",
    },
    Need {
        program: "zstd",
        package: "zstd",
    },
];

/// Packages that would start something if they were installed are unpacked, and only what they need is installed.
const UNPACK: &str = "set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update
rm -f \"$1\"_*.deb
apt-get download \"$1\"
apt-get satisfy --yes --no-install-recommends \"$(dpkg-deb -f \"$1\"_*.deb Depends)\"
dpkg-deb -x \"$1\"_*.deb tree
mkdir -p bin
cp tree/usr/*bin/\"$2\" bin/";

/// It needs no library but C's.
const UNPACK_REGISTRY: &str = "set -e
apt-get update
apt-get download docker-registry
dpkg-deb -x docker-registry_*.deb tree
mkdir -p bin
cp tree/usr/bin/docker-registry bin/";

/// An administrator's own word about clusters is left as it is.
const INSTALL_POSTGRES: &str = "set -e
conf=/etc/postgresql-common/createcluster.conf
mkdir -p /etc/postgresql-common
[ -e $conf ] || echo 'create_main_cluster = false' > $conf
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install --yes --no-install-recommends -o Dpkg::Options::=--force-confold postgresql";

/// The machine, ready for the bench.
#[derive(Debug)]
pub struct Host {
    programs: Utf8PathBuf,
    /// Where the bench's logs lie.
    pub logs: Utf8PathBuf,
}

impl Host {
    /// Checks the machine and installs what is missing for building and booting.
    pub async fn prepare() -> Result<Self> {
        let folder = product::target()?.join("qa");
        let host = Self {
            programs: folder.join("host"),
            logs: folder.join("logs"),
        };
        for folder in [&host.programs, &host.logs] {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot create {folder}"))?;
        }
        act(format_args!("check this machine: {}", describe()));
        has_space(&folder)?;
        host.install_missing().await?;
        Ok(host)
    }

    /// A command of cargo, in the workspace.
    pub fn cargo(&self, words: &[&str]) -> Result<Command> {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .args(words)
            .current_dir(product::workspace()?)
            .env("PATH", path_from(&self.programs))
            .env("CARGO_TERM_COLOR", "never");
        // What cargo tells its own children about the bench's package would confuse a nested cargo.
        for (name, _) in env::vars().filter(|(name, _)| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        }) {
            command.env_remove(name);
        }
        Ok(command)
    }

    /// Installs cargo-nextest for this workspace, unless the machine has it.
    pub async fn has_nextest(&self) -> Result<()> {
        if self.finds("cargo-nextest") {
            return Ok(());
        }
        // Unoptimised: it is built in a third of the time and only starts other programs.
        let folder = self.programs.as_str();
        let command = self.cargo(&[
            "install",
            "--locked",
            "--debug",
            "--root",
            folder,
            "cargo-nextest",
        ])?;
        run("install cargo-nextest", &command, &self.logs)
            .await
            .map(drop)
    }

    /// Unpacks babeld and installs the libraries that it needs, unless the machine has it. Installing it would start a routing daemon.
    pub async fn has_babeld(&self) -> Result<()> {
        self.has_unpacked("babeld", "babeld").await
    }

    /// Unpacks what filters packets, unless the machine has it. Installing it could filter the machine's own.
    pub async fn has_nftables(&self) -> Result<()> {
        self.has_unpacked("nftables", "nft").await
    }

    /// Has what overlays are made of and measured by, the original's and ours.
    pub async fn has_programs_of_overlays(&self) -> Result<()> {
        self.has_babeld().await?;
        self.has_nftables().await?;
        for (package, program) in [
            ("iperf3", "iperf3"),
            ("openssl", "openssl"),
            ("openvpn", "openvpn"),
        ] {
            self.has_unpacked(package, program).await?;
        }
        Ok(())
    }

    async fn has_unpacked(&self, package: &str, program: &str) -> Result<()> {
        if self.runs(program) {
            return Ok(());
        }
        ensure!(
            is_root(),
            "{program} is missing: run `apt-get install {package}` as root, or this command as root"
        );
        let mut unpack = Command::new("sh");
        unpack
            .args(["-c", UNPACK, "sh", package, program])
            .current_dir(&self.programs);
        run(&format!("unpack {package}"), &unpack, &self.logs)
            .await
            .map(drop)
    }

    /// Installs what Python makes environments with, unless the machine has it.
    pub async fn has_venv(&self) -> Result<()> {
        let mut ask = Command::new("python3");
        ask.args(["-c", "import ensurepip"]);
        if ask.output().is_ok_and(|it| it.status.success()) {
            return Ok(());
        }
        self.install(&["python3-venv"]).await
    }

    /// Unpacks the registry of images that tests pull from, unless it is there. Installing it would start a server.
    pub async fn has_registry(&self) -> Result<()> {
        if registry::program()?.exists() {
            return Ok(());
        }
        let mut unpack = Command::new("sh");
        unpack
            .args(["-c", UNPACK_REGISTRY])
            .current_dir(&self.programs);
        run("unpack docker-registry", &unpack, &self.logs)
            .await
            .map(drop)
    }

    /// It is there, and so are its libraries: the loader has a status of its own.
    fn runs(&self, program: &str) -> bool {
        const NO_LIBRARY: i32 = 127;
        let mut version = Command::new(program);
        version
            .arg("--version")
            .env("PATH", path_from(&self.programs));
        let ended = version.output();
        ended.is_ok_and(|it| it.status.code() != Some(NO_LIBRARY))
    }

    /// Installs PostgreSQL, unless the machine has it. Its package would make a server and start it; it is told not to.
    pub async fn has_postgres(&self) -> Result<()> {
        if postgres::programs().is_some() {
            return Ok(());
        }
        ensure!(
            is_root(),
            "PostgreSQL is missing: run `apt-get install postgresql` as root, or this command as root"
        );
        let mut install = Command::new("sh");
        install.args(["-c", INSTALL_POSTGRES]);
        run("install postgresql", &install, &self.logs)
            .await
            .map(drop)
    }

    async fn install_missing(&self) -> Result<()> {
        let mut packages: Vec<&str> = NEEDS
            .iter()
            .filter(|need| !self.finds(need.program))
            .map(|need| need.package)
            .collect();
        if packages.contains(&"gcc") {
            packages.push("libc6-dev");
        }
        self.install(&packages).await
    }

    async fn install(&self, packages: &[&str]) -> Result<()> {
        if packages.is_empty() {
            return Ok(());
        }
        let list = packages.join(" ");
        ensure!(
            is_root(),
            "these Debian packages are missing: run `apt-get install {list}` as root, or this command as root"
        );
        let mut update = Command::new("apt-get");
        run("apt-get update", update.arg("update"), &self.logs).await?;
        let mut install = Command::new("apt-get");
        install
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive");
        run(&format!("install {list}"), &install, &self.logs)
            .await
            .map(drop)
    }

    fn finds(&self, program: &str) -> bool {
        env::split_paths(&path_from(&self.programs)).any(|folder| folder.join(program).is_file())
    }
}

/// Where programs are looked for: what was unpacked for tests comes first.
pub(crate) fn path() -> Result<String> {
    Ok(path_from(&product::target()?.join("qa/host")))
}

fn path_from(programs: &Utf8Path) -> String {
    let given = env::var("PATH").unwrap_or_default();
    let unpacked = programs.join("bin");
    format!("{unpacked}:{given}:/usr/local/sbin:/usr/sbin:/sbin")
}

/// Whether the bench runs as root.
pub fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uids = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .unwrap_or_default();
    uids.split_whitespace().nth(1) == Some("0")
}

fn describe() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .unwrap_or("an unknown system");
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if !["12", "13"]
        .iter()
        .any(|version| release.contains(&format!("VERSION_ID=\"{version}\"")))
    {
        detail("this is neither Debian 12 nor 13; what follows was never tried here");
    }
    format!("{}, {cores} cores", name.trim_matches('"'))
}

fn has_space(folder: &Utf8Path) -> Result<()> {
    let mut df = Command::new("df");
    let output = df
        .args(["--output=avail", "-B1G", folder.as_str()])
        .output()
        .context("cannot run df")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let free: u64 = text
        .lines()
        .nth(1)
        .and_then(|line| line.trim().parse().ok())
        .unwrap_or(u64::MAX);
    ensure!(
        free >= NEEDED_SPACE_GIB,
        "{folder} has {free} GiB free; the builds and machines need {NEEDED_SPACE_GIB} GiB"
    );
    Ok(())
}
