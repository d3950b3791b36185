//! Software releases on computers: wished by operators, reported by nodes.

use std::sync::Arc;

use axum::extract::State;
use slap::forms::{SoftwareErrorForm, SoftwareForm, SupplyForm};
use slap::state::SoftwareReport;

use super::instance::{bad, begin};
use crate::api::ApiError;
use crate::api::caller::Caller;
use crate::api::extract::Fields;
use crate::master::Master;
use crate::reports::last_words;
use crate::supplying;

pub(super) async fn supply(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<String, ApiError> {
    let form = SupplyForm::from_fields(fields).map_err(bad)?;
    let mut writing = begin(&master, &caller).await?;
    caller.may_manage(writing.db(), &form.computer).await?;
    supplying::supply(&mut writing, &form.computer, &form.url, form.state).await?;
    writing.commit().await?;
    Ok(format!("Supplied '{}' to be {}", form.url, form.state))
}

pub(super) async fn building(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<&'static str, ApiError> {
    let form = SoftwareForm::from_fields(fields).map_err(bad)?;
    record(&master, &caller, &form, SoftwareReport::Building, "").await
}

pub(super) async fn available(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<&'static str, ApiError> {
    let form = SoftwareForm::from_fields(fields).map_err(bad)?;
    record(&master, &caller, &form, SoftwareReport::Available, "").await
}

pub(super) async fn error(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<&'static str, ApiError> {
    let form = SoftwareErrorForm::from_fields(fields).map_err(bad)?;
    let said = SoftwareReport::Error;
    record(&master, &caller, &form.software, said, &form.log).await
}

pub(super) async fn destroyed(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<&'static str, ApiError> {
    let form = SoftwareForm::from_fields(fields).map_err(bad)?;
    record(&master, &caller, &form, SoftwareReport::Destroyed, "").await
}

/// Records what a node says of a release, of an error with the end of its log. One that is gone as was asked is forgotten.
pub(in crate::api) async fn record(
    master: &Master,
    caller: &Caller,
    form: &SoftwareForm,
    said: SoftwareReport,
    log: &str,
) -> Result<&'static str, ApiError> {
    let SoftwareForm { url, computer } = form;
    caller.may_act_as(computer)?;
    let status = match said {
        SoftwareReport::Building => format!("#building software release {url}"),
        SoftwareReport::Available => format!("#access software release {url} available"),
        SoftwareReport::Error => format!("#error while installing {url}: {}", last_words(log)),
        SoftwareReport::Destroyed => return forget(master, caller, form).await,
    };
    let mut writing = begin(master, caller).await?;
    if !writing.report_supply(computer, url, said, &status).await? {
        return Err(ApiError::NotFound(format!(
            "`{url}` is not supplied on {computer}"
        )));
    }
    writing.commit().await?;
    Ok("OK")
}

async fn forget(
    master: &Master,
    caller: &Caller,
    form: &SoftwareForm,
) -> Result<&'static str, ApiError> {
    let mut writing = begin(master, caller).await?;
    if !writing.remove_supply(&form.computer, &form.url).await? {
        return Err(ApiError::NotFound(format!(
            "nobody asked that `{}` be destroyed on {}",
            form.url, form.computer
        )));
    }
    writing.commit().await?;
    Ok("OK")
}
