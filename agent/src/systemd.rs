//! What we ask of systemd, over D-Bus: units made from properties, their jobs awaited, their changes noticed.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::OFlag;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::OnceCell;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use zbus::{Connection, OwnedVariant, Variant};
use zbus_systemd::systemd1::ManagerProxy;

mod ended;
mod events;
mod output;
mod property;
mod traffic;

pub use property::{Property, Value, property};

use events::{Ear, Event};
use output::Output;

/// systemd did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SystemdError {
    #[error("failed to reach systemd")]
    Reach(#[source] zbus::Error),
    #[error("failed to list units")]
    List(#[source] zbus::Error),
    #[error("failed to start `{unit}`")]
    Start {
        unit: String,
        #[source]
        source: zbus::Error,
    },
    #[error("failed to stop `{unit}`")]
    Stop {
        unit: String,
        #[source]
        source: zbus::Error,
    },
    #[error("failed to change `{unit}`")]
    Set {
        unit: String,
        #[source]
        source: zbus::Error,
    },
    #[error("the start of `{unit}` ended as `{result}`")]
    NotStarted { unit: String, result: String },
    #[error("the stop of `{unit}` ended as `{result}`")]
    NotStopped { unit: String, result: String },
    #[error("systemd said nothing of `{unit}` for {} s", .waited.as_secs())]
    Silent { unit: String, waited: Duration },
    #[error("systemd's connection ended")]
    Ended,
    #[error("failed to make a pipe for the output of `{unit}`")]
    Pipe {
        unit: String,
        #[source]
        source: std::io::Error,
    },
}

/// A unit that systemd has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedUnit {
    pub name: String,
    pub description: String,
    /// `active`, `inactive`, `failed`, `activating` …
    pub active_state: String,
    /// `running`, `auto-restart` …
    pub sub_state: String,
}

/// What a program that ran to its end left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// `done`, or how it failed, in words.
    pub result: String,
    /// What it wrote; of very much, the beginning and the end.
    pub output: String,
}

/// The service manager of the node.
#[derive(Clone, Debug)]
pub struct Systemd {
    connection: Connection,
    ear: Arc<OnceCell<Ear>>,
}

/// How long a job may take besides what the unit itself may.
const JOB_TIMEOUT: Duration = Duration::from_secs(120);
/// How long output may come after the end, from processes that are being killed.
const LATE_OUTPUT: Duration = Duration::from_secs(2);

impl Systemd {
    /// Speaks to the service manager over `connection` (the system bus).
    pub fn new(connection: Connection) -> Self {
        Self {
            connection,
            ear: Arc::default(),
        }
    }

    /// Returns the connection, for other interfaces of the manager.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns the units that match one of the patterns.
    pub async fn list(&self, patterns: &[&str]) -> Result<Vec<ListedUnit>, SystemdError> {
        let patterns = patterns.iter().map(|pattern| (*pattern).to_owned());
        let manager = self.manager().await?;
        let units = manager
            .list_units_by_patterns(Vec::new(), patterns.collect())
            .await
            .map_err(SystemdError::List)?;
        let units = units.into_iter();
        Ok(units
            .map(|unit| ListedUnit {
                name: unit.0,
                description: unit.1,
                active_state: unit.3,
                sub_state: unit.4,
            })
            .collect())
    }

    /// Makes a unit and waits until it is started.
    pub async fn start(&self, unit: &str, properties: &[Property]) -> Result<(), SystemdError> {
        let properties = variants(properties);
        let result = self.start_unit(unit, properties, Duration::ZERO).await?;
        started(unit, result)
    }

    /// Makes a socket with the service that the first connection starts, and waits until it listens.
    pub async fn start_socket(
        &self,
        unit: &str,
        properties: &[Property],
        service: (&str, &[Property]),
    ) -> Result<(), SystemdError> {
        let properties = variants(properties);
        let beside = vec![(service.0.to_owned(), variants(service.1))];
        let result = self.start_units(unit, properties, beside, Duration::ZERO);
        started(unit, result.await?)
    }

    /// Makes a unit that runs to its end, which its properties make come `within` that time, and returns what it wrote. One
    /// that an agent before us left running is stopped first.
    pub async fn run(
        &self,
        unit: &str,
        properties: &[Property],
        within: Duration,
    ) -> Result<Ran, SystemdError> {
        self.stop(unit).await?;
        self.forget(unit).await?;
        let pipe_error = |source| SystemdError::Pipe {
            unit: unit.to_owned(),
            source,
        };
        let (read, write) =
            nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|errno| pipe_error(errno.into()))?;
        let mut properties = variants(properties);
        // If it fails it stays, so that systemd can be asked why.
        properties.extend(variants(&[property("CollectMode", "inactive")]));
        for name in [
            "StandardOutputFileDescriptor",
            "StandardErrorFileDescriptor",
        ] {
            let end = write.try_clone().map_err(pipe_error)?;
            properties.push((name.to_owned(), descriptor(end)));
        }
        drop(write);
        let mut output = Output::default();
        let read = nonblocking(read).map_err(pipe_error)?;
        let result = {
            let reading = read_all(read, &mut output);
            tokio::pin!(reading);
            let starting = self.start_unit(unit, properties, within);
            tokio::pin!(starting);
            tokio::select! {
                result = &mut starting => {
                    let _ = tokio::time::timeout(LATE_OUTPUT, reading).await;
                    result?
                }
                () = &mut reading => starting.await?,
            }
        };
        let why = match result.as_str() {
            "done" => None,
            _ => self.why(unit).await?,
        };
        Ok(Ran {
            result: why.unwrap_or(result),
            output: output.text(),
        })
    }

    /// Makes a unit whose program is spoken with: what we say is its standard input, what it says its standard output. It hears the
    /// end of its input when we are gone.
    pub async fn converse(
        &self,
        unit: &str,
        properties: &[Property],
    ) -> Result<UnixStream, SystemdError> {
        self.stop(unit).await?;
        let pipe_error = |source| SystemdError::Pipe {
            unit: unit.to_owned(),
            source,
        };
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(pipe_error)?;
        let mut properties = variants(properties);
        for name in [
            "StandardInputFileDescriptor",
            "StandardOutputFileDescriptor",
        ] {
            let end = theirs.try_clone().map_err(pipe_error)?;
            properties.push((name.to_owned(), descriptor(end.into())));
        }
        // It would be the standard output, and no word of ours.
        properties.extend(variants(&[property("StandardError", "journal")]));
        drop(theirs);
        ours.set_nonblocking(true).map_err(pipe_error)?;
        let ours = UnixStream::from_std(ours).map_err(pipe_error)?;
        match self
            .start_unit(unit, properties, Duration::ZERO)
            .await?
            .as_str()
        {
            "done" => Ok(ours),
            result => Err(SystemdError::NotStarted {
                unit: unit.to_owned(),
                result: result.to_owned(),
            }),
        }
    }

    /// Changes properties of a unit that lives, until it is gone.
    pub async fn set(&self, unit: &str, properties: &[Property]) -> Result<(), SystemdError> {
        let manager = self.manager().await?;
        let properties = variants(properties);
        let set = manager.set_unit_properties(unit.to_owned(), true, properties);
        set.await.map_err(|source| SystemdError::Set {
            unit: unit.to_owned(),
            source,
        })
    }

    /// Returns how often systemd has started a service again by itself since it was made; nothing if it is gone.
    pub async fn restarts(&self, unit: &str) -> Result<Option<u32>, SystemdError> {
        let Some(service) = self.service(unit).await? else {
            return Ok(None);
        };
        let restarts = service.n_restarts().await;
        Ok(Some(restarts.map_err(SystemdError::List)?))
    }

    /// Stops a unit with everything in it; one that is not there is stopped already.
    pub async fn stop(&self, unit: &str) -> Result<(), SystemdError> {
        let stop_error = |source| SystemdError::Stop {
            unit: unit.to_owned(),
            source,
        };
        let manager = self.manager().await?;
        let mut events = self.events().await?;
        let job = match manager
            .stop_unit(unit.to_owned(), "replace".to_owned())
            .await
        {
            Err(error) if is_no_such_unit(&error) => return Ok(()),
            job => job.map_err(stop_error)?,
        };
        let result = wait(&mut events, unit, job.as_str(), Duration::ZERO).await?;
        match result.as_str() {
            "done" => self.forget(unit).await,
            _ => Err(SystemdError::NotStopped {
                unit: unit.to_owned(),
                result,
            }),
        }
    }

    /// Kills every process of a unit, and of the units below if it is a slice.
    pub async fn kill(&self, unit: &str) -> Result<(), SystemdError> {
        let manager = self.manager().await?;
        let killed = manager
            .kill_unit(unit.to_owned(), "all".to_owned(), libc::SIGKILL)
            .await;
        match killed {
            Err(error) if is_no_such_unit(&error) => Ok(()),
            killed => killed.map_err(|source| SystemdError::Stop {
                unit: unit.to_owned(),
                source,
            }),
        }
    }

    /// Notices whenever a unit of a partition comes, goes or ends a job; returns when the connection does.
    pub async fn watch_units<Noticed: Future<Output = ()>>(
        &self,
        notice: impl Fn(String) -> Noticed,
    ) -> Result<(), SystemdError> {
        let manager = self.manager().await?;
        // Without this systemd sends no signal at all.
        manager.subscribe().await.map_err(SystemdError::Reach)?;
        let mut events = self.events().await?;
        loop {
            let unit = match events.recv().await {
                Ok(Event::Job { unit, .. } | Event::Gone { unit }) => unit,
                // What was missed is seen in the pass that the next one causes.
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return Err(SystemdError::Ended),
            };
            // What makes instances and checks promises is waited for by whoever runs it.
            let kinds = ["slappart", "slapredirect-", "slapbridge-"];
            if kinds.iter().any(|kind| unit.starts_with(kind)) {
                notice(unit).await;
            }
        }
    }

    async fn start_unit(
        &self,
        unit: &str,
        properties: Vec<(String, OwnedVariant)>,
        within: Duration,
    ) -> Result<String, SystemdError> {
        self.start_units(unit, properties, Vec::new(), within).await
    }

    /// Starts a unit; those beside it are made only.
    async fn start_units(
        &self,
        unit: &str,
        properties: Vec<(String, OwnedVariant)>,
        beside: Vec<(String, Vec<(String, OwnedVariant)>)>,
        within: Duration,
    ) -> Result<String, SystemdError> {
        let manager = self.manager().await?;
        // Before the call, or a short job's end would be missed.
        let mut events = self.events().await?;
        let job = manager
            .start_transient_unit(unit.to_owned(), "replace".to_owned(), properties, beside)
            .await
            .map_err(|source| SystemdError::Start {
                unit: unit.to_owned(),
                source,
            })?;
        wait(&mut events, unit, job.as_str(), within).await
    }

    async fn events(&self) -> Result<Receiver<Event>, SystemdError> {
        let open = async || {
            Ear::open(&self.manager().await?)
                .await
                .map_err(SystemdError::Reach)
        };
        let ear = self.ear.get_or_try_init(open).await?;
        ear.events().ok_or(SystemdError::Ended)
    }

    async fn manager(&self) -> Result<ManagerProxy<'_>, SystemdError> {
        ManagerProxy::builder(&self.connection)
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await
            .map_err(SystemdError::Reach)
    }
}

fn started(unit: &str, result: String) -> Result<(), SystemdError> {
    match result.as_str() {
        "done" => Ok(()),
        _ => Err(SystemdError::NotStarted {
            unit: unit.to_owned(),
            result,
        }),
    }
}

async fn wait(
    events: &mut Receiver<Event>,
    unit: &str,
    job: &str,
    within: Duration,
) -> Result<String, SystemdError> {
    let patience = within + JOB_TIMEOUT;
    let ended = async {
        loop {
            match events.recv().await {
                Ok(Event::Job {
                    job: ended, result, ..
                }) if ended == job => return Ok(result),
                Ok(Event::Job { .. } | Event::Gone { .. }) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Err(SystemdError::Ended),
            }
        }
    };
    match tokio::time::timeout(patience, ended).await {
        Ok(result) => result,
        Err(_) => Err(SystemdError::Silent {
            unit: unit.to_owned(),
            waited: patience,
        }),
    }
}

fn variants(properties: &[Property]) -> Vec<(String, OwnedVariant)> {
    let properties = properties.iter();
    properties
        .map(|property| (property.name.to_owned(), (&property.value).into()))
        .collect()
}

fn descriptor(fd: OwnedFd) -> OwnedVariant {
    Variant::Fd(fd.into())
        .try_into_owned()
        .expect("an owned descriptor is owned")
}

fn nonblocking(fd: OwnedFd) -> std::io::Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(fd)
}

/// Reads to the end, so that a program that writes much is not held up.
async fn read_all(mut pipe: pipe::Receiver, output: &mut Output) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        output.take(&buffer[..count]);
    }
}

fn is_no_such_unit(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::MethodError(name, ..) if name.as_str() == "org.freedesktop.systemd1.NoSuchUnit")
}

#[cfg(test)]
mod tests;
