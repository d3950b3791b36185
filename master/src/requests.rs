//! The one verb: "there shall be an instance like this". Each function is one step inside a transaction of the store.
//! Where it goes is `placement`'s to find.

use std::collections::{BTreeMap, BTreeSet};

use slap::{InstanceGuid, PartitionId, RequestedState};

use crate::identity::{ComputerId, ProjectName, UserName};
use crate::instance::{Instance, TreeId};
use crate::placement::{place, place_waiting_shares};
use crate::store::instances::{NewInstance, Wanted};
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
    let (parent, tree) = standpoint(writing.db(), &request).await?;
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
            if let Some(parent) = &parent {
                has_room(writing, parent).await?;
            }
            let tree = match (tree, &request.requester) {
                (Some(tree), _) => tree,
                (None, Requester::User { project, owners }) => {
                    let owner = owners.first().and_then(Option::as_ref);
                    writing.add_tree(project, owner, &request.title).await?
                }
                (None, Requester::Partition(computer, partition)) => {
                    let (computer, partition) = (computer.clone(), partition.clone());
                    return Err(RequestError::NoRequester(computer, partition));
                }
            };
            add(writing, &request.title, &tree, parent.as_ref(), &wanted).await
        }
    }
}

/// Returns which instance asks, if one does, and the tree that is meant, if there is one.
async fn standpoint(
    db: &mut Connection,
    request: &Request,
) -> Result<(Option<Instance>, Option<TreeId>), RequestError> {
    match &request.requester {
        Requester::User { project, owners } => {
            let tree = tree_of(db, project, owners, &request.title).await?;
            Ok((None, tree))
        }
        Requester::Partition(computer, partition) => {
            let parent = instances::instance_at(db, computer, partition)
                .await?
                .ok_or_else(|| RequestError::NoRequester(computer.clone(), partition.clone()))?;
            let tree = parent.tree.clone();
            Ok((Some(parent), Some(tree)))
        }
    }
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

async fn add(
    writing: &mut Writing,
    title: &str,
    tree: &TreeId,
    parent: Option<&Instance>,
    wanted: &Wanted,
) -> Result<Outcome, RequestError> {
    let new = NewInstance {
        tree,
        parent: parent.map(|it| &it.reference),
        title,
        wanted,
    };
    let reference = writing.add_instance(&new).await?;
    placed(writing, &reference, false).await
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
    if current(&known) != *wanted {
        writing.set_wanted(&known.reference, wanted).await?;
        if known.is_root() && wanted.state == RequestedState::Stopped {
            writing
                .set_tree_state(&known.tree, RequestedState::Stopped)
                .await?;
        }
    }
    placed(writing, &known.reference, known.place.is_some()).await
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
            writing.set_wanted(&instance.reference, &wanted).await?;
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

async fn placed(
    writing: &mut Writing,
    reference: &InstanceGuid,
    had_place: bool,
) -> Result<Outcome, RequestError> {
    match place(writing, reference).await? {
        Ok(instance) => {
            if !had_place && !instance.shared {
                place_waiting_shares(writing, &instance.software_url).await?;
            }
            Ok(Outcome::Placed(Box::new(instance)))
        }
        Err(reason) => Ok(Outcome::NotYet(reason)),
    }
}
