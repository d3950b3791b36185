//! Carries out the steps about a partition, each one complete in itself.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use camino::Utf8Path;
use tokio::time::Instant;

use crate::desired::{Fingerprint, Instance, PartitionName};
use crate::inside::{Inside, Ownership};
use crate::instances::confinement::{
    CONFIGURATION_SLICE, CONNECTION, PARAMETERS, Place, Program, Run, description, properties,
    slice, slice_properties,
};
use crate::instances::profile::{Origin, profile};
use crate::instances::programs::{self, ProgramsError};
use crate::instances::promises::{LONGEST_MESSAGE, Status, TIMEOUT};
use crate::instances::units::UnitName;
use crate::observe::{ORDER, Programs, TIMESTAMP, programs_of};
use crate::observed::ProgramName;
use crate::partitions::directories::put_resource;
use crate::plan::Step;
use crate::software::{INSTANTIATE, Makes, Release};
use crate::systemd::{Property, Systemd, SystemdError, property};
use crate::workload::Clock;

/// A step failed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("failed to write in the partition")]
    Inside(#[source] io::Error),
    #[error("failed to find its programs")]
    Programs(#[source] ProgramsError),
    #[error("`{0}` is gone")]
    ProgramGone(ProgramName),
    #[error("its software release is gone")]
    NoRelease,
    #[error(transparent)]
    Systemd(SystemdError),
    #[error("failed to read the profile of its release")]
    Template(#[source] io::Error),
    #[error("its release has neither `instance.cfg` nor `template.cfg`")]
    NoTemplate,
    #[error("instantiation failed ({result}): {output}")]
    NotInstantiated { result: String, output: String },
    #[error("failed to remove its files")]
    Wipe(#[source] io::Error),
}

/// What a step changed that must be remembered.
#[derive(Debug, PartialEq, Eq)]
pub enum Done {
    Nothing,
    /// Programs were started, or configured anew.
    Started,
    /// The promises were looked at.
    Checked(Result<(), String>),
}

/// A partition and all that acting on it needs.
#[derive(Debug)]
pub struct Hands<'a> {
    pub systemd: &'a Systemd,
    pub place: &'a Place,
    pub instance: &'a Instance,
    pub release: Option<&'a Release>,
    pub origin: &'a Origin,
    /// The text of `.slapos-resource`.
    pub resource: Option<&'a str>,
    pub clock: Clock,
}

const INSTANTIATE_WITHIN: Duration = Duration::from_secs(600);
const LONGEST_OUTPUT: usize = 1500;
const LONGEST_TEMPLATE: u64 = 1024 * 1024;

impl Hands<'_> {
    /// Carries out one step about this partition.
    pub async fn apply(&self, step: &Step) -> Result<Done, ApplyError> {
        let partition = self.place.partition;
        match step {
            Step::Forget => self.forget(),
            Step::MakeSlice => {
                let properties = slice_properties(partition);
                self.start(&slice(partition), &properties).await
            }
            Step::Instantiate(order) => self.instantiate(order).await,
            Step::Stop(program) => self.stop(&self.program_unit(program)).await,
            Step::Start(program, fingerprint) => self.start_program(program, fingerprint).await,
            Step::Check => self.check().await,
            Step::Remember(timestamp) => self.remember(timestamp),
            Step::Halt => self.halt(partition).await,
            Step::Wipe => self.wipe().await,
        }
    }

    fn inside(&self) -> Result<Inside, ApplyError> {
        Inside::open(&self.place.directory).map_err(ApplyError::Inside)
    }

    fn release(&self) -> Result<&Release, ApplyError> {
        self.release.ok_or(ApplyError::NoRelease)
    }

    fn forget(&self) -> Result<Done, ApplyError> {
        let inside = self.inside()?;
        inside.remove(TIMESTAMP).map_err(ApplyError::Inside)?;
        Ok(Done::Nothing)
    }

    fn remember(&self, timestamp: &str) -> Result<Done, ApplyError> {
        let inside = self.inside()?;
        let root = Ownership::of_root(0o644);
        inside
            .replace(TIMESTAMP, timestamp.as_bytes(), root)
            .and_then(|()| inside.sync())
            .map_err(ApplyError::Inside)?;
        Ok(Done::Nothing)
    }

    async fn instantiate(&self, order: &Fingerprint) -> Result<Done, ApplyError> {
        let release = self.release()?;
        let inside = self.inside()?;
        self.write_parameters(&inside).map_err(ApplyError::Inside)?;
        match &release.makes {
            Makes::Nothing => {}
            Makes::Script => {
                programs::clear(&inside).map_err(ApplyError::Programs)?;
                inside.remove(CONNECTION).map_err(ApplyError::Inside)?;
                let command = vec![INSTANTIATE.to_owned()];
                self.configure(release, command, BTreeMap::new()).await?;
            }
            Makes::Buildout(folder) => {
                // What it made before it takes away itself.
                self.write_profile(&inside, folder)?;
                let command = vec![folder.join("bin/buildout").into(), "-U".into()];
                let instances = self.place.directory.parent();
                let instances = instances.map_or(String::new(), ToString::to_string);
                let told = [
                    ("PYTHONNOUSERSITE", "true".to_owned()),
                    // Has the original's library note what is requested.
                    ("SLAPGRID_INSTANCE_ROOT", instances),
                ];
                self.configure(release, command, told.into()).await?;
            }
        }
        let root = Ownership::of_root(0o644);
        inside
            .replace(ORDER, order.as_str().as_bytes(), root)
            .map_err(ApplyError::Inside)?;
        Ok(Done::Started)
    }

    /// Runs what makes the instance, as the partition, in the slice that yields.
    async fn configure(
        &self,
        release: &Release,
        command: Vec<String>,
        environment: BTreeMap<&'static str, String>,
    ) -> Result<(), ApplyError> {
        let program = Program {
            command,
            run: Run::Once(INSTANTIATE_WITHIN),
            folder: None,
            environment,
        };
        let partition = self.place.partition;
        let unit = UnitName::Instantiate(partition).to_string();
        let mut all = properties(self.place, release, &program);
        all.push(property("Slice", CONFIGURATION_SLICE));
        all.push(property("Description", format!("Instantiate {partition}")));
        let ran = self.systemd.run(&unit, &all, INSTANTIATE_WITHIN).await;
        let ran = ran.map_err(ApplyError::Systemd)?;
        if ran.result == "done" {
            return Ok(());
        }
        Err(ApplyError::NotInstantiated {
            result: ran.result,
            output: tail(&ran.output, LONGEST_OUTPUT),
        })
    }

    fn write_profile(&self, inside: &Inside, release: &Utf8Path) -> Result<(), ApplyError> {
        let template = template(release)?;
        let partition = self.place.partition;
        let text = profile(&template, self.origin, partition, self.instance);
        let readable = Ownership::readable_by(self.place.ids, 0o640);
        inside
            .replace("buildout.cfg", text.as_bytes(), readable)
            .map_err(ApplyError::Inside)
    }

    fn write_parameters(&self, inside: &Inside) -> io::Result<()> {
        let own = Ownership::of_partition(self.place.ids, 0o750);
        inside.folder(".slapgrid", own)?;
        let document = self.instance.document(self.place.partition);
        let readable = Ownership::readable_by(self.place.ids, 0o640);
        inside.replace(PARAMETERS, document.as_bytes(), readable)
    }

    async fn start_program(
        &self,
        name: &ProgramName,
        fingerprint: &Fingerprint,
    ) -> Result<Done, ApplyError> {
        let release = self.release()?;
        let programs = programs_of(&self.inside()?, release).map_err(ApplyError::Programs)?;
        let program = match programs {
            Programs::Command(command) => Program {
                command,
                run: Run::Service,
                folder: release.runs.folder(),
                environment: BTreeMap::new(),
            },
            Programs::Files(mut files) => {
                let found = files.remove(name);
                let found = found.ok_or_else(|| ApplyError::ProgramGone(name.clone()))?;
                Program {
                    command: vec![self.place.directory.join(&found.path).into_string()],
                    run: found.run,
                    folder: None,
                    environment: BTreeMap::new(),
                }
            }
        };
        let partition = self.place.partition;
        let mut all = properties(self.place, release, &program);
        all.push(property("Slice", slice(partition)));
        let description = description(partition, name.as_str(), fingerprint);
        all.push(property("Description", description));
        self.start(&self.program_unit(name), &all).await?;
        Ok(Done::Started)
    }

    /// Looks at all promises; the first that is not kept says why.
    async fn check(&self) -> Result<Done, ApplyError> {
        let release = self.release()?;
        let inside = self.inside()?;
        let mut result = self.programs_stay_up().await?;
        let promises = programs::promises(&inside).map_err(ApplyError::Programs)?;
        for (name, path) in promises {
            let kept = self.check_one(&inside, release, &name, &path).await?;
            result = result.and(kept);
        }
        Ok(Done::Checked(result))
    }

    /// That programs do not fail again and again is a promise that nobody needs to write.
    async fn programs_stay_up(&self) -> Result<Result<(), String>, ApplyError> {
        let pattern = format!("{}-*.service", self.place.partition);
        let units = self.systemd.list(&[&pattern]).await;
        let units = units.map_err(ApplyError::Systemd)?;
        let restarting = units
            .iter()
            .find(|unit| unit.sub_state.starts_with("auto-restart"));
        Ok(
            match restarting.and_then(|unit| UnitName::parse(&unit.name)) {
                Some(UnitName::Program(_, program)) => {
                    Err(format!("`{program}` ends again and again, see its journal"))
                }
                _ => Ok(()),
            },
        )
    }

    async fn check_one(
        &self,
        inside: &Inside,
        release: &Release,
        name: &ProgramName,
        path: &str,
    ) -> Result<Result<(), String>, ApplyError> {
        let partition = self.place.partition;
        let program = Program {
            command: vec![self.place.directory.join(path).into_string()],
            run: Run::Once(TIMEOUT),
            folder: None,
            environment: BTreeMap::new(),
        };
        let mut all = properties(self.place, release, &program);
        all.push(property("Slice", slice(partition)));
        all.push(property(
            "Description",
            format!("Promise {name} of {partition}"),
        ));
        let unit = UnitName::Promise(partition, name.clone()).to_string();
        let begin = Instant::now();
        let ran = self.systemd.run(&unit, &all, TIMEOUT).await;
        let ran = ran.map_err(ApplyError::Systemd)?;
        let mut message = tail(&ran.output, LONGEST_MESSAGE);
        if ran.result == "timeout" {
            message = format!(
                "Error: Promise timed out after {} seconds",
                TIMEOUT.as_secs()
            );
        }
        let result = match ran.result.as_str() {
            "done" => Ok(message.as_str()),
            _ => Err(message.as_str()),
        };
        let now = (self.clock)();
        let status = Status::new(name.as_str(), path, begin.elapsed(), now, result);
        self.write_status(inside, name, &status)
            .map_err(ApplyError::Inside)?;
        Ok(match result {
            Ok(_) => Ok(()),
            Err(message) => Err(format!("promise `{name}` failed with output: {message}")),
        })
    }

    fn write_status(
        &self,
        inside: &Inside,
        name: &ProgramName,
        status: &Status<'_>,
    ) -> io::Result<()> {
        let own = Ownership::of_partition(self.place.ids, 0o750);
        for folder in [".slapgrid", ".slapgrid/promise", ".slapgrid/promise/result"] {
            inside.folder(folder, own)?;
        }
        let path = format!(".slapgrid/promise/result/{name}.status.json");
        let readable = Ownership::readable_by(self.place.ids, 0o640);
        inside.replace(&path, &serde_json::to_vec(status)?, readable)
    }

    /// Stops the slice with all programs in it, and what runs for the partition elsewhere.
    async fn halt(&self, partition: PartitionName) -> Result<Done, ApplyError> {
        let patterns = [
            UnitName::Instantiate(partition).to_string(),
            format!("slappromise-{partition}-*.service"),
        ];
        let patterns = patterns.each_ref().map(String::as_str);
        let others = self.systemd.list(&patterns).await;
        for unit in others.map_err(ApplyError::Systemd)? {
            self.stop(&unit.name).await?;
        }
        self.stop(&slice(partition)).await
    }

    async fn wipe(&self) -> Result<Done, ApplyError> {
        let inside = self.inside()?;
        let resource = self.resource.map(str::to_owned);
        let wipe = move || {
            inside.wipe()?;
            if let Some(resource) = resource {
                put_resource(&inside, &resource)?;
            }
            inside.sync()
        };
        let wiped = tokio::task::spawn_blocking(wipe).await;
        let wiped = wiped.unwrap_or_else(|error| Err(io::Error::other(error)));
        wiped.map_err(ApplyError::Wipe)?;
        Ok(Done::Nothing)
    }

    async fn start(&self, unit: &str, properties: &[Property]) -> Result<Done, ApplyError> {
        let started = self.systemd.start(unit, properties).await;
        started.map_err(ApplyError::Systemd)?;
        Ok(Done::Nothing)
    }

    async fn stop(&self, unit: &str) -> Result<Done, ApplyError> {
        self.systemd.stop(unit).await.map_err(ApplyError::Systemd)?;
        Ok(Done::Nothing)
    }

    fn program_unit(&self, program: &ProgramName) -> String {
        UnitName::Program(self.place.partition, program.clone()).to_string()
    }
}

/// Reads what a release makes instances from. Its folder is the software user's, who is not believed more than a partition.
fn template(release: &Utf8Path) -> Result<String, ApplyError> {
    let inside = Inside::open(release).map_err(ApplyError::Template)?;
    for name in ["instance.cfg", "template.cfg"] {
        let found = inside.read(name, LONGEST_TEMPLATE);
        if let Some(text) = found.map_err(ApplyError::Template)? {
            let text = String::from_utf8(text).map_err(io::Error::other);
            return text.map_err(ApplyError::Template);
        }
    }
    Err(ApplyError::NoTemplate)
}

/// Returns the end of a text, where the cause of a failure mostly is.
fn tail(text: &str, longest: usize) -> String {
    let start = text.ceil_char_boundary(text.len().saturating_sub(longest));
    text[start..].to_owned()
}
