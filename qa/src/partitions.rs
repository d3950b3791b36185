//! A node's partitions on this machine, as `slapbox-agent format` makes them in a namespace, and what people would look at to
//! see whether they are there.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::namespace::Namespace;
use crate::product;
use crate::story::{act, detail, spoken};

/// Partitions in a namespace.
#[derive(Debug)]
pub struct Partitions<'a> {
    namespace: &'a Namespace,
    count: u16,
    agent: String,
}

/// What one run came to.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    /// How long the whole program ran.
    pub seconds: f64,
    /// How many things it made, repaired or removed.
    pub changed: u64,
}

/// What is on the node, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Users of partitions.
    pub users: BTreeSet<String>,
    /// Directories of partitions, with their modes.
    pub directories: BTreeSet<String>,
    /// IPv6 addresses of partitions.
    pub addresses: BTreeSet<String>,
    /// Taps of partitions.
    pub taps: BTreeSet<String>,
}

const PREFIX: &str = "fd12:3456:789a:1::/64";

impl<'a> Partitions<'a> {
    /// Partitions that are not made yet.
    pub fn of(namespace: &'a Namespace, count: u16) -> Result<Self> {
        Ok(Self {
            namespace,
            count,
            agent: product::program("slapbox-agent")?.into_string(),
        })
    }

    /// Makes what is missing.
    pub fn lay_out(&self) -> Result<Made> {
        self.lay_out_count(self.count)
    }

    /// Makes another number of them.
    pub fn lay_out_count(&self, count: u16) -> Result<Made> {
        act(format_args!("lay out {count} partitions"));
        let start = Instant::now();
        let count = count.to_string();
        let said = self.namespace.run(&[
            &self.agent,
            "format",
            "--partitions",
            &count,
            "--prefix",
            PREFIX,
            "--json",
        ])?;
        let elapsed = start.elapsed();
        detail(format_args!("after {}: {}", spoken(elapsed), said.trim()));
        let outcome: serde_json::Value =
            serde_json::from_str(said.trim()).context("the agent did not print JSON")?;
        let changed = outcome["changed"]
            .as_u64()
            .context("the agent did not say what it changed")?;
        Ok(Made {
            seconds: elapsed.as_secs_f64(),
            changed,
        })
    }

    /// Looks at what is there.
    pub fn look(&self) -> Result<Seen> {
        let passwd = self.namespace.run(&["cat", "/etc/passwd"])?;
        let directories = self.namespace.run(&[
            "find",
            "/srv/slapgrid",
            "-maxdepth",
            "1",
            "-name",
            "slappart*",
            "-printf",
            "%f %m %u\n",
        ])?;
        let addresses = self
            .namespace
            .run(&["ip", "-6", "-o", "address", "show", "dev", "lo"])?;
        let taps = self.namespace.run(&["ip", "tuntap", "list"])?;
        Ok(Seen {
            users: first_words(&passwd, ':')
                .filter(|name| name.starts_with("slapuser"))
                .collect(),
            directories: directories.lines().map(str::to_owned).collect(),
            addresses: addresses
                .split_whitespace()
                .filter(|word| word.starts_with("fd12:") && word.ends_with("/128"))
                .map(str::to_owned)
                .collect(),
            taps: first_words(&taps, ':')
                .filter(|name| name.starts_with("slaptap"))
                .collect(),
        })
    }

    /// Makes sure that all are there.
    pub fn are_all_there(&self) -> Result<Seen> {
        let seen = self.look()?;
        let wanted = usize::from(self.count);
        for (what, count) in [
            ("users", seen.users.len()),
            ("directories", seen.directories.len()),
            ("addresses", seen.addresses.len()),
            ("taps", seen.taps.len()),
        ] {
            ensure!(count == wanted, "{count} {what} instead of {wanted}");
        }
        Ok(seen)
    }

    /// Leaves in a partition what an instance would.
    pub fn put_something_into(&self, partition: &str) -> Result<()> {
        self.namespace
            .run(&["mkdir", "-p", &format!("/srv/slapgrid/{partition}/etc/run")])
            .map(drop)
    }

    /// The namespace they are in.
    pub fn namespace(&self) -> &Namespace {
        self.namespace
    }
}

/// Everything on this machine itself that has the name of something of a partition.
pub fn traces_on_this_machine() -> Result<BTreeSet<String>> {
    let read =
        |path: &str| std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
    let mut traces = BTreeSet::new();
    for path in [
        "/etc/passwd",
        "/etc/group",
        "/proc/net/dev",
        "/proc/net/if_inet6",
        "/proc/self/mountinfo",
    ] {
        let text = read(path)?;
        let ours = text.lines().filter(|line| line.contains("slap"));
        // The counters of an interface move by themselves.
        traces.extend(
            ours.map(|line| format!("{path}: {}", line.split(':').next().unwrap_or_default())),
        );
    }
    if std::path::Path::new("/srv/slapgrid").exists() {
        traces.insert("/srv/slapgrid".to_owned());
    }
    Ok(traces)
}

fn first_words(text: &str, separator: char) -> impl Iterator<Item = String> {
    text.lines()
        .filter_map(move |line| line.split(separator).next().map(str::to_owned))
}
