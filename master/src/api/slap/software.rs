//! Software releases on computers: wished by operators, reported by nodes.

use std::sync::Arc;

use axum::extract::State;
use slap::forms::{FormError, SoftwareErrorForm, SoftwareForm, SupplyForm};
use slap::state::SoftwareReport;

use super::last_words;
use crate::api::ApiError;
use crate::api::caller::Caller;
use crate::api::error::chain;
use crate::api::extract::Fields;
use crate::master::Master;
use crate::supplying;

pub(super) async fn supply(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<String, ApiError> {
    caller.must_be_operator()?;
    let form = SupplyForm::from_fields(fields).map_err(bad)?;
    let mut writing = master
        .store
        .write(caller.to_string(), master.clock.now())
        .await?;
    supplying::supply(&mut writing, &form.computer, &form.url, form.state).await?;
    writing.commit().await?;
    Ok(format!("Supplied '{}' to be {}", form.url, form.state))
}

pub(super) async fn building(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<String, ApiError> {
    let form = SoftwareForm::from_fields(fields).map_err(bad)?;
    let status = format!("#building software release {}", form.url);
    report(&master, &caller, &form, SoftwareReport::Building, &status).await
}

pub(super) async fn available(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<String, ApiError> {
    let form = SoftwareForm::from_fields(fields).map_err(bad)?;
    let status = format!("#access software release {} available", form.url);
    report(&master, &caller, &form, SoftwareReport::Available, &status).await
}

pub(super) async fn error(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<String, ApiError> {
    let form = SoftwareErrorForm::from_fields(fields).map_err(bad)?;
    let status = format!(
        "#error while installing {}: {}",
        form.software.url,
        last_words(&form.log)
    );
    report(
        &master,
        &caller,
        &form.software,
        SoftwareReport::Error,
        &status,
    )
    .await
}

pub(super) async fn destroyed(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Fields(fields): Fields,
) -> Result<String, ApiError> {
    let form = SoftwareForm::from_fields(fields).map_err(bad)?;
    caller.may_see(&form.computer)?;
    let mut writing = master
        .store
        .write(caller.to_string(), master.clock.now())
        .await?;
    if !writing.remove_supply(&form.computer, &form.url).await? {
        return Err(ApiError::NotFound(format!(
            "nobody asked that `{}` be destroyed on {}",
            form.url, form.computer
        )));
    }
    writing.commit().await?;
    Ok("OK".to_owned())
}

async fn report(
    master: &Master,
    caller: &Caller,
    form: &SoftwareForm,
    report: SoftwareReport,
    status: &str,
) -> Result<String, ApiError> {
    caller.may_see(&form.computer)?;
    let mut writing = master
        .store
        .write(caller.to_string(), master.clock.now())
        .await?;
    if !writing
        .report_supply(&form.computer, &form.url, report, status)
        .await?
    {
        return Err(ApiError::NotFound(format!(
            "`{}` is not supplied on {}",
            form.url, form.computer
        )));
    }
    writing.commit().await?;
    Ok("OK".to_owned())
}

fn bad(error: FormError) -> ApiError {
    ApiError::BadRequest(chain(&error))
}
