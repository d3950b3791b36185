//! Has partitions say what they used: runs the programs in their `etc/report`, each with a file to write as its argument, confined as every
//! program of a partition.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use slap::ComputerId;

use super::collect::{Collected, FOLDER};
use super::journal::consumptions;
use super::outbox::{Consumed, Entry, Outbox, OutboxError, Told};
use crate::causes::in_one_line;
use crate::clock::unix_seconds;
use crate::inside::{Inside, Ownership};
use crate::instances::confinement::{CONFIGURATION_SLICE, Place, Program, Run, properties};
use crate::instances::programs::{self, ProgramsError, REPORT};
use crate::observed::ProgramName;
use crate::software::Release;
use crate::systemd::{Systemd, SystemdError, property};
use crate::workload::Clock;

/// A document is posted whole, and masters have limits.
pub(super) const LONGEST_DOCUMENT: usize = 1024 * 1024;
const WITHIN: Duration = Duration::from_secs(60);
const LONGEST_WORDS: usize = 300;
/// The master is told what a partition used before it is told that the partition is free, if it answers in this time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A partition that is to be emptied.
#[derive(Debug)]
pub struct Farewell<'a> {
    pub systemd: &'a Systemd,
    pub place: &'a Place,
    /// Its release, if it still can be used.
    pub release: Option<&'a Release>,
    pub computer: &'a ComputerId,
    pub outbox: &'a Outbox,
    pub clock: Clock,
}

/// A partition could not say for the last time what it used.
#[derive(Debug, thiserror::Error)]
pub enum FarewellError {
    #[error("failed to look into the partition")]
    Inside(#[source] io::Error),
    #[error("failed to stop its reports")]
    Systemd(#[source] SystemdError),
    #[error("failed to keep what it used")]
    Outbox(#[source] OutboxError),
}

/// Has a partition say for the last time what it used, before it is emptied. What it says is safe when this returns, and the master has it
/// unless it was away. Repeated after any failure it tells nothing twice.
///
/// What the partition says wrongly is lost with it, and only logged.
pub async fn collect_before_destroy(farewell: &Farewell<'_>) -> Result<(), FarewellError> {
    let Farewell {
        systemd,
        place,
        outbox,
        ..
    } = farewell;
    let partition = place.partition;
    let _turn = outbox.turn(partition).await;
    stop_all(systemd, place)
        .await
        .map_err(FarewellError::Systemd)?;
    let mut scripts = BTreeSet::new();
    if let Some(release) = farewell.release {
        let reporting = Reporting {
            systemd,
            place,
            release,
            outbox,
        };
        let ran = reporting.run_all("last").await;
        let ran = ran.map_err(FarewellError::Outbox)?;
        for words in &ran.failed {
            tracing::warn!(%partition, "{words}");
        }
        scripts = ran.scripts;
    }
    let inside = Inside::open(&place.directory).map_err(FarewellError::Inside)?;
    loop {
        let making = outbox.making().await;
        let on_their_way = outbox.on_their_way().map_err(FarewellError::Outbox)?;
        let mut collected = Collected::default();
        collected.take(partition, &inside, &on_their_way, LONGEST_DOCUMENT);
        for (_, words) in &collected.refused {
            tracing::warn!(%partition, "{words}");
        }
        if collected.movements.is_empty() {
            return Ok(());
        }
        let now = unix_seconds((farewell.clock)());
        let journal = consumptions(farewell.computer, now, collected.movements);
        // They are never asked again: what is to be emptied may have to be emptied twice.
        let consumes = collected.consumes.into_iter().chain(scripts.clone());
        let entry = Entry::new(journal.to_xml(), consumes.collect(), Told::default());
        let number = outbox.put(&entry).map_err(FarewellError::Outbox)?;
        drop(making);
        if !outbox.wait_for(number, PATIENCE).await {
            tracing::warn!(%partition, "the master has not taken yet what it used; it is kept");
        }
        if !collected.more {
            return Ok(());
        }
    }
}

/// Stops what an agent before us, or this one, left running.
async fn stop_all(systemd: &Systemd, place: &Place) -> Result<(), SystemdError> {
    let pattern = format!("slapreport-{}-*.service", place.partition);
    for unit in systemd.list(&[&pattern]).await? {
        systemd.stop(&unit.name).await?;
    }
    Ok(())
}

/// A partition that says what it used.
#[derive(Debug)]
pub(super) struct Reporting<'a> {
    pub(super) systemd: &'a Systemd,
    pub(super) place: &'a Place,
    pub(super) release: &'a Release,
    pub(super) outbox: &'a Outbox,
}

/// Programs by name, each with its path in the partition.
type Scripts = BTreeMap<ProgramName, String>;

/// What became of the programs.
#[derive(Debug, Default)]
pub(super) struct Ran {
    /// Those that ran.
    scripts: BTreeSet<Consumed>,
    /// What went wrong, in words.
    pub(super) failed: Vec<String>,
}

/// Why a program did not run to its end.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("failed to find the reports")]
    Find(#[source] ProgramsError),
    #[error("failed to make place for the report `{0}`")]
    Place(ProgramName, #[source] io::Error),
    #[error("failed to run the report `{0}`")]
    Run(ProgramName, #[source] SystemdError),
    #[error("the report `{name}` failed ({result}): {output}")]
    Failed {
        name: ProgramName,
        result: String,
        output: String,
    },
}

impl Reporting<'_> {
    /// Runs each program, unless what it said on this occasion is on its way already. One that fails does not stop the others.
    pub(super) async fn run_all(&self, occasion: &str) -> Result<Ran, OutboxError> {
        let mut ran = Ran::default();
        let (inside, scripts) = match self.scripts() {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(ran),
            Err(error) => {
                ran.failed.push(in_one_line(&error));
                return Ok(ran);
            }
        };
        let on_their_way = self.outbox.on_their_way()?;
        for (name, path) in scripts {
            let output = format!("{FOLDER}/slapreport.{occasion}.{name}");
            let (script, said) = (
                self.consumed(&inside, &path),
                self.consumed(&inside, &output),
            );
            if [&script, &said]
                .into_iter()
                .flatten()
                .any(|file| on_their_way.contains(file))
            {
                continue;
            }
            if let Err(error) = self.run(&inside, &name, &path, &output).await {
                ran.failed.push(in_one_line(&error));
            }
            ran.scripts.extend(script);
        }
        Ok(ran)
    }

    fn scripts(&self) -> Result<Option<(Inside, Scripts)>, RunError> {
        let find = |source| RunError::Find(ProgramsError::Read(REPORT, source));
        let inside = Inside::open_if_there(&self.place.directory).map_err(find)?;
        inside
            .map(|inside| {
                let scripts = programs::reports(&inside).map_err(RunError::Find)?;
                Ok((inside, scripts))
            })
            .transpose()
    }

    fn consumed(&self, inside: &Inside, path: &str) -> Option<Consumed> {
        let mark = inside.mark(path).ok().flatten()?;
        Some(Consumed {
            partition: self.place.partition,
            path: path.to_owned(),
            mark,
        })
    }

    async fn run(
        &self,
        inside: &Inside,
        name: &ProgramName,
        path: &str,
        output: &str,
    ) -> Result<(), RunError> {
        self.make_place(inside, output)
            .map_err(|source| RunError::Place(name.clone(), source))?;
        let Place {
            partition,
            directory,
            ..
        } = self.place;
        let command = [path, output].map(|path| directory.join(path).into_string());
        let program = Program {
            command: command.into(),
            run: Run::Once(WITHIN),
            folder: Some(directory.join(REPORT).into_string()),
            environment: BTreeMap::new(),
        };
        let mut all = properties(self.place, self.release, &program);
        all.push(property("Slice", CONFIGURATION_SLICE));
        let description = format!("Report {name} of {partition}");
        all.push(property("Description", description));
        // No pass looks at these units: they disturb nothing, and stopped instances have them, too.
        let unit = format!("slapreport-{partition}-{name}.service");
        let ran = self.systemd.run(&unit, &all, WITHIN).await;
        let ran = ran.map_err(|source| RunError::Run(name.clone(), source))?;
        if ran.result == "done" {
            return Ok(());
        }
        let start = ran.output.len().saturating_sub(LONGEST_WORDS);
        let start = ran.output.ceil_char_boundary(start);
        Err(RunError::Failed {
            name: name.clone(),
            result: ran.result,
            output: ran.output[start..].to_owned(),
        })
    }

    /// Makes the folder to write into. What an attempt before wrote is written anew.
    fn make_place(&self, inside: &Inside, output: &str) -> io::Result<()> {
        let own = Ownership::of_partition(self.place.ids, 0o750);
        inside.folder("var", own)?;
        inside.folder(FOLDER, own)?;
        inside.remove(output)
    }
}
