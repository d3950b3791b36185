//! A box without a machine: systemd boots the product's `/usr` in namespaces of this machine, at this machine's own speed. For what
//! needs systemd and the agent but neither firmware, nor a kernel of its own, nor WireGuard. Needs root; leaves nothing behind.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use crate::eventually::{eventually, seconds};
use crate::files;
use crate::namespace::Namespace;
use crate::story::{act, detail};

const BOOT: &str = include_str!("cell/boot.sh");
const PRIVATE: &[&str] = &["--net", "--mount", "--pid", "--uts", "--ipc", "--cgroup"];
/// Ends what is left in a control group, and removes it with all below it.
const DISBAND: &str = "set -e
mount -t cgroup2 cgroup2 /mnt
cd /mnt
[ -d \"$1\" ] || exit 0
echo 1 > \"$1/cgroup.kill\"
for attempt in $(seq 100); do
    find \"$1\" -depth -type d -exec rmdir {} + 2>/dev/null && exit 0
    sleep 0.1
done
exit 1";

/// A box that runs until it is dropped.
#[derive(Debug)]
pub struct Cell {
    namespace: Namespace,
    folder: Utf8PathBuf,
    /// Goes after what is in it.
    _group: Group,
}

/// The control group that everything in the box is in.
#[derive(Debug)]
struct Group(String);

impl Cell {
    /// Boots the `/usr` of this image with a configuration document; what it says goes into `folder`.
    pub async fn boot(usr: &Utf8Path, document: &str, folder: &Utf8Path) -> Result<Self> {
        Self::boot_with(usr, document, folder, None).await
    }

    /// Boots one that has a small disk: as many megabytes in `/srv`.
    pub async fn boot_small(
        usr: &Utf8Path,
        document: &str,
        folder: &Utf8Path,
        megabytes: u32,
    ) -> Result<Self> {
        Self::boot_with(usr, document, folder, Some(megabytes)).await
    }

    async fn boot_with(
        usr: &Utf8Path,
        document: &str,
        folder: &Utf8Path,
        megabytes: Option<u32>,
    ) -> Result<Self> {
        act("boot a box in namespaces");
        files::empty_folder(folder)?;
        let (script, told) = (folder.join("boot.sh"), folder.join("box.toml"));
        let root = folder.join("root");
        files::put(&script, BOOT)?;
        files::put(&told, document)?;
        std::fs::create_dir(&root).with_context(|| format!("cannot create {root}"))?;
        let mut boot = Command::new("sh");
        let place = folder.parent().and_then(Utf8Path::file_name);
        let place = place.context("a box is somebody's")?;
        let group = Group(format!("slapbox-qa-{place}-{}", std::process::id()));
        boot.args([&script, usr, &root, &told]).arg(&group.0);
        boot.args(megabytes.map(|megabytes| format!("{megabytes}M")));
        let log = folder.join("box.log");
        let namespace = Namespace::keep("a box", PRIVATE, &[], &boot, &log)?;
        let mut cell = Self {
            namespace,
            folder: folder.to_owned(),
            _group: group,
        };
        cell.is_up().await?;
        Ok(cell)
    }

    async fn is_up(&mut self) -> Result<()> {
        eventually("the box has booted", async || {
            self.namespace.must_live()?;
            self.namespace
                .run(&["systemctl", "is-active", "slapbox-agent.service"])
                .map(drop)
        })
        .within(seconds(60))
        .await
    }

    /// The namespaces that it lives in.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Has the agent ask its master at once.
    pub fn looks_again(&self) -> Result<()> {
        self.namespace
            .run(&["systemctl", "reload", "slapbox-agent.service"])
            .map(drop)
    }

    /// Keeps the journal beside the other evidence, and returns its end.
    pub fn journal(&self) -> Result<String> {
        let journal =
            self.namespace
                .run(&["journalctl", "--no-pager", "--output=short-monotonic"])?;
        files::put(&self.folder.join("journal.log"), &journal)?;
        let lines: Vec<&str> = journal.lines().collect();
        let last = lines.len().saturating_sub(60);
        Ok(lines[last..].join("\n"))
    }

    /// What is in a file of the box.
    pub fn text(&self, path: &str) -> Result<String> {
        self.namespace.run(&["cat", path])
    }

    /// Asks a service from its own machine, by this Python of ours.
    pub fn page(&self, python: &Utf8Path, url: &str) -> Result<String> {
        const FETCH: &str = "import sys, urllib.request as it; print(it.urlopen(sys.argv[1], timeout=5).read().decode())";
        let mut command = self.namespace.command_beside(python.as_str())?;
        let answer = command.args(["-c", FETCH, url]).output()?;
        ensure!(
            answer.status.success(),
            "{}",
            String::from_utf8_lossy(&answer.stderr)
        );
        Ok(String::from_utf8_lossy(&answer.stdout).into_owned())
    }

    /// Says whether nothing is in a folder of the box but these.
    pub fn holds_only(&self, folder: &str, names: &[&str]) -> Result<()> {
        let listed = self.namespace.run(&["ls", "-A", folder])?;
        let there: Vec<&str> = listed.lines().collect();
        ensure!(there == names, "{folder} holds {there:?}, not {names:?}");
        Ok(())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let mut disband = Command::new("unshare");
        disband.args(["--mount", "sh", "-c", DISBAND, "sh", &self.0]);
        if !disband.status().is_ok_and(|status| status.success()) {
            detail(format_args!("the control group {} is left", self.0));
        }
    }
}
