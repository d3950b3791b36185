//! The master as the loop knows it: our types in, SLAP's verbs out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use slap::client::{CallError, Client, InstanceCertificate};
use slap::forms::{BangForm, InstanceForm, SoftwareForm, UsageForm};
use slap::state::{InstanceReport, SoftwareReport};
use slap::v1::NodeReport;
use slap::{ComputerConfiguration, PartitionId};

use super::{Master, words};
use crate::control::Alarm;
use crate::desired::{Desired, PartitionName, SoftwareUrl};
use crate::reconcile::{Kind, Upstream, UpstreamError};
use crate::workload::Report;

impl Upstream for Master {
    async fn desired(&self) -> Result<Desired, UpstreamError> {
        let told = self.told().clone();
        let tag = told.as_ref().map(|(tag, _)| tag);
        let answer = self
            .call(|client| async move { client.computer_if_new(&self.computer, tag).await })
            .await;
        let Some((computer, tag)) = answer.map_err(said)? else {
            let (_, desired) = told.expect("only what was shown can be said to be the same");
            return Ok(desired);
        };
        let desired = Desired::from(&computer);
        *self.told() = tag.map(|tag| (tag, desired.clone()));
        Ok(desired)
    }

    async fn announce(&self, computer: &ComputerConfiguration) -> Result<(), UpstreamError> {
        self.call(|client| async move { client.load_configuration(computer).await })
            .await
            .map_err(said)
    }

    async fn report(&self, report: &Report) -> Result<(), UpstreamError> {
        match report {
            Report::SoftwareBuilding { url } => {
                self.software(url, SoftwareReport::Building, "").await
            }
            Report::SoftwareAvailable { url } => {
                self.software(url, SoftwareReport::Available, "").await
            }
            Report::SoftwareDestroyed { url } => {
                self.software(url, SoftwareReport::Destroyed, "").await
            }
            Report::SoftwareError { url, log } => {
                self.software(url, SoftwareReport::Error, log).await
            }
            Report::Started { partition } => {
                self.instance(*partition, InstanceReport::Started, "").await
            }
            Report::Stopped { partition } => {
                self.instance(*partition, InstanceReport::Stopped, "").await
            }
            Report::Destroyed { partition } => {
                // As the peer: what is gone was stopped first.
                self.instance(*partition, InstanceReport::Stopped, "")
                    .await?;
                self.instance(*partition, InstanceReport::Destroyed, "")
                    .await
            }
            Report::InstanceError { partition, message } => {
                self.instance(*partition, InstanceReport::Error, message)
                    .await
            }
            Report::Requested { partition, titles } => self.requested(*partition, titles).await,
            Report::Bang { partition, message } => self.bang(*partition, message).await,
            Report::Connection {
                partition,
                parameters,
            } => self.publish(*partition, None, parameters).await,
            Report::SharedConnection {
                partition,
                share,
                parameters,
            } => self.publish(*partition, Some(share), parameters).await,
        }
    }

    async fn node_report(&self, report: &NodeReport) -> Result<(), UpstreamError> {
        if !self.has("report").await? {
            return Ok(());
        }
        self.call(|client| async move { client.report(report).await })
            .await
            .map_err(said)
    }

    async fn report_usage(&self, document: &str) -> Result<(), UpstreamError> {
        let call = |client: Arc<Client>| async move {
            let form = UsageForm {
                computer: self.computer.clone(),
                usage: document.to_owned(),
            };
            client.report_usage(&form).await
        };
        self.call(call).await.map_err(said)
    }

    async fn watch(&self, since: u64) -> Result<Option<u64>, UpstreamError> {
        if !self.has("watch").await? {
            return Ok(None);
        }
        let answer = self
            .call(|client| async move { client.watch(&self.computer, since).await })
            .await;
        answer.map(Some).map_err(said)
    }
}

impl Alarm for Master {
    async fn bang(&self, message: &str) -> Result<(), String> {
        self.call(|client| async move { client.bang_computer(&self.computer, message).await })
            .await
            .map_err(|error| said(error).reason)
    }
}

impl Master {
    /// Whether the master has an extension. A plain SLAP master has none.
    pub(super) async fn has(&self, extension: &str) -> Result<bool, UpstreamError> {
        let known = self
            .extensions
            .get_or_try_init(async || {
                match self
                    .call(|client| async move { client.discover().await })
                    .await
                {
                    Ok(discovery) => Ok(discovery.endpoints),
                    Err(CallError::NotFound(_) | CallError::BadAnswer { .. }) => Ok(Vec::new()),
                    Err(error) => Err(said(error)),
                }
            })
            .await?;
        Ok(known.iter().any(|known| known == extension))
    }

    async fn software(
        &self,
        url: &SoftwareUrl,
        report: SoftwareReport,
        log: &str,
    ) -> Result<(), UpstreamError> {
        let call = |client: Arc<Client>| async move {
            let form = SoftwareForm {
                url: url.as_str().to_owned(),
                computer: self.computer.clone(),
            };
            client.report_software(form, report, log).await
        };
        self.call(call).await.map_err(said)
    }

    async fn instance(
        &self,
        partition: PartitionName,
        report: InstanceReport,
        log: &str,
    ) -> Result<(), UpstreamError> {
        let call = |client: Arc<Client>| async move {
            client
                .report_instance(self.form(partition), report, log)
                .await
        };
        self.call(call).await.map_err(said)
    }

    /// Has a certificate made for the instance in a partition.
    pub async fn instance_certificate(
        &self,
        partition: PartitionName,
    ) -> Result<InstanceCertificate, String> {
        let call = |client: Arc<Client>| async move {
            client.instance_certificate(&self.form(partition)).await
        };
        let issued = self
            .call(call)
            .await
            .map_err(|error| words::reason(&error))?;
        if issued.certificate.is_empty() || issued.key.is_empty() {
            return Err("the master gives none".to_owned());
        }
        Ok(issued)
    }

    /// Returns the addresses of all instances of the tree that the one in a partition belongs to.
    pub async fn addresses_of_tree(&self, partition: PartitionName) -> Result<Vec<IpAddr>, String> {
        let call = |client: Arc<Client>| async move {
            client.addresses_of_tree(&self.form(partition)).await
        };
        match self.call(call).await {
            Ok(addresses) => Ok(addresses.into_iter().map(|it| it.address).collect()),
            // slapproxy does not tell.
            Err(CallError::NotFound(_)) => Ok(Vec::new()),
            Err(error) => Err(words::reason(&error)),
        }
    }

    async fn requested(
        &self,
        partition: PartitionName,
        titles: &[String],
    ) -> Result<(), UpstreamError> {
        let call = |client: Arc<Client>| async move {
            client.report_requested(self.form(partition), titles).await
        };
        match self.call(call).await {
            // slapproxy and old masters do not care.
            Err(CallError::NotFound(_)) => Ok(()),
            other => other.map_err(said),
        }
    }

    async fn publish(
        &self,
        partition: PartitionName,
        share: Option<&str>,
        parameters: &BTreeMap<String, String>,
    ) -> Result<(), UpstreamError> {
        let call = |client: Arc<Client>| async move {
            let (instance, share) = (self.form(partition), share.map(str::to_owned));
            client
                .publish_for(instance, share, parameters.clone())
                .await
        };
        self.call(call).await.map_err(said)
    }

    async fn bang(&self, partition: PartitionName, message: &str) -> Result<(), UpstreamError> {
        let call = |client: Arc<Client>| async move {
            let form = BangForm {
                instance: self.form(partition),
                message: message.to_owned(),
            };
            client.bang(&form).await
        };
        self.call(call).await.map_err(said)
    }

    fn form(&self, partition: PartitionName) -> InstanceForm {
        let partition = PartitionId::indexed(partition.index());
        InstanceForm {
            computer: self.computer.clone(),
            partition,
        }
    }
}

/// The failure in words, with what it means for the next try.
pub(super) fn said(error: CallError) -> UpstreamError {
    let kind = if words::is_clock(&error) {
        Kind::Clock
    } else if words::is_revoked(&error) {
        Kind::Revoked
    } else if words::is_final(&error) {
        Kind::Never
    } else {
        Kind::Later
    };
    UpstreamError {
        reason: words::reason(&error),
        kind,
    }
}
