//! SLAP itself, at the root, as `slapos.core` speaks it: forms in, marshalled documents or plain text out.
//! Meanings are those of the original (ERP5) master: 408 for "not yet", timestamps of whole microseconds, statuses `#access …`.

pub(super) mod certificates;
pub(super) mod computer;
mod discovery;
mod document;
pub(super) mod instance;
pub(super) mod project;
pub(super) mod software;
pub(super) mod status;
mod told;
mod trees;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::middleware::map_response;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde::Deserialize;
use slap::PartitionId;
use slap::forms::InstanceForm;

use super::error::in_words;
use crate::identity::ComputerId;
use crate::master::Master;

/// Two hundred partitions in a form are 1 MB.
const BODY_LIMIT: usize = 8 * 1024 * 1024;

pub(super) fn routes() -> Router<Arc<Master>> {
    Router::new()
        .route("/getFullComputerInformation", get(told::full))
        .route("/getComputerInformation", get(told::full))
        .route("/registerComputerPartition", get(computer::partition))
        .route("/loadComputerConfigurationFromXML", post(computer::load))
        .route("/computerBang", post(computer::bang))
        .route("/useComputer", post(computer::use_computer))
        .route("/supplySupply", post(software::supply))
        .route("/buildingSoftwareRelease", post(software::building))
        .route("/availableSoftwareRelease", post(software::available))
        .route("/destroyedSoftwareRelease", post(software::destroyed))
        .route("/softwareReleaseError", post(software::error))
        .route("/requestComputerPartition", post(instance::request))
        .route("/startedComputerPartition", post(instance::started))
        .route("/stoppedComputerPartition", post(instance::stopped))
        .route("/destroyedComputerPartition", post(instance::destroyed))
        .route("/softwareInstanceError", post(instance::error))
        .route("/softwareInstanceBang", post(instance::bang))
        .route(
            "/setComputerPartitionConnectionXml",
            post(instance::publish),
        )
        .route("/softwareInstanceRename", post(trees::rename))
        .route(
            "/updateComputerPartitionRelatedInstanceList",
            post(trees::related),
        )
        .route("/getHostingSubscriptionIpList", get(trees::addresses))
        .route("/getComputerStatus", get(status::of_computer))
        .route("/getComputerPartitionStatus", get(status::of_instance))
        .route("/getSoftwareInstallationStatus", get(status::of_software))
        .route("/getRunId", get(discovery::run_id))
        .route("/getHateoasUrl", get(discovery::hateoas_url))
        .route(
            "/getSoftwareReleaseListFromSoftwareProduct",
            get(discovery::product_releases),
        )
        .route(
            "/getComputerPartitionCertificate",
            get(certificates::of_instance),
        )
        .route("/generateComputerCertificate", post(certificates::generate))
        .route("/revokeComputerCertificate", post(certificates::revoke))
        .route("/requestComputer", post(certificates::request_computer))
        .route("/Person_requestComputer", post(certificates::register))
        .route("/Person_getCertificate", post(certificates::log_in))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(map_response(in_words))
}

/// Which computer is asked about.
#[derive(Debug, Deserialize)]
struct OfComputer {
    computer_id: ComputerId,
}

/// Which partition is asked about.
#[derive(Debug, Deserialize)]
struct OfPartition {
    computer_id: ComputerId,
    computer_partition_id: PartitionId,
}

impl From<OfPartition> for InstanceForm {
    fn from(asked: OfPartition) -> Self {
        Self {
            computer: asked.computer_id,
            partition: asked.computer_partition_id,
        }
    }
}

const MARSHALLED: &str = "text/xml; charset=utf-8";

/// A marshalled answer.
struct Marshalled(String);

impl IntoResponse for Marshalled {
    fn into_response(self) -> axum::response::Response {
        ([(header::CONTENT_TYPE, MARSHALLED)], self.0).into_response()
    }
}
