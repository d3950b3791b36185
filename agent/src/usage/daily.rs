//! Once a day every partition is asked what it used, and all that they say leaves in as few documents as it takes.

use std::time::Duration;

use tokio::time::sleep;

use super::collect::Collected;
use super::journal::consumptions;
use super::outbox::{Entry, Told};
use super::reports::{LONGEST_DOCUMENT, Reporting};
use super::{Accounting, Day, Part};
use crate::clock::image_time;
use crate::desired::{Desired, Instance, PartitionName};
use crate::inside::Inside;
use crate::instances::confinement::Place;
use crate::instances::limits::Limits;
use crate::partitions::homes::Homes;
use crate::partitions::users;
use crate::reconcile::last_desired;
use crate::software;
use crate::status::{self, Failure};

const LOOK: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_secs(600);
/// Not all nodes at midnight.
const WITHIN_SECONDS: f64 = 3600.0;

impl Accounting<'_> {
    /// Asks for ever, once a day.
    pub(super) async fn report_daily(&self) {
        let delay = (WITHIN_SECONDS * (self.world.chance)()) as i64;
        loop {
            let now = self.world.seconds();
            let done = if now < image_time(self.places) {
                // Nobody has set the clock: it is no day at all.
                Ok(())
            } else {
                self.report_if_due(now, delay).await
            };
            let pause = match done {
                Ok(()) => LOOK,
                Err(error) => {
                    let message = format!("{error:#}");
                    tracing::error!("what partitions used cannot be told: {message}");
                    let (part, subject) = (status::Part::Usage, None);
                    self.note(
                        Part::Reports,
                        vec![Failure {
                            part,
                            subject,
                            message,
                        }],
                    );
                    AGAIN
                }
            };
            sleep(pause).await;
        }
    }

    /// Asks if it is time to: so many seconds after midnight, or at once if the day before was missed.
    pub async fn report_if_due(&self, now: i64, delay: i64) -> anyhow::Result<()> {
        let today = Day::of(now);
        let last = self.outbox.told()?.reports;
        let was_missed = last.is_none_or(|last| last.is_before_by(2, today));
        let is_time = was_missed || now >= today.start().saturating_add(delay);
        if !today.is_due_after(last) || !is_time {
            return self.forget_those_gone();
        }
        let failures = self.report(today).await?;
        self.note(Part::Reports, failures);
        Ok(())
    }

    /// Says nothing more of partitions that are free again.
    fn forget_those_gone(&self) -> anyhow::Result<()> {
        let said = self.noted(Part::Reports);
        if said.is_empty() {
            return Ok(());
        }
        let wanted = self.desired()?.partitions;
        let is_left = |failure: &Failure| {
            let subject = failure.subject.as_deref().unwrap_or_default();
            let partition = subject.parse::<PartitionName>();
            partition.is_ok_and(|partition| wanted.contains_key(&partition))
        };
        self.note(Part::Reports, said.into_iter().filter(is_left).collect());
        Ok(())
    }

    async fn report(&self, today: Day) -> anyhow::Result<Vec<Failure>> {
        let mut failures = Vec::new();
        for partition in self.desired()?.partitions.into_keys() {
            // One that cannot be asked does not stop the others.
            let failed = self.ask(partition, today).await;
            let failed = failed.unwrap_or_else(|error| vec![format!("{error:#}")]);
            failures.extend(failed.into_iter().map(|words| failure(partition, words)));
        }
        let mut told = Told {
            reports: Some(today),
            ..Told::default()
        };
        loop {
            let _making = self.outbox.making().await;
            let collected = self.collect()?;
            let refused = collected.refused.into_iter();
            if collected.movements.is_empty() {
                failures.extend(refused.map(|(partition, words)| failure(partition, words)));
                self.outbox.note(told)?;
                return Ok(failures);
            }
            let now = self.world.seconds();
            let journal = consumptions(&self.computer, now, collected.movements);
            let entry = Entry::new(journal.to_xml(), collected.consumes, told);
            self.outbox.put(&entry)?;
            // What is left over goes on, whatever day it is.
            told = Told::default();
        }
    }

    /// Has one partition say what it used, if it is still wanted when it is its turn.
    async fn ask(&self, partition: PartitionName, today: Day) -> anyhow::Result<Vec<String>> {
        let _turn = self.outbox.turn(partition).await;
        let desired = self.desired()?;
        let Some(instance) = desired.partitions.get(&partition) else {
            return Ok(Vec::new());
        };
        let installed = software::is_installed(&self.paths.software, &instance.software);
        // What is to be destroyed says it then; what has no release has no programs, which is said elsewhere.
        if instance.state == slap::RequestedState::Destroyed || !installed {
            return Ok(Vec::new());
        }
        let Some(place) = self.place(partition, instance)? else {
            return Ok(Vec::new());
        };
        let reporting = Reporting {
            systemd: &self.systemd,
            place: &place,
            release: &software::read(&self.paths.software, &instance.software)?,
            outbox: &self.outbox,
        };
        let ran = reporting.run_all(&today.to_string()).await?;
        Ok(ran.failed)
    }

    fn collect(&self) -> anyhow::Result<Collected> {
        let on_their_way = self.outbox.on_their_way()?;
        let mut collected = Collected::default();
        for partition in self.desired()?.partitions.into_keys() {
            match Inside::open_if_there(&self.paths.partition(partition)) {
                Ok(Some(inside)) => {
                    collected.take(partition, &inside, &on_their_way, LONGEST_DOCUMENT);
                }
                Ok(None) => {}
                Err(error) => {
                    let words = format!("failed to look into the partition: {error}");
                    collected.refused.push((partition, words));
                }
            }
        }
        Ok(collected)
    }

    fn place(
        &self,
        partition: PartitionName,
        instance: &Instance,
    ) -> anyhow::Result<Option<Place>> {
        let ids = users::observe(&self.paths.etc)?.of(partition);
        let (ipv6, ipv4) = instance.addresses();
        Ok(ids.map(|ids| Place {
            partition,
            ids,
            directory: self.paths.partition(partition),
            ipv6,
            ipv4,
            folders: Homes::open(&self.paths.homes).folders(partition),
            devices: Vec::new(),
            limits: Limits::default(),
            project: None,
        }))
    }

    fn desired(&self) -> anyhow::Result<Desired> {
        Ok(last_desired(self.places)?.unwrap_or_default())
    }
}

fn failure(partition: PartitionName, message: String) -> Failure {
    tracing::warn!(%partition, "{message}");
    Failure {
        part: status::Part::Usage,
        subject: Some(partition.to_string()),
        message,
    }
}
