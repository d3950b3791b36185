//! Works on partitions in the background: each on its own, so that one that takes long or fails holds up no other.
//!
//! A piece of work looks, plans and acts until nothing is left to do, then says so. It is dropped when the master
//! wants something else: nothing is ever resumed, the next one looks anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use ipnet::Ipv6Net;
use slap::configuration::PartitionConfiguration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Clock, Paths, Terms};
use crate::apply::Hands;
use crate::causes::in_one_line;
use crate::desired::{Instance, PartitionName};
use crate::devices::Devices;
use crate::firewall::Firewall;
use crate::instances::confinement::Place;
use crate::instances::limits::{Limits, Most};
use crate::instances::units::UnitName;
use crate::memory::{Goal, Memory, goal};
use crate::observe::{self, Sight};
use crate::observed::Software;
use crate::partitions::homes::Homes;
use crate::partitions::users;
use crate::plan::{Step, plan_partition};
use crate::promises::Watches;
use crate::quotas::Quotas;
use crate::software::Release;
use crate::systemd::Systemd;
use crate::usage::Outbox;

/// Those who work on partitions.
#[derive(Clone, Debug)]
pub(super) struct Crew {
    paths: Paths,
    pub(super) systemd: Systemd,
    pub(super) watches: Watches,
    clock: Clock,
    terms: Arc<Terms>,
    changes: watch::Sender<u64>,
    memory: Arc<Mutex<Memory>>,
    works: Arc<Mutex<BTreeMap<PartitionName, Work>>>,
    /// How many partitions are configured at once, how many ask the master, and how many are worked on otherwise.
    hands: Arc<Semaphore>,
    configuring: Arc<Semaphore>,
    asking: Arc<Semaphore>,
    pub(super) outbox: Outbox,
    pub(super) devices: Arc<Devices>,
    pub(super) quotas: Arc<Quotas>,
    pub(super) firewall: Arc<Firewall>,
}

#[derive(Debug)]
struct Work {
    goal: Goal,
    handle: JoinHandle<()>,
}

/// What to do for a partition.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) partition: PartitionName,
    pub(super) instance: Instance,
    pub(super) software: Software,
    pub(super) release: Option<Arc<Release>>,
}

const HANDS: usize = 8;
const CONFIGURING: usize = 2;
const ASKING: usize = 4;
/// A partition that needs more rounds is altered by somebody else meanwhile; the next pass sees.
const MOST_ROUNDS: usize = 12;
/// One that is made oftener in a row wants something else each time.
const MOST_MADE: usize = 5;

impl Crew {
    pub(super) fn new(
        paths: Paths,
        systemd: Systemd,
        clock: Clock,
        terms: Terms,
        changes: watch::Sender<u64>,
    ) -> Self {
        Self {
            outbox: Outbox::new(paths.usage.join("outbox"), paths.clone()),
            devices: Arc::new(Devices::of(&paths)),
            quotas: Arc::new(Quotas::of(&paths)),
            firewall: Arc::new(Firewall::of(&paths)),
            paths,
            clock,
            watches: Watches::new(systemd.clone(), changes.clone()),
            systemd,
            terms: Arc::new(terms),
            changes,
            memory: Arc::default(),
            works: Arc::default(),
            hands: Arc::new(Semaphore::new(HANDS)),
            configuring: Arc::new(Semaphore::new(CONFIGURING)),
            asking: Arc::new(Semaphore::new(ASKING)),
        }
    }

    /// Remembers what to put back into a wiped partition, and what all addresses begin with.
    pub(super) fn keep_resources(&self, partitions: &[PartitionConfiguration], prefix: Ipv6Net) {
        let named = partitions.iter().filter_map(|configuration| {
            let index = configuration.reference.index()?;
            Some((PartitionName::new(index), configuration.resource_file()))
        });
        let mut memory = self.memory();
        memory.resources = named.collect();
        memory.prefix = Some(prefix);
    }

    pub(super) fn date(&self) -> SystemTime {
        (self.clock)()
    }

    /// Whether the master knows instances by certificates.
    pub(super) fn certifies(&self) -> bool {
        self.terms.issuer.is_some()
    }

    /// What a partition may use at most.
    pub(super) fn most(&self) -> &Most {
        &self.terms.most
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }

    /// Returns whether somebody works towards the goal; work towards another one is dropped.
    pub(super) fn is_at_work(&self, partition: PartitionName, goal: &Goal) -> bool {
        let mut works = lock(&self.works);
        works.retain(|_, work| !work.handle.is_finished());
        match works.get(&partition) {
            Some(work) if work.goal == *goal => true,
            Some(work) => {
                work.handle.abort();
                // It may be in the middle of a step; the next pass finds it ended.
                true
            }
            None => false,
        }
    }

    /// Returns whether somebody works on a partition.
    pub(super) fn is_busy(&self, partition: PartitionName) -> bool {
        let works = lock(&self.works);
        let work = works.get(&partition);
        work.is_some_and(|work| !work.handle.is_finished())
    }

    /// Sets somebody to work.
    pub(super) fn begin(&self, order: Order) {
        let goal = goal(order.partition, &order.instance);
        let partition = order.partition;
        let crew = self.clone();
        let handle = tokio::spawn(async move {
            // Moves `changes` even if the work is dropped.
            let _ended = Ended(crew.changes.clone());
            crew.work(&order).await;
        });
        lock(&self.works).insert(partition, Work { goal, handle });
    }

    async fn work(&self, order: &Order) {
        let result = self.rounds(order).await;
        let mut memory = self.memory();
        let remembered = memory.of(order.partition);
        match result {
            Ok(()) => remembered.succeeded(),
            Err(error) => {
                let message = in_one_line(error.as_ref());
                tracing::warn!(partition = %order.partition, "{message}");
                let goal = goal(order.partition, &order.instance);
                remembered.failed(goal, message, Instant::now());
            }
        }
    }

    async fn rounds(&self, order: &Order) -> anyhow::Result<()> {
        let mut made = 0;
        for _ in 0..MOST_ROUNDS {
            let steps = {
                // Each look holds what systemd says of many units.
                let _turn = self.hands.acquire().await;
                self.look(order).await?
            };
            if steps.is_empty() {
                return Ok(());
            }
            let makes = |step: &&Step| matches!(step, Step::Instantiate(_));
            made += steps.iter().filter(makes).count();
            anyhow::ensure!(
                made <= MOST_MADE,
                "each time that it is instantiated it requests something else"
            );
            for step in &steps {
                self.act(order, step).await?;
            }
        }
        Ok(())
    }

    async fn look(&self, order: &Order) -> anyhow::Result<Vec<Step>> {
        let partition = order.partition;
        let patterns = [
            format!("{partition}-*.service"),
            UnitName::Slice(partition).to_string(),
            UnitName::Instantiate(partition).to_string(),
            UnitName::Promises(partition).to_string(),
            format!("slapredirect-{partition}-*.*"),
            format!("slapbridge-{partition}-*.socket"),
        ];
        let listed = self
            .systemd
            .list(&patterns.each_ref().map(String::as_str))
            .await?;
        let accounts = users::observe(&self.paths.etc)?;
        let sight = Sight {
            paths: &self.paths,
            accounts: &accounts,
            homes: Homes::open(&self.paths.homes),
            devices: &self.devices,
            quotas: &self.quotas,
            guards: Some(self.firewall.made_for().await),
            prefix: self.memory().prefix,
            units: observe::units(&listed),
            watches: Some(&self.watches),
            now: Instant::now(),
            date: (self.clock)(),
            certifies: self.certifies(),
            most: self.most(),
        };
        let mut memory = self.memory();
        let remembered = memory.of(partition);
        let release = order.release.as_deref();
        let mut found = sight.partition(partition, &order.instance, release, remembered)?;
        // The rest is over, or nobody would be at work.
        found.resting = false;
        let software = Some(&order.software);
        Ok(plan_partition(partition, &order.instance, software, &found))
    }

    async fn act(&self, order: &Order, step: &Step) -> anyhow::Result<()> {
        tracing::info!("{}: {step}", order.partition);
        let accounts = users::observe(&self.paths.etc)?;
        let ids = accounts.of(order.partition);
        let (ipv6, ipv4) = order.instance.addresses();
        let place = Place {
            partition: order.partition,
            ids: ids.ok_or_else(|| anyhow::anyhow!("the partition has no user"))?,
            directory: self.paths.partition(order.partition),
            ipv6,
            ipv4,
            folders: Homes::open(&self.paths.homes).folders(order.partition),
            devices: self.devices.given(order.partition)?,
            // What shall not run may ask for what it likes.
            limits: Limits::understand(&order.instance.asked, self.most()).unwrap_or_default(),
            project: self.quotas.project(order.partition),
        };
        let resource = self.memory().resources.get(&order.partition).cloned();
        let hands = Hands {
            systemd: &self.systemd,
            place: &place,
            instance: &order.instance,
            release: order.release.as_deref(),
            origin: &self.terms.origin,
            homes: &self.paths.homes,
            devices: &self.devices,
            quotas: &self.quotas,
            ipv4_network: self.paths.ipv4.as_ref().map(|it| it.network),
            firewall: &self.firewall,
            kin: &self.terms.kin,
            accounts: &accounts,
            prefix: self.memory().prefix,
            resource: resource.as_deref(),
            watches: &self.watches,
            issuer: self.terms.issuer.as_ref(),
            asker: &self.terms.asker,
            clock: self.clock,
            outbox: &self.outbox,
        };
        let _turn = if matches!(step, Step::Instantiate(_)) {
            Some(self.configuring.acquire().await)
        } else if matches!(step, Step::Ask(_)) {
            // A master that does not answer holds up nobody who asks for nothing.
            Some(self.asking.acquire().await)
        } else if matches!(step, Step::TakeLeave) {
            // It takes as long as it takes, and holds up nobody else.
            None
        } else {
            Some(self.hands.acquire().await)
        };
        hands.apply(step).await?;
        if matches!(step, Step::Forget | Step::Instantiate(_)) {
            self.memory().of(order.partition).heard_that();
        }
        if let Step::Start(program, _) = step {
            self.memory().of(order.partition).made_anew(program);
        }
        Ok(())
    }
}

/// Says when a piece of work is over, however it ended.
struct Ended(watch::Sender<u64>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count += 1);
    }
}

/// What is behind these locks is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|broken| broken.into_inner())
}
