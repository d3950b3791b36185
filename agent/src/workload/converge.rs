//! One pass: look at everything, plan, set the work going, say what changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use slap::{RequestedState, SupplyState};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::crew::{Crew, Order};
use super::leftovers::{Heard, Leftovers};
use super::{Converged, Paths, Report, Workload};
use crate::causes::in_one_line;
use crate::clock::unix_seconds;
use crate::desired::{Desired, Instance, PartitionName, SoftwareUrl};
use crate::instances::units::PATTERNS;
use crate::memory::goal;
use crate::observe::{self, Sight};
use crate::observed::{Observed, Software};
use crate::partitions::homes::Homes;
use crate::partitions::users;
use crate::plan::{Action, ReleaseStep, plan_collection, plan_partition, plan_releases};
use crate::software::{self, Release, ReleaseId, installer::Installer};
use crate::verdict::{self, Verdict, judge};

type Releases = BTreeMap<SoftwareUrl, Result<Arc<Release>, String>>;

/// A pass in progress.
struct Pass<'a> {
    paths: &'a Paths,
    installer: &'a Installer,
    crew: &'a Crew,
    leftovers: &'a Leftovers,
    desired: &'a Desired,
    heard: Heard,
    reports: &'a mpsc::Sender<Report>,
    releases: Releases,
    observed: Observed,
    outcome: Converged,
}

pub(super) async fn converge(
    workload: &Workload,
    desired: &Desired,
    heard: Heard,
    reports: &mpsc::Sender<Report>,
) -> Converged {
    let (installer, crew) = (&workload.installer, &workload.crew);
    let mut pass = Pass {
        paths: &workload.paths,
        installer,
        crew,
        leftovers: &workload.leftovers,
        desired,
        heard,
        reports,
        releases: Releases::new(),
        observed: Observed::default(),
        outcome: Converged::default(),
    };
    let is_wanted = |partition| desired.partitions.contains_key(&partition);
    crew.memory().retain(is_wanted);
    crew.watches.retain(is_wanted);
    let named = desired.releases();
    installer.retain(|id| named.contains(id));
    pass.look_at_software();
    if let Err(error) = pass.partitions().await {
        pass.outcome.failure = Some(in_one_line(error.as_ref()));
    }
    pass.software().await;
    pass.collect();
    pass.outcome.notes = installer.notes();
    pass.outcome
}

impl Pass<'_> {
    fn look_at_software(&mut self) {
        let of_instances = self.desired.partitions.values();
        let urls = of_instances.map(|instance| &instance.software);
        for url in self.desired.software.keys().chain(urls) {
            let found = self.installer.observe(url);
            if found == Software::Available && !self.releases.contains_key(url) {
                let release = software::read(&self.paths.software, url);
                let release = release.map(Arc::new).map_err(|error| in_one_line(&error));
                self.releases.insert(url.clone(), release);
            }
            self.observed.software.insert(url.clone(), found);
        }
    }

    async fn software(&mut self) {
        for (url, step) in plan_releases(self.desired, &self.observed) {
            match step {
                ReleaseStep::Install => self.installer.install(&url),
                ReleaseStep::Remove => self.installer.remove(&ReleaseId::of(&url)),
            }
        }
        for (url, wanted) in &self.desired.software {
            if *wanted == SupplyState::Destroyed {
                self.installer.give_up(url);
            }
            let found = self.installer.observe(url);
            if let Software::Failed { log, .. } = &found {
                let failures = &mut self.outcome.software_failures;
                failures.insert(url.clone(), log.clone());
            }
            if found == Software::Available && *wanted == SupplyState::Available {
                self.installer.offer_again(url);
            }
            self.outcome.software += usize::from(found == Software::Available);
            if let Some(report) = verdict::software_report(url, *wanted, &found)
                && self.crew.memory().is_news(&report, None, Instant::now())
            {
                self.say(report).await;
            }
        }
        self.wake_in(self.installer.next_try());
    }

    /// Removes what nobody wants any more.
    fn collect(&mut self) {
        let (paths, installer) = (self.paths, self.installer);
        let now = u64::try_from(unix_seconds(self.crew.date())).unwrap_or_default();
        let leftovers = self
            .leftovers
            .observe(paths, installer, self.desired, self.heard, now);
        match leftovers {
            Ok((leftovers, collection)) => {
                self.observed.leftovers = leftovers;
                self.observed.collection = collection;
            }
            Err(error) => {
                let why = in_one_line(&error);
                let why = format!("it is not known which releases nobody wants: {why}");
                self.outcome.failure.get_or_insert(why);
            }
        }
        for id in plan_collection(self.desired, &self.observed) {
            tracing::info!("{}", Action::Collect(id.clone()));
            self.installer.remove(&id);
            self.leftovers.goes(&id);
        }
        for (id, leftover) in &self.observed.leftovers {
            if let Software::Failed { log, .. } = &leftover.found {
                let why = format!("the release {id} cannot be removed: {log}");
                self.outcome.failure.get_or_insert(why);
            }
        }
    }

    async fn partitions(&mut self) -> anyhow::Result<()> {
        if let Err(error) = self.crew.firewall.restore().await {
            self.outcome.failure = Some(in_one_line(&error));
        }
        let listed = self.crew.systemd.list(&PATTERNS).await?;
        let accounts = users::observe(&self.paths.etc)?;
        let sight = Sight {
            paths: self.paths,
            accounts: &accounts,
            homes: Homes::open(&self.paths.homes),
            devices: &self.crew.devices,
            quotas: &self.crew.quotas,
            guards: Some(self.crew.firewall.made_for().await),
            prefix: self.crew.memory().prefix,
            units: observe::units(&listed),
            watches: Some(&self.crew.watches),
            now: Instant::now(),
            date: self.crew.date(),
            certifies: self.crew.certifies(),
            most: self.crew.most(),
        };
        for (partition, instance) in &self.desired.partitions {
            self.partition(&sight, *partition, instance).await;
        }
        Ok(())
    }

    async fn partition(&mut self, sight: &Sight<'_>, name: PartitionName, instance: &Instance) {
        let goal = goal(name, instance);
        if self.crew.is_at_work(name, &goal) {
            self.outcome.pending += 1;
            return;
        }
        let software = self.observed.software.get(&instance.software).cloned();
        let software = software.unwrap_or(Software::Absent);
        let release = match self.releases.get(&instance.software) {
            None => None,
            Some(Ok(release)) => Some(Arc::clone(release)),
            Some(Err(message)) => {
                let verdict = Verdict::Failed(message.clone());
                return self.conclude(name, instance, None, verdict).await;
            }
        };
        let found = {
            let mut memory = self.crew.memory();
            let remembered = memory.of(name);
            sight.partition(name, instance, release.as_deref(), remembered)
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                let message = in_one_line(&error);
                let verdict = Verdict::Failed(message);
                return self.conclude(name, instance, None, verdict).await;
            }
        };
        let steps = plan_partition(name, instance, Some(&software), &found);
        let verdict = judge(name, instance, self.desired, Some(&software), &found);
        if !steps.is_empty() {
            self.crew.begin(Order {
                partition: name,
                instance: instance.clone(),
                software,
                release,
            });
        }
        self.conclude(name, instance, Some(&found), verdict).await;
        self.observed.partitions.insert(name, found);
    }

    async fn conclude(
        &mut self,
        name: PartitionName,
        instance: &Instance,
        found: Option<&crate::observed::Partition>,
        verdict: Verdict,
    ) {
        match &verdict {
            Verdict::Started => self.outcome.started += 1,
            Verdict::Stopped => self.outcome.stopped += 1,
            Verdict::Destroyed => {}
            Verdict::Pending => self.outcome.pending += 1,
            Verdict::Failed(message) => {
                self.outcome.failures.insert(name, message.clone());
            }
        }
        let reports = match (found, &verdict) {
            (Some(found), verdict) => verdict::reports(name, instance, found, verdict),
            (None, Verdict::Failed(message)) => vec![Report::InstanceError {
                partition: name,
                message: message.clone(),
            }],
            (None, _) => Vec::new(),
        };
        let (goal, now) = (goal(name, instance), Instant::now());
        for report in reports {
            let is_news = self.crew.memory().is_news(&report, Some(&goal), now);
            if is_news {
                self.say(report).await;
            }
        }
        let wake = {
            let mut memory = self.crew.memory();
            let remembered = memory.of(name);
            match remembered.failure(&goal, now) {
                Some((_, rest)) => Some(rest),
                None if instance.state == RequestedState::Started => {
                    let again = found.and_then(|found| found.look_again);
                    remembered.calm_in(now).into_iter().chain(again).min()
                }
                None => None,
            }
        };
        self.wake_in(wake);
    }

    async fn say(&self, report: Report) {
        if self.reports.send(report).await.is_err() {
            tracing::warn!("nobody listens to reports");
        }
    }

    /// Never at once: what is at work moves `changes` when it is done.
    fn wake_in(&mut self, delay: Option<Duration>) {
        if let Some(delay) = delay {
            let delay = delay.max(Duration::from_secs(1));
            let sooner = self.outcome.next_wake.is_none_or(|wake| delay < wake);
            if sooner {
                self.outcome.next_wake = Some(delay);
            }
        }
    }
}
