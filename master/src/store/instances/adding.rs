//! Instances that are new. What they are is known without asking the database again.

use std::collections::BTreeMap;

use slap::InstanceGuid;

use super::Wanted;
use crate::clock::Moment;
use crate::identity::{ProjectName, UserName};
use crate::instance::{Instance, Status, TreeId};
use crate::store::{StoreError, Writing, to_json};

/// Where in which tree a new instance stands.
struct Stand<'a> {
    tree: TreeId,
    tree_title: &'a str,
    project: &'a ProjectName,
    owner: Option<&'a UserName>,
    parent: Option<&'a InstanceGuid>,
}

impl Writing {
    /// Adds a tree with its root, under the next number.
    pub async fn add_root(
        &mut self,
        project: &ProjectName,
        owner: Option<&UserName>,
        title: &str,
        wanted: &Wanted,
    ) -> Result<Instance, StoreError> {
        let number = self.next_number("SOFTINST").await?;
        let stand = Stand {
            tree: self.add_tree(number, project, owner, title).await?,
            tree_title: title,
            project,
            owner,
            parent: None,
        };
        self.add_instance(number, stand, title, wanted).await
    }

    /// Adds an instance that another one requests, under the next number.
    pub async fn add_child(
        &mut self,
        parent: &Instance,
        title: &str,
        wanted: &Wanted,
    ) -> Result<Instance, StoreError> {
        let number = self.next_number("SOFTINST").await?;
        let stand = Stand {
            tree: parent.tree.clone(),
            tree_title: &parent.tree_title,
            project: &parent.project,
            owner: parent.owner.as_ref(),
            parent: Some(&parent.reference),
        };
        self.add_instance(number, stand, title, wanted).await
    }

    async fn add_instance(
        &mut self,
        number: u64,
        stand: Stand<'_>,
        title: &str,
        wanted: &Wanted,
    ) -> Result<Instance, StoreError> {
        let instance = new_instance(number, stand, title, wanted.clone(), self.now());
        sqlx::query(
            "INSERT INTO instances (reference, tree, parent, title, software_url, software_type, parameters, sla,
                                    shared, requested_state, processing_timestamp, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)",
        )
        .bind(instance.reference.as_str())
        .bind(&instance.tree.0)
        .bind(instance.parent.as_ref().map(InstanceGuid::as_str))
        .bind(title)
        .bind(&instance.software_url)
        .bind(&instance.software_type)
        .bind(to_json(&instance.parameters))
        .bind(to_json(&instance.sla))
        .bind(i64::from(instance.shared))
        .bind(instance.requested.as_str())
        .bind(instance.timestamp.micros())
        .execute(self.db())
        .await?;
        self.note("request", &instance.reference, title);
        Ok(instance)
    }
}

/// Returns an instance as it would be read right after it was added: nowhere yet, and nothing said of it.
fn new_instance(
    number: u64,
    stand: Stand<'_>,
    title: &str,
    wanted: Wanted,
    now: Moment,
) -> Instance {
    Instance {
        reference: InstanceGuid::numbered(number),
        tree: stand.tree,
        tree_title: stand.tree_title.to_owned(),
        project: stand.project.clone(),
        owner: stand.owner.cloned(),
        parent: stand.parent.cloned(),
        host: None,
        title: title.to_owned(),
        software_url: wanted.software_url,
        software_type: wanted.software_type,
        parameters: wanted.parameters,
        sla: wanted.sla,
        shared: wanted.shared,
        requested: wanted.state,
        reported: None,
        status: Status {
            text: String::new(),
            at: Moment::from_micros(0),
            since: Moment::from_micros(0),
        },
        connection: BTreeMap::new(),
        waiting: String::new(),
        timestamp: now,
        place: None,
    }
}
