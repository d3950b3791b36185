//! The one verb: "there shall be an instance like this". Each function is one step inside a transaction of the store.
//! Where it goes is `placement`'s to find.

use std::collections::{BTreeMap, BTreeSet};

use slap::{PartitionId, RequestedState};

use crate::identity::{ComputerId, ProjectName, UserName};
use crate::instance::{Instance, TreeId};
use crate::placement::{place, place_waiting_shares};
use crate::store::instances::Wanted;
use crate::store::{Connection, StoreError, Writing, instances, trees};

/// How many instances one may have requested.
const MOST_CHILDREN: usize = 100;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requester {
    /// A person, an organisation or an operator: the instance is the root of a tree.
    User {
        project: ProjectName,
        /// Whose trees they may mean by a title, the first one's before the others'; none is the operators'.
        /// A new tree is the first one's.
        owners: Vec<Option<UserName>>,
        /// What is there by this title, as this transaction read it.
        root: Option<Box<Instance>>,
    },
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
    #[error("`{0}` has requested {MOST_CHILDREN} instances, and may have no more at once")]
    TooMany(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Asks for an instance. Asked again, it updates the one that is there.
pub async fn request(writing: &mut Writing, request: Request) -> Result<Outcome, RequestError> {
    let wanted = Wanted {
        software_url: request.software_url,
        software_type: request.software_type,
        parameters: request.parameters,
        sla: request.sla,
        shared: request.shared,
        state: request.state.unwrap_or(RequestedState::Started),
    };
    match request.requester {
        Requester::User {
            root: Some(known), ..
        } => update(writing, *known, &wanted).await,
        Requester::User {
            project,
            owners,
            root: None,
        } => add_root(writing, &project, &owners, &request.title, &wanted).await,
        Requester::Partition(computer, partition) => {
            let parent = instances::instance_at(writing.db(), &computer, &partition)
                .await?
                .ok_or(RequestError::NoRequester(computer, partition))?;
            request_child(writing, &parent, &request.title, wanted).await
        }
    }
}

async fn add_root(
    writing: &mut Writing,
    project: &ProjectName,
    owners: &[Option<UserName>],
    title: &str,
    wanted: &Wanted,
) -> Result<Outcome, RequestError> {
    if wanted.state == RequestedState::Destroyed {
        return Ok(nothing_to_destroy());
    }
    if tree_of(writing.db(), project, owners, title)
        .await?
        .is_some()
    {
        return Ok(Outcome::NotYet(
            "what the previous instance of this title requested is still being destroyed"
                .to_owned(),
        ));
    }
    let owner = owners.first().and_then(Option::as_ref);
    let new = writing.add_root(project, owner, title, wanted).await?;
    placed(writing, new).await
}

async fn request_child(
    writing: &mut Writing,
    parent: &Instance,
    title: &str,
    mut wanted: Wanted,
) -> Result<Outcome, RequestError> {
    let known = instances::instance_in_tree(writing.db(), &parent.tree, title).await?;
    wanted.state = limited_by_root(writing, &parent.tree, wanted.state).await?;
    match known {
        Some(known) => {
            hang(writing, &known, parent).await?;
            update(writing, known, &wanted).await
        }
        None if wanted.state == RequestedState::Destroyed => Ok(nothing_to_destroy()),
        None => {
            has_room(writing, parent).await?;
            let new = writing.add_child(parent, title, &wanted).await?;
            placed(writing, new).await
        }
    }
}

fn nothing_to_destroy() -> Outcome {
    Outcome::NotYet("there is no such instance to destroy".to_owned())
}

/// Returns the tree that a title means to somebody.
async fn tree_of(
    db: &mut Connection,
    project: &ProjectName,
    owners: &[Option<UserName>],
    title: &str,
) -> Result<Option<TreeId>, StoreError> {
    for owner in owners {
        if let Some(tree) = trees::tree(db, project, owner.as_ref(), title).await? {
            return Ok(Some(tree));
        }
    }
    Ok(None)
}

async fn has_room(writing: &mut Writing, parent: &Instance) -> Result<(), RequestError> {
    let children = instances::children(writing.db(), &parent.reference).await?;
    if children.len() < MOST_CHILDREN {
        Ok(())
    } else {
        Err(RequestError::TooMany(parent.title.clone()))
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
    has_room(writing, parent).await?;
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
    if current(&known) == *wanted {
        return placed(writing, known).await;
    }
    let known = writing.set_wanted(&known, wanted).await?;
    if known.is_root() && wanted.state == RequestedState::Stopped {
        writing
            .set_tree_state(&known.tree, RequestedState::Stopped)
            .await?;
    }
    placed(writing, known).await
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
    let members = instances::members(writing.db(), &known.tree).await?;
    for instance in below(&known, members) {
        // A share has no partition of its own that a node would have to empty first.
        if instance.place.is_none() || instance.shared {
            writing.remove_instance(&instance).await?;
        } else if instance.requested != RequestedState::Destroyed {
            let wanted = Wanted {
                state: RequestedState::Destroyed,
                ..current(&instance)
            };
            writing.set_wanted(&instance, &wanted).await?;
        }
    }
    match instances::instance(writing.db(), &known.reference).await? {
        Some(instance) => Ok(Outcome::Placed(Box::new(instance))),
        None => Ok(Outcome::NotYet("it is destroyed".to_owned())),
    }
}

/// Returns an instance and all that it requested, directly or in turn; of a root, the whole tree. Pure.
fn below(top: &Instance, members: Vec<Instance>) -> Vec<Instance> {
    if top.is_root() {
        return members;
    }
    let mut found = BTreeSet::from([top.reference.clone()]);
    loop {
        let before = found.len();
        for member in &members {
            if member.parent.as_ref().is_some_and(|it| found.contains(it)) {
                found.insert(member.reference.clone());
            }
        }
        if found.len() == before {
            break;
        }
    }
    members
        .into_iter()
        .filter(|it| found.contains(&it.reference))
        .collect()
}

async fn placed(writing: &mut Writing, instance: Instance) -> Result<Outcome, RequestError> {
    let had_place = instance.place.is_some();
    match place(writing, instance).await? {
        Ok(instance) => {
            if !had_place && !instance.shared {
                place_waiting_shares(writing, &instance.software_url).await?;
            }
            Ok(Outcome::Placed(Box::new(instance)))
        }
        Err(reason) => Ok(Outcome::NotYet(reason)),
    }
}
