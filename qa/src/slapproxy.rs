//! The original's own small master, slapproxy, on the loopback of a cell, and the original's command that asks it for things.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use crate::cell::Cell;
use crate::child::Child;
use crate::eventually::{eventually, minutes, seconds};
use crate::files::put;
use crate::story::act;

/// What Python is told to run the original's command.
const SLAPOS: [&str; 4] = [
    "-W",
    "ignore",
    "-c",
    "from slapos.cli.entry import main; main()",
];
/// What Python is told to start slapproxy; its configuration follows.
pub(crate) const START: [&str; 7] = [
    SLAPOS[0], SLAPOS[1], SLAPOS[2], SLAPOS[3], "proxy", "start", "--cfg",
];
/// What Python is told to take a release out of its database.
const FORGET: &str = "
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as database:
    (table,), = database.execute(\"SELECT name FROM sqlite_master WHERE name LIKE 'software%'\")
    assert database.execute('DELETE FROM %s WHERE url = ?' % table, sys.argv[2:]).rowcount == 1
";
/// Where it answers, in the network of its cell.
pub const ADDRESS: &str = "127.0.0.1:5000";
/// What it calls the one computer.
pub const COMPUTER: &str = "local_computer";

/// A box's document for this master, with more lines at its beginning.
pub fn document(partitions: u16, more: &str) -> String {
    format!(
        "role = \"slap\"\npartitions = {partitions}\n{more}\n[slap]\nurl = \"http://{ADDRESS}\"\ncomputer = \"{COMPUTER}\"\n\
         prefix = \"fd12:3456:789a:1::/64\"\n"
    )
}

/// Writes the configuration of a slapproxy with an empty database in `folder`, and of whoever calls it.
pub(crate) fn configure(
    folder: &Utf8Path,
    address: SocketAddr,
    computer: &str,
) -> Result<Utf8PathBuf> {
    let configuration = folder.join("slapproxy.cfg");
    put(
        &configuration,
        format!(
            "[slapos]\ncomputer_id = {computer}\nmaster_url = http://{address}/\n\
             [slapproxy]\nhost = {}\nport = {}\ndatabase_uri = {folder}/slapproxy.db\n[slapconsole]\n",
            address.ip(),
            address.port()
        ),
    )?;
    Ok(configuration)
}

/// Starts the program beside a box; what it says lies beside its configuration.
fn serve(cell: &Cell, python: &Utf8Path, configuration: &Utf8Path) -> Result<Child> {
    let mut start = cell.namespace().command_beside(python.as_str())?;
    start.args(START).arg(configuration);
    Child::start("slapproxy", &start, &configuration.with_extension("log"))
}

/// A slapproxy that runs until it is dropped.
#[derive(Debug)]
pub struct Slapproxy<'a> {
    cell: &'a Cell,
    python: Utf8PathBuf,
    configuration: Utf8PathBuf,
    child: Child,
    /// How many of its calls were looked at.
    seen: usize,
}

impl<'a> Slapproxy<'a> {
    /// Starts one beside a box, with an empty database in `folder`.
    pub async fn start(cell: &'a Cell, python: &Utf8Path, folder: &Utf8Path) -> Result<Self> {
        act("start slapproxy");
        let address = ADDRESS.parse().context("a constant that is an address")?;
        let configuration = configure(folder, address, COMPUTER)?;
        let child = serve(cell, python, &configuration)?;
        let mut proxy = Self {
            cell,
            python: python.to_owned(),
            configuration,
            child,
            seen: 0,
        };
        proxy.answers().await?;
        Ok(proxy)
    }

    async fn answers(&mut self) -> Result<()> {
        eventually("slapproxy answers", async || {
            self.child.must_live()?;
            ensure!(self.child.said().contains("Running on"), "not yet");
            Ok(())
        })
        .within(seconds(60))
        .await
    }

    /// Is away while something happens, and then is back with all that it knows.
    pub async fn is_away_while(
        &mut self,
        something: impl AsyncFnOnce() -> Result<()>,
    ) -> Result<()> {
        act("stop slapproxy");
        self.child.kill();
        something().await?;
        act("start slapproxy again");
        self.child = serve(self.cell, &self.python, &self.configuration)?;
        self.seen = 0;
        self.answers().await
    }

    /// Loses what it knew of a release, as a master does that is made of an older backup.
    pub async fn forgets(&mut self, release: &str) -> Result<()> {
        let database = self.configuration.with_extension("db");
        let python = self.python.clone();
        self.is_away_while(async || {
            let forgotten = Command::new(&python)
                .args(["-c", FORGET, database.as_str(), release])
                .output()
                .context("cannot run Python")?;
            let why = String::from_utf8_lossy(&forgotten.stderr);
            ensure!(
                forgotten.status.success(),
                "{release} is not forgotten: {why}"
            );
            Ok(())
        })
        .await
    }

    /// Runs `slapos …` as somebody who wants something of it; says what it said.
    pub fn slapos(&self, words: &[&str]) -> Result<String> {
        let mut command: Command = self.cell.namespace().command_beside(self.python.as_str())?;
        command.args(SLAPOS).args(words);
        command.arg("--cfg").arg(&self.configuration);
        let ended = command.output().context("cannot run slapos")?;
        let said = [ended.stdout, ended.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        ensure!(
            ended.status.success(),
            "slapos {} failed: {said}",
            words.join(" ")
        );
        Ok(said)
    }

    /// Waits until a node has said the last of these, and holds that it has said them all, in this order and nothing else, since
    /// it was asked last. What it asks is not counted.
    pub async fn hears(&mut self, wanted: &[&str]) -> Result<()> {
        let last = wanted.last().context("something is to be heard")?;
        eventually(format!("slapproxy hears {last}"), async || {
            self.child.must_live()?;
            let heard = self.reports();
            let new = &heard[self.seen.min(heard.len())..];
            ensure!(
                new.iter().any(|call| call == last),
                "it has heard {}",
                new.join(", ")
            );
            Ok(())
        })
        .within(minutes(5))
        .await?;
        let heard = self.reports();
        let new = &heard[self.seen..];
        ensure!(new == wanted, "it has heard {}", new.join(", "));
        self.seen = heard.len();
        Ok(())
    }

    /// As [`Slapproxy::hears`], in whatever order.
    pub async fn hears_in_any_order(&mut self, wanted: &[&str]) -> Result<()> {
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        eventually(
            format!("slapproxy hears {}", wanted.join(", ")),
            async || {
                self.child.must_live()?;
                let mut heard = self.reports().split_off(self.seen);
                heard.sort_unstable();
                ensure!(heard == wanted, "it has heard {}", heard.join(", "));
                Ok(())
            },
        )
        .within(minutes(2))
        .await?;
        self.seen += wanted.len();
        Ok(())
    }

    /// Every report of a node that was taken.
    fn reports(&self) -> Vec<String> {
        const OF_PEOPLE: [&str; 2] = ["requestComputerPartition", "supplySupply"];
        let said = self.child.said();
        let posts = said.lines().filter(|line| line.ends_with(" 200 -"));
        let paths = posts.filter_map(|line| {
            let (_, call) = line.split_once("POST /")?;
            call.split_whitespace().next()
        });
        paths
            .filter(|path| !OF_PEOPLE.contains(path))
            .map(str::to_owned)
            .collect()
    }
}
