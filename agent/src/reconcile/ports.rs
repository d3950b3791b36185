//! The two ends of the loop, so that a test can be the node, or the master, or both.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;

use ipnet::Ipv6Net;
use slap::v1::NodeReport;
use slap::{ComputerConfiguration, ComputerId};
use tokio::sync::{mpsc, watch};

use crate::desired::{Desired, PartitionName};
use crate::partitions::PartitionsError;
use crate::workload::{Converged, Heard, Report, Workload};

/// The node that the loop brings to what is wanted.
pub trait Node: Sync {
    /// Makes the partitions.
    fn make_partitions(
        &self,
        count: u16,
        prefix: Ipv6Net,
        reference: &ComputerId,
    ) -> impl Future<Output = Result<Made, PartitionsError>> + Send;

    /// Takes one pass at what is wanted.
    fn converge(
        &self,
        desired: &Desired,
        heard: Heard,
        reports: mpsc::Sender<Report>,
    ) -> impl Future<Output = Converged> + Send;

    /// Has every promise looked at now, due or not.
    fn look_at_promises(&self);

    /// Moves when a pass would see something new.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// The partitions as they are after they were made.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// What the master is told.
    pub configuration: ComputerConfiguration,
    /// Which partitions are not whole, and why.
    pub failures: BTreeMap<PartitionName, String>,
    /// What else could not be made, in words.
    pub node_failures: Vec<String>,
    /// How many things were not as they should be.
    pub changed: usize,
    /// How long it took.
    pub seconds: f64,
}

/// The master that the loop listens and reports to.
pub trait Upstream: Sync {
    /// What the master wants.
    fn desired(&self) -> impl Future<Output = Result<Desired, UpstreamError>> + Send;

    /// Tells the master the partitions of this computer.
    fn announce(
        &self,
        computer: &ComputerConfiguration,
    ) -> impl Future<Output = Result<(), UpstreamError>> + Send;

    /// Tells the master what became of something.
    fn report(&self, report: &Report) -> impl Future<Output = Result<(), UpstreamError>> + Send;

    /// Tells the master how the node is.
    fn node_report(
        &self,
        report: &NodeReport,
    ) -> impl Future<Output = Result<(), UpstreamError>> + Send;

    /// Tells the master what the computer and its partitions used; the document of a [`slap::Journal`].
    fn report_usage(
        &self,
        document: &str,
    ) -> impl Future<Output = Result<(), UpstreamError>> + Send;

    /// Returns when the desired state is no longer the one of generation `since`, or after a while; nothing if the
    /// master has no such call.
    fn watch(&self, since: u64) -> impl Future<Output = Result<Option<u64>, UpstreamError>> + Send;
}

/// Why the master did not take or give something, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamError {
    /// In words.
    pub reason: String,
    /// What it means for the next try.
    pub kind: Kind,
}

/// What a failure means for the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It may work later.
    Later,
    /// It never will: the master refuses this very thing.
    Never,
    /// The master has taken this box's identity back.
    Revoked,
    /// A certificate does not count at the time that the box has.
    Clock,
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for UpstreamError {}

impl UpstreamError {
    /// Whether the same thing need not be tried again.
    pub fn is_final(&self) -> bool {
        self.kind == Kind::Never
    }
}

impl Node for Workload {
    async fn make_partitions(
        &self,
        count: u16,
        prefix: Ipv6Net,
        reference: &ComputerId,
    ) -> Result<Made, PartitionsError> {
        let made = Workload::make_partitions(self, count, prefix).await?;
        Ok(Made {
            configuration: made.configuration(reference.clone()),
            failures: made.failures,
            node_failures: made.node_failures,
            changed: made.changed,
            seconds: made.seconds,
        })
    }

    async fn converge(
        &self,
        desired: &Desired,
        heard: Heard,
        reports: mpsc::Sender<Report>,
    ) -> Converged {
        Workload::converge(self, desired, heard, reports).await
    }

    fn look_at_promises(&self) {
        Workload::look_at_promises(self);
    }

    fn changes(&self) -> watch::Receiver<u64> {
        Workload::changes(self)
    }
}
