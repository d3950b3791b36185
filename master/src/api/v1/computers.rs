//! Computers as people see them, and what those decide about them who manage their projects.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use slap::v1;

use crate::api::ApiError;
use crate::api::caller::Caller;
use crate::api::extract::Path;
use crate::api::slap::instance::begin;
use crate::api::slap::project;
use crate::enrolment::ComputerState;
use crate::identity::{ComputerId, ProjectName};
use crate::master::Master;
use crate::placement::place_waiting;
use crate::store::computers::{self, Computer};
use crate::store::supplies::Supply;
use crate::store::{Connection, instances, partitions, supplies};

pub(super) async fn list(
    State(master): State<Arc<Master>>,
    caller: Caller,
) -> Result<Json<v1::Computers>, ApiError> {
    caller.must_be_user()?;
    let mut db = master.store.snapshot().await?;
    let mut around = Around {
        software: supplies::all_supplies(&mut db).await?,
        partitions: partitions::counts(&mut db).await?,
        warnings: computers::all_warnings(&mut db).await?,
    };
    let computers = computers::computers(&mut db)
        .await?
        .into_iter()
        .filter(|it| caller.sees(&it.reference, &it.project))
        .map(|it| shown(&master, it, &mut around))
        .collect::<Result<_, _>>()?;
    Ok(Json(v1::Computers { computers }))
}

pub(super) async fn show(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Path(reference): Path<ComputerId>,
) -> Result<Json<v1::Computer>, ApiError> {
    let mut db = master.store.snapshot().await?;
    caller.may_see(&mut db, &reference).await?;
    Ok(Json(read(&master, &mut db, &reference).await?))
}

pub(super) async fn approve(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Path(reference): Path<ComputerId>,
) -> Result<Json<v1::Computer>, ApiError> {
    let mut writing = begin(&master, &caller).await?;
    caller.may_manage(writing.db(), &reference).await?;
    match state(writing.db(), &reference).await? {
        ComputerState::Pending => {
            writing
                .set_computer_state(&reference, ComputerState::Approved)
                .await?;
        }
        ComputerState::Approved | ComputerState::Enrolled => {}
        ComputerState::Revoked => {
            return Err(ApiError::Conflict(format!(
                "{reference} is revoked, for good: reset the machine and let it enrol with a new token"
            )));
        }
    }
    let shown = read(&master, writing.db(), &reference).await?;
    writing.commit().await?;
    Ok(Json(shown))
}

pub(super) async fn revoke(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Path(reference): Path<ComputerId>,
) -> Result<Json<v1::Computer>, ApiError> {
    let mut writing = begin(&master, &caller).await?;
    caller.may_manage(writing.db(), &reference).await?;
    if state(writing.db(), &reference).await? != ComputerState::Revoked {
        writing
            .set_computer_state(&reference, ComputerState::Revoked)
            .await?;
        // Who waited for this computer learns that it will not be.
        place_waiting(&mut writing).await?;
    }
    let shown = read(&master, writing.db(), &reference).await?;
    writing.commit().await?;
    Ok(Json(shown))
}

/// Lets the other computers of its project take what a computer builds.
pub(super) async fn trust(
    state: State<Arc<Master>>,
    caller: Caller,
    path: Path<ComputerId>,
) -> Result<Json<v1::Computer>, ApiError> {
    set_trusted(state, caller, path, true).await
}

/// Has nobody take what a computer builds.
pub(super) async fn distrust(
    state: State<Arc<Master>>,
    caller: Caller,
    path: Path<ComputerId>,
) -> Result<Json<v1::Computer>, ApiError> {
    set_trusted(state, caller, path, false).await
}

async fn set_trusted(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Path(reference): Path<ComputerId>,
    trusted: bool,
) -> Result<Json<v1::Computer>, ApiError> {
    let mut writing = begin(&master, &caller).await?;
    caller.may_manage(writing.db(), &reference).await?;
    let computer = found(
        computers::computer(writing.db(), &reference).await?,
        &reference,
    )?;
    if trusted && computer.state == ComputerState::Revoked {
        return Err(ApiError::Conflict(format!(
            "{reference} is revoked, for good"
        )));
    }
    if computer.trusted != trusted {
        writing.set_trusted(&reference, trusted).await?;
    }
    let shown = read(&master, writing.db(), &reference).await?;
    writing.commit().await?;
    Ok(Json(shown))
}

/// Puts a computer into another project. What runs on it is of its project's trees, so nothing may run on it.
pub(super) async fn set_project(
    State(master): State<Arc<Master>>,
    caller: Caller,
    Path((reference, project)): Path<(ComputerId, ProjectName)>,
) -> Result<Json<v1::Computer>, ApiError> {
    caller.must_be_operator()?;
    let mut writing = begin(&master, &caller).await?;
    let computer = found(
        computers::computer(writing.db(), &reference).await?,
        &reference,
    )?;
    project::must_exist(writing.db(), &project).await?;
    if computer.project != project {
        let busy = instances::instances_on(writing.db(), &reference)
            .await?
            .len();
        if busy > 0 {
            return Err(ApiError::Conflict(format!(
                "{busy} instance(s) of the project `{}` are on {reference}: destroy them first",
                computer.project
            )));
        }
        writing.set_project(&reference, &project).await?;
        place_waiting(&mut writing).await?;
    }
    let shown = read(&master, writing.db(), &reference).await?;
    writing.commit().await?;
    Ok(Json(shown))
}

async fn state(db: &mut Connection, reference: &ComputerId) -> Result<ComputerState, ApiError> {
    Ok(found(computers::computer(db, reference).await?, reference)?.state)
}

fn found(computer: Option<Computer>, reference: &ComputerId) -> Result<Computer, ApiError> {
    computer.ok_or_else(|| ApiError::no_computer(reference))
}

async fn read(
    master: &Master,
    db: &mut Connection,
    reference: &ComputerId,
) -> Result<v1::Computer, ApiError> {
    let computer = found(computers::computer(db, reference).await?, reference)?;
    let own = |all: Vec<_>| BTreeMap::from([(reference.clone(), all)]);
    let slots = partitions::partitions(db, reference).await?;
    let busy = slots.iter().filter(|it| it.instance.is_some()).count();
    let mut around = Around {
        software: own(supplies::supplies(db, reference).await?),
        partitions: BTreeMap::from([(reference.clone(), (slots.len() as u64, busy as u64))]),
        warnings: BTreeMap::from([(reference.clone(), computers::warnings(db, reference).await?)]),
    };
    shown(master, computer, &mut around)
}

/// What is told of computers and kept elsewhere.
struct Around {
    software: BTreeMap<ComputerId, Vec<Supply>>,
    partitions: BTreeMap<ComputerId, (u64, u64)>,
    warnings: BTreeMap<ComputerId, Vec<String>>,
}

fn shown(
    master: &Master,
    computer: Computer,
    around: &mut Around,
) -> Result<v1::Computer, ApiError> {
    let unreadable = |err: serde_json::Error| ApiError::Internal(err.into());
    let reference = computer.reference;
    let (all, busy) = around
        .partitions
        .get(&reference)
        .copied()
        .unwrap_or_default();
    let software = around.software.remove(&reference).unwrap_or_default();
    let last_contact = master.contacts.of(&reference).max(computer.last_contact);
    Ok(v1::Computer {
        state: match computer.state {
            ComputerState::Pending => v1::ComputerState::Pending,
            ComputerState::Approved => v1::ComputerState::Approved,
            ComputerState::Enrolled => v1::ComputerState::Enrolled,
            ComputerState::Revoked => v1::ComputerState::Revoked,
        },
        code: computer.code,
        inventory: serde_json::from_str(&computer.inventory).map_err(unreadable)?,
        labels: computer.labels,
        project: computer.project,
        trusted: computer.trusted,
        last_contact: last_contact.map(|at| at.seconds()),
        report: computer
            .report
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(unreadable)?,
        usage: computer
            .usage
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(unreadable)?,
        partitions: u32::try_from(all).unwrap_or(u32::MAX),
        partitions_used: u32::try_from(busy).unwrap_or(u32::MAX),
        software: software
            .into_iter()
            .map(|it| v1::Software {
                url: it.url,
                requested_state: it.requested,
                reported_state: it.reported,
                status: it.status.text,
            })
            .collect(),
        warnings: around.warnings.remove(&reference).unwrap_or_default(),
        reference,
    })
}
