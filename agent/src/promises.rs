//! Keeps watch over promises: a program inside of each partition that has some is told when to begin, and says what changes. Nothing that
//! it says is believed beyond whether the promises are kept, and it cannot say more than a line at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use slapbox_promises::words::{Answer, Request};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::causes::in_one_line;
use crate::desired::{Fingerprint, PartitionName};
use crate::instances::units::UnitName;
use crate::observed::Promises;
use crate::systemd::{Property, Systemd};

/// The programs that keep watch.
#[derive(Clone, Debug)]
pub struct Watches {
    systemd: Systemd,
    changes: watch::Sender<u64>,
    all: Arc<Mutex<BTreeMap<PartitionName, Watch>>>,
}

#[derive(Debug)]
struct Watch {
    /// What is watched; nothing while it changes.
    subject: Option<Fingerprint>,
    said: Promises,
    orders: watch::Sender<Orders>,
    /// What the program was made as.
    made_as: Fingerprint,
    task: JoinHandle<()>,
}

/// What a program shall do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Orders {
    round: u64,
    pauses: bool,
    /// Moves when somebody wants to know at once.
    hurries: u64,
}

/// How long nobody tries again after a program has ended by itself.
const REST: Duration = Duration::from_secs(20);
/// More than the longest message in the longest form that JSON has for it.
const LONGEST_LINE: u64 = 64 * 1024;
/// More than is said when all is well.
const SHORT: usize = 256;

impl Watches {
    /// Nothing is watched yet; `changes` moves when something is another thing than before.
    pub fn new(systemd: Systemd, changes: watch::Sender<u64>) -> Self {
        Self {
            systemd,
            changes,
            all: Arc::default(),
        }
    }

    /// Returns what is watched of a partition, if something is.
    pub fn subject(&self, partition: PartitionName) -> Option<Fingerprint> {
        self.lock().get(&partition)?.subject.clone()
    }

    /// Returns how the promises of a partition are.
    pub fn promises(&self, partition: PartitionName) -> Promises {
        let all = self.lock();
        all.get(&partition)
            .map_or(Promises::Unknown, |watch| watch.said.clone())
    }

    /// Begins to watch `subject`, whatever was watched before; `properties` are those of the program that does.
    pub fn begin(&self, partition: PartitionName, subject: Fingerprint, properties: Vec<Property>) {
        let made_as = Fingerprint::of(format!("{properties:?}").as_bytes());
        let mut all = self.lock();
        match all.get_mut(&partition) {
            Some(watch) if watch.made_as == made_as && !watch.task.is_finished() => {
                watch.subject = Some(subject);
                watch.said = Promises::Unknown;
                watch.orders.send_modify(|orders| {
                    orders.round += 1;
                    orders.pauses = false;
                });
            }
            other => {
                if let Some(watch) = other {
                    watch.task.abort();
                }
                let (orders, told) = watch::channel(Orders::default());
                let keep = self.clone().keep(partition, properties, told);
                let watch = Watch {
                    subject: Some(subject),
                    said: Promises::Unknown,
                    orders,
                    made_as,
                    task: tokio::spawn(keep),
                };
                all.insert(partition, watch);
            }
        }
    }

    /// Watches nothing while a partition is changed; its program stays.
    pub fn pause(&self, partition: PartitionName) {
        if let Some(watch) = self.lock().get_mut(&partition) {
            watch.subject = None;
            watch.said = Promises::Unknown;
            watch.orders.send_modify(|orders| orders.pauses = true);
        }
    }

    /// Watches a partition no more. Its program ends by itself.
    pub fn end(&self, partition: PartitionName) {
        if let Some(watch) = self.lock().remove(&partition) {
            watch.task.abort();
        }
    }

    /// Watches only what is wanted.
    pub fn retain(&self, wanted: impl Fn(PartitionName) -> bool) {
        self.lock().retain(|partition, watch| {
            let keeps = wanted(*partition);
            if !keeps {
                watch.task.abort();
            }
            keeps
        });
    }

    /// Has every promise looked at now.
    pub fn hurry(&self) {
        for watch in self.lock().values() {
            watch.orders.send_modify(|orders| orders.hurries += 1);
        }
    }

    /// Has the program run until it ends. After a rest nothing is watched any more, and whoever plans begins anew.
    async fn keep(
        self,
        partition: PartitionName,
        properties: Vec<Property>,
        mut told: watch::Receiver<Orders>,
    ) {
        let unit = UnitName::Promises(partition).to_string();
        let program = self.systemd.converse(&unit, &properties).await;
        // Two hundred times what confines a program is a megabyte.
        drop(properties);
        let why = match program {
            Ok(program) => match self.talk(partition, program, &mut told).await {
                Ok(()) => return,
                Err(error) => error.to_string(),
            },
            Err(error) => in_one_line(&error),
        };
        let message = format!("its promises cannot be checked: {why}, see the journal of {unit}");
        tracing::warn!(%partition, "{message}");
        self.hear(partition, None, Promises::Broken { message });
        tokio::time::sleep(REST).await;
        self.lock().remove(&partition);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Speaks with a program until nobody gives orders any more, or it ends.
    async fn talk(
        &self,
        partition: PartitionName,
        program: UnixStream,
        told: &mut watch::Receiver<Orders>,
    ) -> std::io::Result<()> {
        let (hears, mut says) = program.into_split();
        // Two hundred of them are mostly silent.
        let mut hears = BufReader::with_capacity(SHORT, hears);
        let mut orders = *told.borrow_and_update();
        if !orders.pauses {
            let round = orders.round;
            say(&mut says, Request::Check { round }).await?;
        }
        let mut line = Vec::new();
        loop {
            let mut limited = (&mut hears).take(LONGEST_LINE - line.len() as u64);
            tokio::select! {
                read = limited.read_until(b'\n', &mut line) => {
                    read?;
                    if !line.ends_with(b"\n") {
                        return Err(std::io::Error::other("what checks them has ended"));
                    }
                    let answer: Answer = serde_json::from_slice(&line)?;
                    line.clear();
                    self.hear(partition, Some(answer.round), answer.into());
                }
                changed = told.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let wanted = *told.borrow_and_update();
                    for request in requests(orders, wanted) {
                        say(&mut says, request).await?;
                    }
                    orders = wanted;
                }
            }
        }
    }

    /// Takes down what was said, of what is watched now: an answer may have been on its way when that changed.
    fn hear(&self, partition: PartitionName, round: Option<u64>, said: Promises) {
        let is_news = {
            let mut all = self.lock();
            let watch = all.get_mut(&partition).filter(|watch| {
                let now = watch.orders.borrow().round;
                watch.subject.is_some() && round.is_none_or(|round| round == now)
            });
            watch.is_some_and(|watch| std::mem::replace(&mut watch.said, said.clone()) != said)
        };
        if is_news {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// What is behind the lock is whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<PartitionName, Watch>> {
        self.all.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

impl From<Answer> for Promises {
    fn from(answer: Answer) -> Self {
        match answer.broken {
            None => Self::Kept,
            Some(message) => Self::Broken { message },
        }
    }
}

/// What to say to a program that had some orders and shall have others.
fn requests(before: Orders, now: Orders) -> Vec<Request> {
    if now.pauses {
        return Vec::from([Request::Pause]);
    }
    if now.round != before.round || before.pauses {
        let round = now.round;
        return Vec::from([Request::Check { round }]);
    }
    if now.hurries != before.hurries {
        return Vec::from([Request::Now]);
    }
    Vec::new()
}

async fn say(to: &mut tokio::net::unix::OwnedWriteHalf, request: Request) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(&request)?;
    line.push(b'\n');
    to.write_all(&line).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_told_what_is_new() {
        let first = Orders {
            round: 1,
            ..Orders::default()
        };
        let paused = Orders {
            pauses: true,
            ..first
        };
        let second = Orders { round: 2, ..first };
        let hurried = Orders {
            hurries: 1,
            ..first
        };
        assert_eq!(requests(first, first), []);
        assert_eq!(requests(first, paused), [Request::Pause]);
        assert_eq!(requests(paused, second), [Request::Check { round: 2 }]);
        // A pause that was over before anybody noticed.
        assert_eq!(requests(first, second), [Request::Check { round: 2 }]);
        assert_eq!(requests(first, hurried), [Request::Now]);
        assert_eq!(requests(paused, first), [Request::Check { round: 1 }]);
    }
}
