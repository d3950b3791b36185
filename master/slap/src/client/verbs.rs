//! The verbs of SLAP that nodes and people use.

use std::collections::BTreeMap;

use reqwest::header::{ETAG, IF_NONE_MATCH};

use super::Client;
use super::call::{Call, bad_answer, text_of};
use super::error::{AnswerError, CallError};
use crate::computer::Computer;
use crate::configuration::ComputerConfiguration;
use crate::forms::{
    BangForm, ConnectionForm, ErrorForm, InstanceForm, RequestForm, SoftwareErrorForm,
    SoftwareForm, SupplyForm, UsageForm,
};
use crate::id::{ComputerId, PartitionId};
use crate::instance::SoftwareInstance;
use crate::partition::{ComputerPartition, NetworkAddress};
use crate::state::{InstanceReport, SoftwareReport};
use crate::value::Value;
use crate::xml::{self, DocumentError};

/// What a master calls one version of a document (`ETag`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(String);

/// By what an instance is known to its master.
#[derive(Clone, PartialEq, Eq)]
pub struct InstanceCertificate {
    /// The certificate in PEM; empty where a master knows nobody by certificates.
    pub certificate: String,
    /// Its key in PEM.
    pub key: String,
}

impl InstanceCertificate {
    fn from_xml(text: &str) -> Result<Self, DocumentError> {
        let fields = xml::read(text)?;
        let field = |name: &str| {
            let Value::Dict(fields) = &fields else {
                return None;
            };
            fields.get(name).and_then(Value::scalar_text)
        };
        Ok(Self {
            certificate: field("certificate").unwrap_or_default(),
            key: field("key").unwrap_or_default(),
        })
    }
}

impl std::fmt::Debug for InstanceCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InstanceCertificate(…)")
    }
}

fn full_information(computer: &ComputerId) -> Call {
    Call::get(["getFullComputerInformation"]).query("computer_id", computer)
}

impl Client {
    /// `getFullComputerInformation`: everything that shall be on a computer.
    pub async fn computer(&self, computer: &ComputerId) -> Result<Computer, CallError> {
        let call = full_information(computer);
        Computer::from_xml(&self.text(&call).await?).map_err(|err| bad_answer(&call, err))
    }

    /// As [`Client::computer`], but nothing when it is still the one that came with `tag`. A master without tags answers each time.
    pub async fn computer_if_new(
        &self,
        computer: &ComputerId,
        tag: Option<&Tag>,
    ) -> Result<Option<(Computer, Option<Tag>)>, CallError> {
        let mut call = full_information(computer);
        if let Some(Tag(tag)) = tag {
            call = call.header(IF_NONE_MATCH.as_str(), tag);
        }
        let answer = match self.send(&call).await {
            // Unasked for, it is an error as any other.
            Err(CallError::Status { status: 304, .. }) if tag.is_some() => return Ok(None),
            other => other?,
        };
        let tag = answer.headers().get(ETAG).and_then(|it| it.to_str().ok());
        let tag = tag.map(|it| Tag(it.to_owned()));
        let text = text_of(&call, answer).await?;
        let document = Computer::from_xml(&text).map_err(|err| bad_answer(&call, err))?;
        Ok(Some((document, tag)))
    }

    /// `registerComputerPartition`: what shall be in one partition.
    pub async fn computer_partition(
        &self,
        computer: &ComputerId,
        partition: &PartitionId,
    ) -> Result<ComputerPartition, CallError> {
        let call = Call::get(["registerComputerPartition"])
            .query("computer_reference", computer)
            .query("computer_partition_reference", partition);
        ComputerPartition::from_xml(&self.text(&call).await?).map_err(|err| bad_answer(&call, err))
    }

    /// `loadComputerConfigurationFromXML`: announces the partitions that a computer has; others are gone.
    pub async fn load_configuration(
        &self,
        configuration: &ComputerConfiguration,
    ) -> Result<(), CallError> {
        let pairs = vec![("xml", configuration.to_xml())];
        self.post("loadComputerConfigurationFromXML", pairs).await
    }

    /// `getSoftwareReleaseListFromSoftwareProduct`: the URLs of a product's releases, the best first; none when nobody knows it.
    pub async fn product_releases(&self, product: &str) -> Result<Vec<String>, CallError> {
        let call = Call::get(["getSoftwareReleaseListFromSoftwareProduct"])
            .query("software_product_reference", product);
        let text = self.text(&call).await?;
        let listed = xml::read(&text).map_err(|err| bad_answer(&call, DocumentError::from(err)))?;
        let (Value::List(urls) | Value::Tuple(urls)) = listed else {
            return Err(bad_answer(&call, AnswerError::Other("not a list")));
        };
        Ok(urls.iter().filter_map(Value::scalar_text).collect())
    }

    /// `supplySupply`: a release shall be on a computer, or leave it.
    pub async fn supply(&self, form: &SupplyForm) -> Result<(), CallError> {
        self.post("supplySupply", form.to_pairs()).await
    }

    /// `requestComputerPartition`: there shall be an instance like this. [`CallError::NotReady`] until it has a partition.
    pub async fn request(&self, form: &RequestForm) -> Result<SoftwareInstance, CallError> {
        let mut call = Call::form("requestComputerPartition", &form.to_pairs());
        if let Some(requester) = &form.requester {
            call = call.header("authorization", &requester.authorization());
        }
        SoftwareInstance::from_xml(&self.text(&call).await?).map_err(|err| bad_answer(&call, err))
    }

    /// Reports how far a release is: `buildingSoftwareRelease`, `availableSoftwareRelease`, `destroyedSoftwareRelease`,
    /// `softwareReleaseError` with a log.
    pub async fn report_software(
        &self,
        software: SoftwareForm,
        report: SoftwareReport,
        log: &str,
    ) -> Result<(), CallError> {
        match report {
            SoftwareReport::Building => {
                self.post("buildingSoftwareRelease", software.to_pairs())
                    .await
            }
            SoftwareReport::Available => {
                self.post("availableSoftwareRelease", software.to_pairs())
                    .await
            }
            SoftwareReport::Destroyed => {
                self.post("destroyedSoftwareRelease", software.to_pairs())
                    .await
            }
            SoftwareReport::Error => {
                let form = SoftwareErrorForm {
                    software,
                    log: log.to_owned(),
                };
                self.post("softwareReleaseError", form.to_pairs()).await
            }
        }
    }

    /// Reports how an instance is: `startedComputerPartition`, `stoppedComputerPartition`, `destroyedComputerPartition`,
    /// `softwareInstanceError` with a log.
    pub async fn report_instance(
        &self,
        instance: InstanceForm,
        report: InstanceReport,
        log: &str,
    ) -> Result<(), CallError> {
        match report {
            InstanceReport::Started => {
                self.post_as("startedComputerPartition", &instance, instance.to_pairs())
                    .await
            }
            InstanceReport::Stopped => {
                self.post_as("stoppedComputerPartition", &instance, instance.to_pairs())
                    .await
            }
            InstanceReport::Destroyed => {
                self.post_as("destroyedComputerPartition", &instance, instance.to_pairs())
                    .await
            }
            InstanceReport::Error => {
                let form = ErrorForm {
                    shared: None,
                    instance,
                    log: log.to_owned(),
                };
                self.post_as("softwareInstanceError", &form.instance, form.to_pairs())
                    .await
            }
        }
    }

    /// `setComputerPartitionConnectionXml`: what an instance publishes, instead of what it published before.
    pub async fn publish_connection(
        &self,
        instance: InstanceForm,
        connection: BTreeMap<String, String>,
    ) -> Result<(), CallError> {
        self.publish_for(instance, None, connection).await
    }

    /// The same for one that shares the instance, by its reference, or for the instance itself.
    pub async fn publish_for(
        &self,
        instance: InstanceForm,
        shared: Option<String>,
        connection: BTreeMap<String, String>,
    ) -> Result<(), CallError> {
        let form = ConnectionForm {
            instance,
            connection,
            shared,
        };
        self.post_as(
            "setComputerPartitionConnectionXml",
            &form.instance,
            form.to_pairs(),
        )
        .await
    }

    /// `getComputerPartitionCertificate`: a certificate by which an instance is known, with its key, which the master does not keep.
    pub async fn instance_certificate(
        &self,
        instance: &InstanceForm,
    ) -> Result<InstanceCertificate, CallError> {
        let call = Call::get(["getComputerPartitionCertificate"])
            .query("computer_id", &instance.computer)
            .query("computer_partition_id", &instance.partition);
        let text = self.text(&call).await?;
        InstanceCertificate::from_xml(&text).map_err(|err| bad_answer(&call, err))
    }

    /// `getHostingSubscriptionIpList`: the addresses of all instances of an instance's tree.
    pub async fn addresses_of_tree(
        &self,
        instance: &InstanceForm,
    ) -> Result<Vec<NetworkAddress>, CallError> {
        let call = Call::get(["getHostingSubscriptionIpList"])
            .query("computer_id", &instance.computer)
            .query("computer_partition_id", &instance.partition);
        let text = self.text(&call).await?;
        NetworkAddress::list_from_xml(&text).map_err(|err| bad_answer(&call, err))
    }

    /// `updateComputerPartitionRelatedInstanceList`: what an instance requested of others when it was last processed, by title.
    pub async fn report_requested(
        &self,
        instance: InstanceForm,
        titles: &[String],
    ) -> Result<(), CallError> {
        let titles = titles.iter().cloned().map(Value::String).collect();
        let mut pairs = instance.to_pairs();
        pairs.push(("instance_reference_xml", xml::write(&Value::List(titles))));
        self.post_as(
            "updateComputerPartitionRelatedInstanceList",
            &instance,
            pairs,
        )
        .await
    }

    /// `softwareInstanceBang`: the instance's tree shall be looked at again.
    pub async fn bang(&self, form: &BangForm) -> Result<(), CallError> {
        self.post_as("softwareInstanceBang", &form.instance, form.to_pairs())
            .await
    }

    /// `useComputer`: what a computer and its partitions used.
    pub async fn report_usage(&self, form: &UsageForm) -> Result<(), CallError> {
        self.post("useComputer", form.to_pairs()).await
    }

    /// `computerBang`: all instances of a computer shall be looked at again.
    pub async fn bang_computer(
        &self,
        computer: &ComputerId,
        message: &str,
    ) -> Result<(), CallError> {
        let pairs = vec![
            ("computer_id", computer.to_string()),
            ("message", message.to_owned()),
        ];
        self.post("computerBang", pairs).await
    }

    async fn post(&self, path: &str, pairs: crate::forms::Pairs) -> Result<(), CallError> {
        self.send(&Call::form(path, &pairs)).await.map(drop)
    }

    async fn post_as(
        &self,
        path: &str,
        instance: &InstanceForm,
        pairs: crate::forms::Pairs,
    ) -> Result<(), CallError> {
        let call = Call::form(path, &pairs).header("authorization", &instance.authorization());
        self.send(&call).await.map(drop)
    }
}
