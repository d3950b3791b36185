//! The one verb: "there shall be an instance like this". Each function is one step inside a transaction of the store.
//! Which computer gets an instance is `allocation`'s to choose.

use std::collections::BTreeMap;

use slap::state::InstanceReport;
use slap::{InstanceGuid, PartitionId, RequestedState, SupplyState};

use crate::allocation::{Wish, allocate};
use crate::identity::ComputerId;
use crate::instance::{Instance, TreeId};
use crate::store::instances::{NewInstance, Wanted};
use crate::store::{StoreError, Writing, instances, supplies, trees};

/// The one project there is for now.
pub const PROJECT: &str = "default";

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requester {
    /// A person: the instance is the root of a tree.
    Operator,
    /// An instance: the new one is in its tree.
    Partition(ComputerId, PartitionId),
}

/// What is asked for. No state means: started.
#[derive(Clone, Debug)]
pub struct Request {
    pub requester: Requester,
    pub title: String,
    pub software_url: String,
    pub software_type: String,
    pub parameters: BTreeMap<String, String>,
    pub sla: BTreeMap<String, String>,
    pub shared: bool,
    pub state: Option<RequestedState>,
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    /// The instance has a partition.
    Placed(Box<Instance>),
    /// It has none yet, and why.
    NotYet(String),
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("there is no instance in partition `{1}` of `{0}`")]
    NoRequester(ComputerId, PartitionId),
    #[error("`{0}` requested this instance, directly or in turn: it cannot be requested by it")]
    Cycle(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Asks for an instance. Asked again, it updates the one that is there.
pub async fn request(writing: &mut Writing, request: Request) -> Result<Outcome, RequestError> {
    let parent = match &request.requester {
        Requester::Operator => None,
        Requester::Partition(computer, partition) => Some(
            instances::instance_at(writing.db(), computer, partition)
                .await?
                .ok_or_else(|| RequestError::NoRequester(computer.clone(), partition.clone()))?,
        ),
    };
    let tree = match &parent {
        Some(parent) => Some(parent.tree.clone()),
        None => trees::tree(writing.db(), PROJECT, &request.title).await?,
    };
    let known = match &tree {
        Some(tree) => instances::instance_in_tree(writing.db(), tree, &request.title).await?,
        None => None,
    };
    let mut wanted = Wanted {
        software_url: request.software_url,
        software_type: request.software_type,
        parameters: request.parameters,
        sla: request.sla,
        shared: request.shared,
        state: request.state.unwrap_or(RequestedState::Started),
    };
    if let Some(tree) = tree.as_ref().filter(|_| parent.is_some()) {
        wanted.state = limited_by_root(writing, tree, wanted.state).await?;
    }
    match known {
        Some(known) => {
            if let Some(parent) = &parent {
                hang(writing, &known, parent).await?;
            }
            update(writing, known, &wanted).await
        }
        None if wanted.state == RequestedState::Destroyed => Ok(Outcome::NotYet(
            "there is no such instance to destroy".to_owned(),
        )),
        None if tree.is_some() && parent.is_none() => Ok(Outcome::NotYet(
            "what the previous instance of this title requested is still being destroyed"
                .to_owned(),
        )),
        None => {
            let tree = match tree {
                Some(tree) => tree,
                None => writing.add_tree(PROJECT, &request.title).await?,
            };
            let new = NewInstance {
                tree: &tree,
                parent: parent.as_ref().map(|it| &it.reference),
                title: &request.title,
                wanted: &wanted,
            };
            let reference = writing.add_instance(&new).await?;
            place(writing, &reference).await
        }
    }
}

/// What a tree's root is not, none in the tree can be.
async fn limited_by_root(
    writing: &mut Writing,
    tree: &TreeId,
    wanted: RequestedState,
) -> Result<RequestedState, StoreError> {
    let root = instances::members(writing.db(), tree)
        .await?
        .into_iter()
        .find(Instance::is_root);
    Ok(root.map_or(RequestedState::Destroyed, |root| {
        wanted.under(root.requested)
    }))
}

async fn hang(
    writing: &mut Writing,
    known: &Instance,
    parent: &Instance,
) -> Result<(), RequestError> {
    if known.parent.as_ref() == Some(&parent.reference) {
        return Ok(());
    }
    let mut above = Some(parent.clone());
    while let Some(ancestor) = above {
        if ancestor.reference == known.reference {
            return Err(RequestError::Cycle(known.title.clone()));
        }
        above = match &ancestor.parent {
            Some(next) => instances::instance(writing.db(), next).await?,
            None => None,
        };
    }
    Ok(writing
        .set_parent(&known.reference, &parent.reference)
        .await?)
}

async fn update(
    writing: &mut Writing,
    known: Instance,
    wanted: &Wanted,
) -> Result<Outcome, RequestError> {
    if known.requested == RequestedState::Destroyed && wanted.state != RequestedState::Destroyed {
        return Ok(Outcome::NotYet(
            "the previous instance of this title is still being destroyed".to_owned(),
        ));
    }
    if wanted.state == RequestedState::Destroyed {
        return destroy(writing, known).await;
    }
    if current(&known) != *wanted {
        writing.set_wanted(&known.reference, wanted).await?;
        if known.is_root() && wanted.state == RequestedState::Stopped {
            writing
                .set_tree_state(&known.tree, RequestedState::Stopped)
                .await?;
        }
    }
    place(writing, &known.reference).await
}

fn current(known: &Instance) -> Wanted {
    Wanted {
        software_url: known.software_url.clone(),
        software_type: known.software_type.clone(),
        parameters: known.parameters.clone(),
        sla: known.sla.clone(),
        shared: known.shared,
        state: known.requested,
    }
}

async fn destroy(writing: &mut Writing, known: Instance) -> Result<Outcome, RequestError> {
    let doomed = if known.is_root() {
        instances::members(writing.db(), &known.tree).await?
    } else {
        vec![known.clone()]
    };
    for instance in doomed {
        if instance.place.is_none() {
            writing.remove_instance(&instance).await?;
        } else if instance.requested != RequestedState::Destroyed {
            let wanted = Wanted {
                state: RequestedState::Destroyed,
                ..current(&instance)
            };
            writing.set_wanted(&instance.reference, &wanted).await?;
        }
    }
    match instances::instance(writing.db(), &known.reference).await? {
        Some(instance) => Ok(Outcome::Placed(Box::new(instance))),
        None => Ok(Outcome::NotYet("it is destroyed".to_owned())),
    }
}

/// Finds a partition for an instance that has none.
async fn place(writing: &mut Writing, reference: &InstanceGuid) -> Result<Outcome, RequestError> {
    let gone = || StoreError::Database(sqlx::Error::RowNotFound);
    let instance = instances::instance(writing.db(), reference)
        .await?
        .ok_or_else(gone)?;
    if instance.place.is_some() {
        return Ok(Outcome::Placed(Box::new(instance)));
    }
    match try_to_place(writing, &instance).await? {
        None => {
            let placed = instances::instance(writing.db(), reference)
                .await?
                .ok_or_else(gone)?;
            Ok(Outcome::Placed(Box::new(placed)))
        }
        Some(reason) => Ok(Outcome::NotYet(reason)),
    }
}

/// Returns why the instance still waits, or nothing when it has its partition.
async fn try_to_place(
    writing: &mut Writing,
    instance: &Instance,
) -> Result<Option<String>, StoreError> {
    let wish = Wish {
        sla: &instance.sla,
        shared: instance.shared,
    };
    loop {
        let candidates = supplies::candidates(writing.db(), &instance.software_url).await?;
        match allocate(&wish, &candidates, writing.now()) {
            Ok(choice) => {
                // Somebody else may have been quicker where several masters share a database: choose again.
                if writing
                    .occupy(&choice.computer, &choice.partition, &instance.reference)
                    .await?
                {
                    writing.set_waiting(&instance.reference, "").await?;
                    writing.process_again(&instance.reference).await?;
                    return Ok(None);
                }
            }
            Err(reason) => {
                let reason = reason.to_string();
                writing.set_waiting(&instance.reference, &reason).await?;
                return Ok(Some(reason));
            }
        }
    }
}

/// Gives partitions to those who wait, first come first served: called whenever there may be more room than before.
pub async fn place_waiting(writing: &mut Writing) -> Result<(), StoreError> {
    for instance in instances::waiting(writing.db()).await? {
        try_to_place(writing, &instance).await?;
    }
    Ok(())
}

/// Why a release cannot be supplied or removed.
#[derive(Debug, thiserror::Error)]
pub enum SupplyError {
    #[error("there is no computer `{0}`")]
    NoComputer(ComputerId),
    #[error("{count} instance(s) on `{computer}` still run that software: destroy them first")]
    InUse { computer: ComputerId, count: usize },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Wishes that a release be on a computer, or be gone from it.
pub async fn supply(
    writing: &mut Writing,
    computer: &ComputerId,
    url: &str,
    state: SupplyState,
) -> Result<(), SupplyError> {
    if crate::store::computers::computer(writing.db(), computer)
        .await?
        .is_none()
    {
        return Err(SupplyError::NoComputer(computer.clone()));
    }
    if state == SupplyState::Destroyed {
        let count = instances::instances_on(writing.db(), computer)
            .await?
            .values()
            .filter(|it| it.software_url == url)
            .count();
        if count > 0 {
            return Err(SupplyError::InUse {
                computer: computer.clone(),
                count,
            });
        }
        if supplies::supply(writing.db(), computer, url)
            .await?
            .is_none()
        {
            return Ok(());
        }
    }
    writing.set_supply(computer, url, state).await?;
    Ok(place_waiting(writing).await?)
}

/// Takes note that a node destroyed what was in a partition. Unasked, it is noted and nothing else.
pub async fn destroyed(writing: &mut Writing, instance: &Instance) -> Result<(), StoreError> {
    let status = "#access Instance correctly destroyed";
    writing
        .report_instance(&instance.reference, InstanceReport::Destroyed, status)
        .await?;
    let Some(place) = &instance.place else {
        return Ok(());
    };
    if instance.requested != RequestedState::Destroyed {
        tracing::warn!(instance = %instance.reference, "a node destroyed an instance that nobody wanted destroyed");
        return Ok(());
    }
    writing.vacate(&place.computer, &place.partition).await?;
    writing.remove_instance(instance).await?;
    place_waiting(writing).await
}

/// Records what an instance publishes; who requested it is processed again when that is news.
pub async fn publish(
    writing: &mut Writing,
    instance: &Instance,
    connection: &BTreeMap<String, String>,
) -> Result<(), StoreError> {
    if instance.connection == *connection {
        return Ok(());
    }
    writing
        .set_connection(&instance.reference, connection)
        .await?;
    match &instance.parent {
        Some(parent) => writing.process_again(parent).await,
        None => Ok(()),
    }
}
