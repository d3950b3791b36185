//! Carries out the steps about a partition, each one complete in itself.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use ipnet::{Ipv4Net, Ipv6Net};
use slapbox_promises::words::Settings;

use crate::desired::{Fingerprint, Instance, PartitionName};
use crate::devices::{DeviceError, Devices};
use crate::firewall::{Firewall, FirewallError, Kin, WishError};
use crate::inside::{Inside, Ownership};
use crate::instances::answers::Asker;
use crate::instances::bridges::BridgeError;
use crate::instances::confinement::{
    CONFIGURATION_SLICE, CONNECTION, Place, Program, REQUESTS, Run, SHARED_CONNECTION, description,
    properties, slice, slice_properties,
};
use crate::instances::container::environment::environment;
use crate::instances::container::prepare::ContainerError;
use crate::instances::credentials::{self, Issuer};
use crate::instances::profile::{Origin, Surroundings, profile};
use crate::instances::programs::{self, ProgramsError};
use crate::instances::redirect::RedirectError;
use crate::instances::retention;
use crate::instances::units::UnitName;
use crate::instances::wishes::WishesError;
use crate::observe::{MAIN, ORDER, Programs, TIMESTAMP, programs_of, request_list};
use crate::observed::ProgramName;
use crate::partitions::homes::{self, HomeError};
use crate::partitions::users::Accounts;
use crate::plan::Step;
use crate::promises::Watches;
use crate::quotas::Quotas;
use crate::software::{INSTANTIATE, Makes, Release, shared};
use crate::systemd::{Property, Ran, Systemd, SystemdError, Value, property};
use crate::usage::{FarewellError, Outbox};
use crate::workload::Clock;

mod ask;
mod belongings;
mod bridge;
mod container;
mod leaving;
mod redirects;

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
    #[error("its bridge `{name}` cannot be opened")]
    Bridge {
        name: ProgramName,
        #[source]
        source: BridgeError,
    },
    #[error("failed to make a container of its image")]
    Container(#[source] ContainerError),
    #[error("its release has neither `instance.cfg` nor `template.cfg`")]
    NoTemplate,
    #[error("instantiation failed ({result}): {output}")]
    NotInstantiated { result: String, output: String },
    #[error("what it requests cannot be used")]
    Wishes(#[source] WishesError),
    #[error("its certificate cannot be had: {0}")]
    NotCertified(String),
    #[error("its own `{path}` failed ({result}): {output}")]
    NotRemoved {
        path: String,
        result: String,
        output: String,
    },
    #[error("failed to keep what it used, and nothing is removed")]
    Farewell(#[source] FarewellError),
    #[error("failed to remove its files")]
    Wipe(#[source] io::Error),
    #[error("what it may use of the disk cannot be set")]
    Quotas(#[source] io::Error),
    #[error(transparent)]
    Devices(DeviceError),
    #[error(transparent)]
    Redirect(RedirectError),
    #[error("the addresses of its tree cannot be had: {0}")]
    Kin(String),
    #[error(transparent)]
    Wish(WishError),
    #[error(transparent)]
    Firewall(FirewallError),
    #[error("its folders on other disks cannot be had")]
    Folders(#[source] HomeError),
    #[error("its folders on other disks cannot be emptied")]
    Empty(#[source] HomeError),
}

/// A partition and all that acting on it needs.
#[derive(Debug)]
pub struct Hands<'a> {
    pub systemd: &'a Systemd,
    pub place: &'a Place,
    pub instance: &'a Instance,
    pub release: Option<&'a Release>,
    pub origin: &'a Origin,
    /// Where other disks are mounted.
    pub homes: &'a [Utf8PathBuf],
    pub devices: &'a Devices,
    pub quotas: &'a Quotas,
    /// The network outside of which partitions have addresses.
    pub ipv4_network: Option<Ipv4Net>,
    pub firewall: &'a Firewall,
    /// Who knows the addresses of its tree.
    pub kin: &'a Kin,
    pub accounts: &'a Accounts,
    /// What all addresses of the node begin with, once it is known.
    pub prefix: Option<Ipv6Net>,
    /// The text of `.slapos-resource`.
    pub resource: Option<&'a str>,
    pub watches: &'a Watches,
    /// Who gives the partition its certificate, if its master knows it by one.
    pub issuer: Option<&'a Issuer>,
    pub asker: &'a Asker,
    pub clock: Clock,
    pub outbox: &'a Outbox,
}

const INSTANTIATE_WITHIN: Duration = Duration::from_secs(600);
/// Seconds that a promise may take.
const PROMISE_WITHIN: u64 = 20;
/// What checks promises, on the node and as the partition sees it.
const CHECKER_OF_NODE: &str = "/usr/bin/slapbox-promises";
const CHECKER: &str = "/run/slapbox-promises";
/// What is in a partition of the release that it has, as the peer has it.
const RELEASE: &str = "software_release";
/// What an instance does at its end may be the last copy of everything.
const FAREWELL_WITHIN: Duration = Duration::from_secs(24 * 3600);
const LONGEST_OUTPUT: usize = 1500;
const LONGEST_TEMPLATE: u64 = 1024 * 1024;

impl Hands<'_> {
    /// Carries out one step about this partition.
    pub async fn apply(&self, step: &Step) -> Result<(), ApplyError> {
        let partition = self.place.partition;
        match step {
            Step::Forget => self.forget(),
            Step::MakeSlice => {
                let properties = slice_properties(partition, &self.place.limits);
                self.start(&slice(partition), &properties).await
            }
            Step::Limit => self.limit().await,
            Step::Ask(subject) => self.ask(subject).await,
            Step::Instantiate(order) => self.instantiate(order).await,
            Step::Stop(program) => self.stop_program(program).await,
            Step::Start(program, fingerprint) => self.start_program(program, fingerprint).await,
            Step::TakeFolders => self.take_folders().await,
            Step::Ration => self.ration(self.place.limits.most.disk),
            Step::Redirect(name) => self.redirect(name).await,
            Step::EndRedirect(name) => self.end_redirect(name).await,
            Step::Guard => self.guard().await,
            Step::TakeDevices => self.take_devices(),
            Step::OpenBridge(name, as_what) => self.open_bridge(name, as_what).await,
            Step::CloseBridge(name) => self.close_bridge(name).await,
            Step::Certify => self.certify().await,
            Step::Retain => self.retain(),
            Step::TakeLeave => self.take_leave().await,
            Step::Watch(subject) => self.watch(subject),
            Step::Unwatch => {
                self.watches.pause(partition);
                Ok(())
            }
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

    fn forget(&self) -> Result<(), ApplyError> {
        let inside = self.inside()?;
        // The order goes, too: an attempt that fails is not over with it.
        let forgotten = inside.remove(ORDER).and_then(|()| inside.remove(TIMESTAMP));
        forgotten.map_err(ApplyError::Inside)
    }

    fn remember(&self, timestamp: &str) -> Result<(), ApplyError> {
        let inside = self.inside()?;
        let root = Ownership::of_root(0o644);
        inside
            .replace(TIMESTAMP, timestamp.as_bytes(), root)
            .and_then(|()| inside.sync())
            .map_err(ApplyError::Inside)?;
        Ok(())
    }

    async fn instantiate(&self, order: &Fingerprint) -> Result<(), ApplyError> {
        let release = self.release()?;
        let inside = self.inside()?;
        self.write_parameters(&inside).map_err(ApplyError::Inside)?;
        match &release.makes {
            // What cannot be said to it is known before it is started.
            Makes::Nothing => {
                // Of a former release; it would run as somebody who sees more than a container does.
                programs::clear(&inside).map_err(ApplyError::Programs)?;
                self.write_wishes(&inside)?;
                let told = environment(&self.instance.parameters).map(drop);
                told.map_err(|error| ApplyError::Container(ContainerError::Environment(error)))?;
            }
            Makes::Script => {
                programs::clear(&inside).map_err(ApplyError::Programs)?;
                for said in [CONNECTION, SHARED_CONNECTION, REQUESTS] {
                    inside.remove(said).map_err(ApplyError::Inside)?;
                }
                let command = vec![INSTANTIATE.to_owned()];
                self.configure(release, command, self.master()).await?;
                self.take_up_wishes(&inside)?;
            }
            Makes::Buildout(folder) => {
                // What it made before it takes away itself.
                self.write_profile(&inside, folder)?;
                let requests = request_list(self.place.partition);
                inside.remove(&requests).map_err(ApplyError::Inside)?;
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
        retention::note(&inside, self.instance.retention_days, self.place.ids)
            .map_err(ApplyError::Inside)?;
        let root = Ownership::of_root(0o644);
        inside
            .replace(ORDER, order.as_str().as_bytes(), root)
            .map_err(ApplyError::Inside)?;
        Ok(())
    }

    /// Runs what makes the instance, as the partition, in the slice that yields.
    async fn configure(
        &self,
        release: &Release,
        command: Vec<String>,
        environment: BTreeMap<&'static str, String>,
    ) -> Result<(), ApplyError> {
        let ran = self.run(release, command, environment, INSTANTIATE_WITHIN);
        let ran = ran.await?;
        if ran.result == "done" {
            return Ok(());
        }
        Err(ApplyError::NotInstantiated {
            result: ran.result,
            output: tail(&ran.output, LONGEST_OUTPUT),
        })
    }

    /// Runs something as the partition to its end, where what configures runs.
    async fn run(
        &self,
        release: &Release,
        command: Vec<String>,
        environment: BTreeMap<&'static str, String>,
        within: Duration,
    ) -> Result<Ran, ApplyError> {
        let program = Program {
            command,
            run: Run::Once(within),
            folder: None,
            environment,
        };
        let partition = self.place.partition;
        let unit = UnitName::Instantiate(partition).to_string();
        let mut all = properties(self.place, release, &program);
        all.push(property("Slice", CONFIGURATION_SLICE));
        all.extend(self.place.limits.of_one());
        all.push(property("Description", format!("Instantiate {partition}")));
        let ran = self.systemd.run(&unit, &all, within).await;
        ran.map_err(ApplyError::Systemd)
    }

    fn write_profile(&self, inside: &Inside, release: &Utf8Path) -> Result<(), ApplyError> {
        let template = template(release)?;
        let partition = self.place.partition;
        let credentials = self.credentials();
        let shared = release.parent().map(shared::folder).unwrap_or_default();
        let text = profile(
            &template,
            self.origin,
            partition,
            self.instance,
            credentials.as_ref(),
            &Surroundings {
                shared_parts: &shared,
                storage_home: homes::storage_home(self.homes),
                ipv4_network: self.ipv4_network,
            },
        );
        let readable = Ownership::readable_by(self.place.ids, 0o640);
        inside
            .replace("buildout.cfg", text.as_bytes(), readable)
            .and_then(|()| inside.link(RELEASE, release.as_str(), self.place.ids))
            .map_err(ApplyError::Inside)
    }

    /// What a script is told of the master, of which it may request more.
    fn master(&self) -> BTreeMap<&'static str, String> {
        let mut told = BTreeMap::from([
            ("SLAPOS_MASTER", self.origin.url.clone()),
            ("SLAPOS_COMPUTER", self.origin.computer.to_string()),
        ]);
        if let Some((certificate, key)) = self.credentials() {
            told.insert("SLAPOS_CERTIFICATE", certificate.into());
            told.insert("SLAPOS_KEY", key.into());
        }
        told
    }

    /// Where the partition finds its certificate and key, if it has some.
    fn credentials(&self) -> Option<(Utf8PathBuf, Utf8PathBuf)> {
        let folder = &self.place.directory;
        self.issuer.as_ref().map(|_| credentials::paths(folder))
    }

    async fn start_program(
        &self,
        name: &ProgramName,
        fingerprint: &Fingerprint,
    ) -> Result<(), ApplyError> {
        let release = self.release()?;
        let partition = self.place.partition;
        let programs = programs_of(&self.inside()?, release).map_err(ApplyError::Programs)?;
        let mut all = match programs {
            Programs::Command(_) => self.contain(release).await?,
            Programs::Files(mut files) => {
                let found = files.remove(name);
                let found = found.ok_or_else(|| ApplyError::ProgramGone(name.clone()))?;
                let program = Program {
                    command: vec![self.place.directory.join(&found.path).into_string()],
                    run: found.run,
                    folder: None,
                    environment: BTreeMap::new(),
                };
                properties(self.place, release, &program)
            }
        };
        all.push(property("Slice", slice(partition)));
        let description = description(partition, name.as_str(), fingerprint);
        all.push(property("Description", description));
        self.start(&self.program_unit(name), &all).await?;
        Ok(())
    }

    async fn certify(&self) -> Result<(), ApplyError> {
        let Some(issuer) = self.issuer else {
            return Ok(());
        };
        let issued = issuer.issue(self.place.partition).await;
        let issued = issued.map_err(ApplyError::NotCertified)?;
        credentials::store(&self.inside()?, self.place.ids, &issued).map_err(ApplyError::Inside)
    }

    fn retain(&self) -> Result<(), ApplyError> {
        let (inside, now) = (self.inside()?, (self.clock)());
        retention::begin(&inside, now, self.place.ids).map_err(ApplyError::Inside)
    }

    async fn stop_program(&self, program: &ProgramName) -> Result<(), ApplyError> {
        self.stop(&self.program_unit(program)).await?;
        if program.as_str() == MAIN {
            self.leave_container().await?;
        }
        Ok(())
    }

    /// Has what checks promises run in the partition, and tells it what is new to watch.
    fn watch(&self, subject: &Fingerprint) -> Result<(), ApplyError> {
        let release = self.release()?;
        let partition = self.place.partition;
        let (certificate, key) = self.credentials().unzip();
        let settings = Settings {
            folder: self.place.directory.clone(),
            partition: partition.to_string(),
            computer: self.origin.computer.to_string(),
            master: self.origin.url.clone(),
            certificate,
            key,
            python: release.python(),
            seconds: PROMISE_WITHIN,
        };
        let settings = serde_json::to_string(&settings).map_err(io::Error::other);
        let settings = settings.map_err(ApplyError::Inside)?;
        let program = Program {
            command: vec![CHECKER.to_owned(), settings],
            run: Run::Helper,
            folder: None,
            environment: BTreeMap::new(),
        };
        let mut all = properties(self.place, release, &program);
        let ours = (CHECKER_OF_NODE.to_owned(), CHECKER.to_owned(), false);
        all.push(property("BindReadOnlyPaths", Value::Binds(vec![ours])));
        all.push(property("Slice", slice(partition)));
        all.push(property("Description", format!("Promises of {partition}")));
        self.watches.begin(partition, subject.clone(), all);
        Ok(())
    }

    /// Stops the slice with all programs in it, and what runs for the partition elsewhere.
    async fn halt(&self, partition: PartitionName) -> Result<(), ApplyError> {
        self.watches.end(partition);
        let patterns = [
            UnitName::Instantiate(partition).to_string(),
            UnitName::Promises(partition).to_string(),
            format!("slapreport-{partition}-*.service"),
            format!("slapredirect-{partition}-*.*"),
        ];
        let patterns = patterns.each_ref().map(String::as_str);
        let others = self.systemd.list(&patterns).await;
        for unit in others.map_err(ApplyError::Systemd)? {
            self.stop(&unit.name).await?;
        }
        self.stop(&slice(partition)).await?;
        self.leave_container().await
    }

    async fn start(&self, unit: &str, properties: &[Property]) -> Result<(), ApplyError> {
        let started = self.systemd.start(unit, properties).await;
        started.map_err(ApplyError::Systemd)?;
        Ok(())
    }

    async fn stop(&self, unit: &str) -> Result<(), ApplyError> {
        self.systemd.stop(unit).await.map_err(ApplyError::Systemd)?;
        Ok(())
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
