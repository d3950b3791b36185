//! A node and a master that do as they are told and take down what they are asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use ipnet::Ipv6Net;
use slap::configuration::PartitionConfiguration;
use slap::v1::NodeReport;
use slap::{ComputerConfiguration, ComputerId, SupplyState};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::desired::{Desired, PartitionName, SoftwareUrl};
use crate::partitions::PartitionsError;
use crate::reconcile::{Kind, Made, Node, Upstream, UpstreamError};
use crate::workload::{Converged, Heard, Report};

/// A node that takes down what it is asked.
#[derive(Default)]
pub(super) struct FakeNode {
    pub(super) asked: Mutex<Vec<String>>,
    pub(super) heard: Mutex<Vec<Heard>>,
    pub(super) converged: Mutex<VecDeque<Converged>>,
    pub(super) refuses_partitions: bool,
    pub(super) changes: watch::Sender<u64>,
}

/// A master whose answers are prepared; with none prepared it repeats the last one.
#[derive(Default)]
pub(super) struct FakeMaster {
    pub(super) desired: Mutex<VecDeque<Result<Desired, UpstreamError>>>,
    pub(super) asked: Mutex<Vec<String>>,
    pub(super) away: Mutex<bool>,
    pub(super) generation: watch::Sender<u64>,
    pub(super) is_plain: bool,
}

pub(super) fn away() -> UpstreamError {
    UpstreamError {
        reason: "the master does not answer".into(),
        kind: Kind::Later,
    }
}

impl Node for FakeNode {
    async fn make_partitions(
        &self,
        count: u16,
        prefix: Ipv6Net,
        reference: &ComputerId,
    ) -> Result<Made, PartitionsError> {
        self.asked
            .lock()
            .unwrap()
            .push(format!("make {count} under {prefix}"));
        if self.refuses_partitions {
            let partition = PartitionName::new(7);
            return Err(PartitionsError::InUse {
                wanted: count,
                partition,
            });
        }
        Ok(Made {
            configuration: configuration(reference, prefix),
            failures: BTreeMap::new(),
            node_failures: Vec::new(),
            changed: 3,
            seconds: 0.5,
        })
    }

    async fn converge(
        &self,
        desired: &Desired,
        heard: Heard,
        reports: mpsc::Sender<Report>,
    ) -> Converged {
        self.heard.lock().unwrap().push(heard);
        let urls: Vec<_> = desired.software.keys().map(ToString::to_string).collect();
        self.asked
            .lock()
            .unwrap()
            .push(format!("converge {}", urls.join(" ")));
        for url in desired.software.keys().cloned() {
            reports
                .send(Report::SoftwareAvailable { url })
                .await
                .unwrap();
        }
        self.converged
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or_default()
    }

    fn look_at_promises(&self) {
        self.asked.lock().unwrap().push("look at promises".into());
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl FakeMaster {
    pub(super) fn wanting(url: &str) -> Self {
        let master = Self::default();
        master.want(url);
        master
    }

    pub(super) fn want(&self, url: &str) {
        self.desired.lock().unwrap().push_back(Ok(desired(url)));
    }

    fn reached(&self, what: String) -> Result<(), UpstreamError> {
        if *self.away.lock().unwrap() {
            return Err(away());
        }
        self.asked.lock().unwrap().push(what);
        Ok(())
    }
}

impl Upstream for FakeMaster {
    async fn desired(&self) -> Result<Desired, UpstreamError> {
        self.reached("desired".into())?;
        let mut prepared = self.desired.lock().unwrap();
        let next = if prepared.len() > 1 {
            prepared.pop_front()
        } else {
            prepared.front().cloned()
        };
        next.unwrap_or_else(|| Err(away()))
    }

    async fn announce(&self, computer: &ComputerConfiguration) -> Result<(), UpstreamError> {
        self.reached(format!("announce {}", computer.reference))
    }

    async fn report(&self, report: &Report) -> Result<(), UpstreamError> {
        self.reached(format!("report {}", report.subject()))
    }

    async fn node_report(&self, _: &NodeReport) -> Result<(), UpstreamError> {
        self.reached("node report".into())
    }

    async fn report_usage(&self, _: &str) -> Result<(), UpstreamError> {
        self.reached("usage".into())
    }

    async fn watch(&self, since: u64) -> Result<Option<u64>, UpstreamError> {
        if self.is_plain {
            return Ok(None);
        }
        let mut generation = self.generation.subscribe();
        let changed = timeout(
            Duration::from_secs(50),
            generation.wait_for(|now| *now != since),
        )
        .await;
        Ok(Some(changed.map_or(since, |now| *now.unwrap())))
    }
}

pub(super) fn desired(url: &str) -> Desired {
    let software = [(SoftwareUrl::new(url), SupplyState::Available)].into();
    Desired {
        software,
        ..Desired::default()
    }
}

pub(super) fn configuration(reference: &ComputerId, prefix: Ipv6Net) -> ComputerConfiguration {
    ComputerConfiguration {
        reference: reference.clone(),
        address: Some(prefix.network().into()),
        netmask: None,
        instance_root: "/srv/slapgrid".into(),
        software_root: "/srv/slapgrid/software".into(),
        software_user: "slapsoft".into(),
        storage_home: None,
        tap_gateway_interface: None,
        os_type: "[]".into(),
        version: "test".into(),
        interface: None,
        partitions: Vec::<PartitionConfiguration>::new(),
    }
}
