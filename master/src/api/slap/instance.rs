//! Instances: requested by people and by other instances, reported by nodes.

use std::sync::Arc;

use axum::extract::State;
use slap::forms::{BangForm, ConnectionForm, ErrorForm, FormError, InstanceForm, RequestForm};
use slap::state::InstanceReport;

use super::{Marshalled, document, last_words};
use crate::api::ApiError;
use crate::api::caller::Caller;
use crate::api::error::chain;
use crate::api::extract::Fields;
use crate::identity::Identity;
use crate::instance::Instance;
use crate::master::Master;
use crate::reports;
use crate::requests::{self, Outcome, Request, Requester};
use crate::store::{Writing, instances};

pub(super) async fn request(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<Marshalled, ApiError> {
    let form = RequestForm::from_fields(fields).map_err(bad)?;
    let requester = match (form.requester, &caller.0) {
        (Some(asker), _) => {
            caller.may_see(&asker.computer)?;
            Requester::Partition(asker.computer, asker.partition)
        }
        (None, Identity::Operator(_)) => Requester::Operator,
        (None, Identity::Computer(own)) => {
            return Err(ApiError::Forbidden(format!(
                "{own} requests in the name of one of its partitions, not in its own"
            )));
        }
    };
    let request = Request {
        requester,
        title: form.title.to_string(),
        software_url: form.software_url,
        software_type: form.software_type,
        parameters: form.parameters,
        sla: form.filter,
        shared: form.shared,
        state: form.state,
    };
    let mut writing = begin(&master, &caller).await?;
    let outcome = requests::request(&mut writing, request).await?;
    writing.commit().await?;
    match outcome {
        Outcome::Placed(instance) => {
            let place = instance
                .place
                .clone()
                .ok_or_else(|| ApiError::NotYet("its partition was taken from it".to_owned()))?;
            Ok(Marshalled(document::instance(*instance, place).to_xml()))
        }
        Outcome::NotYet(reason) => Err(ApiError::NotYet(reason)),
    }
}

pub(super) async fn started(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<&'static str, ApiError> {
    let form = InstanceForm::from_fields(fields).map_err(bad)?;
    let status = "#access Instance correctly started";
    report(&master, &caller, &form, InstanceReport::Started, status).await
}

pub(super) async fn stopped(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<&'static str, ApiError> {
    let form = InstanceForm::from_fields(fields).map_err(bad)?;
    let status = "#access Instance correctly stopped";
    report(&master, &caller, &form, InstanceReport::Stopped, status).await
}

pub(super) async fn error(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<&'static str, ApiError> {
    let form = ErrorForm::from_fields(fields).map_err(bad)?;
    let status = format!("#error while instanciating: {}", last_words(&form.log));
    let (mut writing, instance) = begin_about(&master, &caller, &form.instance).await?;
    let about = share_or_self(&mut writing, instance, form.shared.as_deref()).await?;
    writing
        .report_instance(&about.reference, InstanceReport::Error, &status)
        .await?;
    writing.commit().await?;
    Ok("OK")
}

pub(super) async fn destroyed(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<&'static str, ApiError> {
    let form = InstanceForm::from_fields(fields).map_err(bad)?;
    let (mut writing, instance) = begin_about(&master, &caller, &form).await?;
    reports::destroyed(&mut writing, &instance).await?;
    writing.commit().await?;
    Ok("OK")
}

pub(super) async fn publish(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<&'static str, ApiError> {
    let form = ConnectionForm::from_fields(fields).map_err(bad)?;
    let (mut writing, instance) = begin_about(&master, &caller, &form.instance).await?;
    let publisher = share_or_self(&mut writing, instance, form.shared.as_deref()).await?;
    reports::publish(&mut writing, &publisher, &form.connection).await?;
    writing.commit().await?;
    Ok("done")
}

pub(super) async fn bang(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<&'static str, ApiError> {
    let form = BangForm::from_fields(fields).map_err(bad)?;
    let (mut writing, instance) = begin_about(&master, &caller, &form.instance).await?;
    let status = format!("#error bang called: {}", last_words(&form.message));
    reports::bang(&mut writing, &instance, &status).await?;
    writing.commit().await?;
    Ok("OK")
}

async fn report(
    master: &Master,
    caller: &Caller,
    form: &InstanceForm,
    report: InstanceReport,
    status: &str,
) -> Result<&'static str, ApiError> {
    let (mut writing, instance) = begin_about(master, caller, form).await?;
    writing
        .report_instance(&instance.reference, report, status)
        .await?;
    writing.commit().await?;
    Ok("OK")
}

/// Begins to write about the instance in a partition.
async fn begin_about(
    master: &Master,
    caller: &Caller,
    form: &InstanceForm,
) -> Result<(Writing, Instance), ApiError> {
    caller.may_see(&form.computer)?;
    let mut writing = begin(master, caller).await?;
    let instance = instances::instance_at(writing.db(), &form.computer, &form.partition)
        .await?
        .ok_or_else(|| {
            ApiError::NotFound(format!(
                "there is no instance in partition `{}` of `{}`",
                form.partition, form.computer
            ))
        })?;
    Ok((writing, instance))
}

/// Returns the instance, or the one of its shares that is meant.
async fn share_or_self(
    writing: &mut Writing,
    instance: Instance,
    share: Option<&str>,
) -> Result<Instance, ApiError> {
    let Some(share) = share else {
        return Ok(instance);
    };
    instances::shares_of(writing.db(), &instance.reference)
        .await?
        .into_iter()
        .find(|it| it.reference.as_str() == share)
        .ok_or_else(|| {
            ApiError::NotFound(format!(
                "there is no shared instance `{share}` on {}",
                instance.reference
            ))
        })
}

async fn begin(master: &Master, caller: &Caller) -> Result<Writing, ApiError> {
    Ok(master
        .store
        .write(caller.0.to_string(), master.clock.now())
        .await?)
}

fn bad(error: FormError) -> ApiError {
    ApiError::BadRequest(chain(&error))
}
