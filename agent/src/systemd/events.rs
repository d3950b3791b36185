//! What systemd says unasked. One task hears it all the time: a stream of the bus that is not read for a moment, by somebody who waits for an
//! answer, holds up the whole connection once it is full, and with it that very answer.

use futures_util::StreamExt as _;
use futures_util::stream::select;
use tokio::sync::broadcast::{self, Receiver, WeakSender};
use tokio::task::JoinHandle;
use zbus_systemd::systemd1::ManagerProxy;

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A job came to its end.
    Job {
        job: String,
        unit: String,
        result: String,
    },
    /// A unit is gone.
    Gone { unit: String },
}

/// Hears until it is dropped.
#[derive(Debug)]
pub(super) struct Ear {
    events: WeakSender<Event>,
    task: JoinHandle<()>,
}

/// More than happens while somebody who listens is busy with one thing: some events of each of 200 partitions.
const KEPT: usize = 4096;

impl Ear {
    /// Begins to hear.
    pub(super) async fn open(manager: &ManagerProxy<'_>) -> zbus::Result<Self> {
        let jobs = manager.receive_job_removed().await?;
        let gone = manager.receive_unit_removed().await?;
        let jobs = jobs.filter_map(|signal| async move {
            let args = signal.args().ok()?;
            Some(Event::Job {
                job: args.job.to_string(),
                unit: args.unit.clone(),
                result: args.result.clone(),
            })
        });
        let gone = gone.filter_map(|signal| async move {
            let unit = signal.args().ok()?.id.clone();
            Some(Event::Gone { unit })
        });
        let (sender, _) = broadcast::channel(KEPT);
        let events = sender.downgrade();
        let task = tokio::spawn(async move {
            let both = select(jobs, gone);
            tokio::pin!(both);
            while let Some(event) = both.next().await {
                // Often nobody listens.
                let _ = sender.send(event);
            }
        });
        Ok(Self { events, task })
    }

    /// Returns what happens from now on; nothing if the connection has ended.
    pub(super) fn events(&self) -> Option<Receiver<Event>> {
        self.events.upgrade().map(|sender| sender.subscribe())
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}
