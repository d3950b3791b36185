//! Instances: requested by people and by other instances, reported by nodes.

use std::sync::Arc;

use axum::extract::State;
use slap::forms::{BangForm, ConnectionForm, ErrorForm, FormError, InstanceForm, RequestForm};
use slap::state::InstanceReport;

use super::computer::known_in;
use super::project::{self, Asked};
use super::{Marshalled, document};
use crate::api::ApiError;
use crate::api::caller::{Caller, Claimed};
use crate::api::error::chain;
use crate::api::extract::Fields;
use crate::identity::ComputerId;
use crate::instance::Instance;
use crate::master::{Master, Open};
use crate::reports;
use crate::requests::{self, Outcome, Request, RequestError, Requester};
use crate::store::{Connection, Writing, instances};
use crate::supplying;

pub(super) async fn request(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Claimed(claimed): Claimed,
    Fields(fields): Fields,
) -> Result<Marshalled, ApiError> {
    let form = RequestForm::from_fields(fields).map_err(bad)?;
    let mut writing = begin(&master, &caller).await?;
    let asked = Asked {
        project: form.project.as_ref(),
        sla: &form.filter,
        title: form.title.as_str(),
    };
    let asker = claimed.as_ref().or(form.requester.as_ref());
    let request = Request {
        requester: requester(writing.db(), &caller, asker, asked).await?,
        title: form.title.to_string(),
        software_url: form.software_url,
        software_type: form.software_type,
        parameters: form.parameters,
        sla: form.filter,
        shared: form.shared,
        state: form.state,
    };
    match carry_out(&master, writing, request, claimed.is_some()).await? {
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

/// Carries a request out, and ends the transaction. `by_header`: its requester is the partition that the `Authorization` header names.
pub(in crate::api) async fn carry_out(
    master: &Master,
    mut writing: Writing,
    request: Request,
    by_header: bool,
) -> Result<Outcome, ApiError> {
    if let Some(open) = &master.open
        && !runs_already(&request)
    {
        let computer = wished_computer(&request, open);
        supplying::supply_if_nowhere(&mut writing, computer, &request.software_url).await?;
    }
    let outcome = requests::request(&mut writing, request)
        .await
        .map_err(|err| refused(err, by_header))?;
    writing.commit().await?;
    Ok(outcome)
}

/// Returns in whose name is requested: a user's, or that of a partition that the caller may speak for.
pub(in crate::api) async fn requester(
    db: &mut Connection,
    caller: &Caller,
    asker: Option<&InstanceForm>,
    asked: Asked<'_>,
) -> Result<Requester, ApiError> {
    let partition =
        |it: &InstanceForm| Requester::Partition(it.computer.clone(), it.partition.clone());
    match (caller, asker) {
        (Caller::Instance(own), None) => {
            let place = own.place.as_ref().ok_or(ApiError::UnknownCaller)?;
            Ok(Requester::Partition(
                place.computer.clone(),
                place.partition.clone(),
            ))
        }
        (Caller::Instance(own), Some(asker)) => {
            let place = own.place.as_ref();
            if place
                .is_some_and(|it| it.computer == asker.computer && it.partition == asker.partition)
            {
                return Ok(partition(asker));
            }
            Err(ApiError::Forbidden(format!(
                "{} may not request in the name of {} of {}",
                own.reference, asker.partition, asker.computer
            )))
        }
        (Caller::User(_), Some(asker)) => {
            let instance = known_in(db, caller, asker).await?;
            caller.may_speak_for(&instance)?;
            Ok(partition(asker))
        }
        (Caller::Anyone | Caller::Operator(_) | Caller::Computer(_), Some(asker)) => {
            caller.may_act_as(&asker.computer)?;
            Ok(partition(asker))
        }
        (Caller::Anyone | Caller::Operator(_) | Caller::User(_) | Caller::Computer(_), None) => {
            project::of_request(db, caller, asked).await
        }
    }
}

/// What has a partition has its software supplied.
fn runs_already(request: &Request) -> bool {
    match &request.requester {
        Requester::User {
            root: Some(root), ..
        } => root.place.is_some() && root.software_url == request.software_url,
        Requester::User { root: None, .. } | Requester::Partition(..) => false,
    }
}

/// Where an open master has nothing supplied, what is requested is supplied on the computer that is asked for, or on the one it has.
fn wished_computer<'a>(request: &'a Request, open: &'a Open) -> Option<&'a str> {
    let wished = request.sla.get("computer_guid").map(String::as_str);
    wished.or(open.default_computer.as_ref().map(ComputerId::as_str))
}

/// A header that names a partition without an instance is a wrong request; a form that does is one for nothing.
fn refused(error: RequestError, by_header: bool) -> ApiError {
    if by_header && matches!(error, RequestError::NoRequester(..)) {
        return ApiError::BadRequest(error.to_string());
    }
    error.into()
}

pub(super) async fn started(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<&'static str, ApiError> {
    report(&master, &caller, fields, InstanceReport::Started).await
}

pub(super) async fn stopped(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<&'static str, ApiError> {
    report(&master, &caller, fields, InstanceReport::Stopped).await
}

pub(super) async fn destroyed(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<&'static str, ApiError> {
    report(&master, &caller, fields, InstanceReport::Destroyed).await
}

pub(super) async fn error(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<&'static str, ApiError> {
    let form = ErrorForm::from_fields(fields).map_err(bad)?;
    let (mut writing, instance) = begin_about(&master, &caller, &form.instance).await?;
    let about = share_or_self(&mut writing, instance, form.shared.as_deref()).await?;
    reports::record(&mut writing, &about, InstanceReport::Error, &form.log).await?;
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
    reports::bang(&mut writing, &instance, &form.message).await?;
    writing.commit().await?;
    Ok("OK")
}

/// What an instance is, its computer says.
async fn report(
    master: &Master,
    caller: &Caller,
    fields: slap::forms::Fields,
    said: InstanceReport,
) -> Result<&'static str, ApiError> {
    let form = InstanceForm::from_fields(fields).map_err(bad)?;
    caller.may_act_as(&form.computer)?;
    let (mut writing, instance) = begin_about(master, caller, &form).await?;
    reports::record(&mut writing, &instance, said, "").await?;
    writing.commit().await?;
    Ok("OK")
}

/// Begins to write about the instance in a partition, in its name.
pub(super) async fn begin_about(
    master: &Master,
    caller: &Caller,
    form: &InstanceForm,
) -> Result<(Writing, Instance), ApiError> {
    let mut writing = begin(master, caller).await?;
    let instance = known_in(writing.db(), caller, form).await?;
    caller.may_speak_for(&instance)?;
    Ok((writing, instance))
}

/// Returns the instance, or the one of its shares that is meant.
pub(super) async fn share_or_self(
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

pub(in crate::api) async fn begin(master: &Master, caller: &Caller) -> Result<Writing, ApiError> {
    Ok(master
        .store
        .write(caller.to_string(), master.clock.now())
        .await?)
}

pub(super) fn bad(error: FormError) -> ApiError {
    ApiError::BadRequest(chain(&error))
}
