//! Instances as rows: read them, add them, change what they shall be and what is said of them.

mod adding;
mod row;

use std::collections::BTreeMap;
use std::time::Duration;

use slap::state::InstanceReport;
use slap::{InstanceGuid, PartitionId, RequestedState};
use sqlx::AssertSqlSafe;

use super::computers::{reference, traits};
use super::{Connection, StoreError, Writing, to_json};
use crate::allocation::{Host, Traits};
use crate::identity::{ComputerId, Identity, ProjectName};
use crate::instance::{Instance, TreeId};
use row::{HostRow, Row, SELECT};

/// What somebody wants an instance to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub software_url: String,
    pub software_type: String,
    pub parameters: BTreeMap<String, String>,
    pub sla: BTreeMap<String, String>,
    pub shared: bool,
    pub state: RequestedState,
}

async fn select(
    db: &mut Connection,
    condition: &str,
    values: &[&str],
) -> Result<Vec<Instance>, StoreError> {
    let mut query = sqlx::query_as::<_, Row>(AssertSqlSafe(format!("{SELECT} {condition}")));
    for value in values {
        query = query.bind((*value).to_owned());
    }
    let rows = query.fetch_all(db).await?;
    rows.into_iter().map(Instance::try_from).collect()
}

/// Returns one instance.
pub async fn instance(
    db: &mut Connection,
    reference: &InstanceGuid,
) -> Result<Option<Instance>, StoreError> {
    let found = select(db, "WHERE i.reference = $1", &[reference.as_str()]).await?;
    Ok(found.into_iter().next())
}

/// Returns the instance of this title in a tree.
pub async fn instance_in_tree(
    db: &mut Connection,
    tree: &TreeId,
    title: &str,
) -> Result<Option<Instance>, StoreError> {
    let found = select(db, "WHERE i.tree = $1 AND i.title = $2", &[&tree.0, title]).await?;
    Ok(found.into_iter().next())
}

/// Returns the instances in a computer's partitions, by partition.
pub async fn instances_on(
    db: &mut Connection,
    computer: &ComputerId,
) -> Result<BTreeMap<PartitionId, Instance>, StoreError> {
    let found = select(
        db,
        "WHERE p.computer = $1 AND i.shared = 0",
        &[computer.as_str()],
    )
    .await?;
    Ok(found
        .into_iter()
        .filter_map(|it| Some((it.place.as_ref()?.partition.clone(), it)))
        .collect())
}

/// Returns the instance in one partition.
pub async fn instance_at(
    db: &mut Connection,
    computer: &ComputerId,
    partition: &PartitionId,
) -> Result<Option<Instance>, StoreError> {
    let found = select(
        db,
        "WHERE p.computer = $1 AND p.reference = $2 AND i.shared = 0",
        &[computer.as_str(), partition.as_str()],
    )
    .await?;
    Ok(found.into_iter().next())
}

/// Returns the shared instances in a computer's partitions, by their hosts.
pub async fn shares_on(
    db: &mut Connection,
    computer: &ComputerId,
) -> Result<BTreeMap<InstanceGuid, Vec<Instance>>, StoreError> {
    let condition =
        "WHERE p.computer = $1 AND i.host IS NOT NULL ORDER BY i.created_at, i.reference";
    let mut by_host: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for share in select(db, condition, &[computer.as_str()]).await? {
        if let Some(host) = share.host.clone() {
            by_host.entry(host).or_default().push(share);
        }
    }
    Ok(by_host)
}

/// Returns the shared instances of one host, those that came first before the others.
pub async fn shares_of(
    db: &mut Connection,
    host: &InstanceGuid,
) -> Result<Vec<Instance>, StoreError> {
    let condition = "WHERE i.host = $1 ORDER BY i.created_at, i.reference";
    select(db, condition, &[host.as_str()]).await
}

/// Returns the instances of a release in a project that could take a share: they have a partition and are there to stay.
pub async fn hosts(
    db: &mut Connection,
    project: &ProjectName,
    software_url: &str,
) -> Result<Vec<Host>, StoreError> {
    let rows: Vec<HostRow> = sqlx::query_as(
        "SELECT i.reference, i.software_type, p.computer, c.labels, c.inventory,
                (SELECT COUNT(*) FROM instances s WHERE s.host = i.reference) AS shares
         FROM instances i JOIN trees t ON t.reference = i.tree JOIN partitions p ON p.instance = i.reference
              JOIN computers c ON c.reference = p.computer
         WHERE t.project = $2 AND i.software_url = $1 AND i.shared = 0 AND i.requested_state <> 'destroyed'
               AND c.state = 'enrolled'",
    )
    .bind(software_url)
    .bind(project.as_str())
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Host::try_from).collect()
}

/// Returns the computers that a tree is on, and what they are like.
pub async fn computers_of(
    db: &mut Connection,
    tree: &TreeId,
) -> Result<BTreeMap<ComputerId, Traits>, StoreError> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT DISTINCT c.reference, c.labels, c.inventory
         FROM instances i JOIN partitions p ON p.instance = COALESCE(i.host, i.reference)
              JOIN computers c ON c.reference = p.computer
         WHERE i.tree = $1",
    )
    .bind(&tree.0)
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|(computer, labels, inventory)| {
            Ok((reference(&computer)?, traits(&labels, &inventory)?))
        })
        .collect()
}

/// Returns the instances that one requested.
pub async fn children(
    db: &mut Connection,
    parent: &InstanceGuid,
) -> Result<Vec<Instance>, StoreError> {
    let condition = "WHERE i.parent = $1 ORDER BY i.reference";
    select(db, condition, &[parent.as_str()]).await
}

/// Returns every instance, tree by tree.
pub async fn all(db: &mut Connection) -> Result<Vec<Instance>, StoreError> {
    select(db, "ORDER BY t.title, i.title", &[]).await
}

/// Returns the root of every tree, by title.
pub async fn roots(db: &mut Connection) -> Result<Vec<Instance>, StoreError> {
    select(db, "WHERE i.title = t.title ORDER BY i.title", &[]).await
}

/// Returns the roots of this title, of whatever project and owner.
pub async fn roots_titled(db: &mut Connection, title: &str) -> Result<Vec<Instance>, StoreError> {
    let condition = "WHERE t.title = $1 AND i.title = $1 ORDER BY i.created_at, i.reference";
    select(db, condition, &[title]).await
}

/// Returns the instances that wait for a partition, those that came first before the others.
pub async fn waiting(db: &mut Connection) -> Result<Vec<Instance>, StoreError> {
    select(
        db,
        "WHERE p.reference IS NULL AND i.requested_state <> 'destroyed' ORDER BY i.created_at, i.reference",
        &[],
    )
    .await
}

/// Returns the shared instances of a release that wait for a host, those that came first before the others.
pub async fn waiting_shares(
    db: &mut Connection,
    software_url: &str,
) -> Result<Vec<Instance>, StoreError> {
    let condition = "WHERE i.shared = 1 AND i.host IS NULL AND i.software_url = $1
         AND i.requested_state <> 'destroyed' ORDER BY i.created_at, i.reference";
    select(db, condition, &[software_url]).await
}

/// Returns the instances of a tree.
pub async fn members(db: &mut Connection, tree: &TreeId) -> Result<Vec<Instance>, StoreError> {
    select(db, "WHERE i.tree = $1 ORDER BY i.reference", &[&tree.0]).await
}

impl Writing {
    /// Changes what an instance shall be, and has it processed again. Returns what it is then.
    pub async fn set_wanted(
        &mut self,
        known: &Instance,
        wanted: &Wanted,
    ) -> Result<Instance, StoreError> {
        let timestamp = self
            .now()
            .max(known.timestamp.plus(Duration::from_micros(1)));
        sqlx::query(
            "UPDATE instances SET software_url = $2, software_type = $3, parameters = $4, sla = $5, shared = $6,
                                  requested_state = $7, processing_timestamp = $8
             WHERE reference = $1",
        )
        .bind(known.reference.as_str())
        .bind(&wanted.software_url)
        .bind(&wanted.software_type)
        .bind(to_json(&wanted.parameters))
        .bind(to_json(&wanted.sla))
        .bind(i64::from(wanted.shared))
        .bind(wanted.state.as_str())
        .bind(timestamp.micros())
        .execute(self.db())
        .await?;
        self.note("request", &known.reference, wanted.state);
        if let Some(place) = &known.place {
            self.touch(&place.computer).await?;
        }
        if let Some(host) = &known.host {
            self.move_timestamp(host.as_str()).await?;
        }
        let Wanted {
            software_url,
            software_type,
            parameters,
            sla,
            shared,
            state: requested,
        } = wanted.clone();
        Ok(Instance {
            software_url,
            software_type,
            parameters,
            sla,
            shared,
            requested,
            timestamp,
            ..known.clone()
        })
    }

    /// Makes the instances of a tree what its root shall be, when that is less than started.
    pub async fn set_tree_state(
        &mut self,
        tree: &TreeId,
        state: RequestedState,
    ) -> Result<(), StoreError> {
        for member in members(self.db(), tree).await? {
            if member.requested == state || member.requested == RequestedState::Destroyed {
                continue;
            }
            sqlx::query("UPDATE instances SET requested_state = $2 WHERE reference = $1")
                .bind(member.reference.as_str())
                .bind(state.as_str())
                .execute(self.db())
                .await?;
            let detail = format!("{state}, as its root");
            self.note("request", &member.reference, detail);
            self.process_again(&member.reference).await?;
        }
        Ok(())
    }

    /// Hangs an instance under another requester.
    pub async fn set_parent(
        &mut self,
        instance: &InstanceGuid,
        parent: &InstanceGuid,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE instances SET parent = $2 WHERE reference = $1")
            .bind(instance.as_str())
            .bind(parent.as_str())
            .execute(self.db())
            .await?;
        let detail = format!("requested by {parent}");
        self.note("request", instance, detail);
        Ok(())
    }

    /// Has an instance processed again: moves its timestamp, always forwards, its host's if it is a share, and wakes their node.
    pub async fn process_again(&mut self, instance: &InstanceGuid) -> Result<(), StoreError> {
        let Some(host) = self.move_timestamp(instance.as_str()).await? else {
            return Ok(());
        };
        self.move_timestamp(&host).await.map(drop)
    }

    /// Returns the instance's host, if it is a share.
    async fn move_timestamp(&mut self, instance: &str) -> Result<Option<String>, StoreError> {
        let now = self.now().micros();
        let moved: Option<(Option<String>, Option<String>)> = sqlx::query_as(
            "UPDATE instances SET processing_timestamp =
                 CASE WHEN processing_timestamp < $2 THEN $2 ELSE processing_timestamp + 1 END
             WHERE reference = $1
             RETURNING host, (SELECT p.computer FROM partitions p WHERE p.instance = instances.reference)",
        )
        .bind(instance)
        .bind(now)
        .fetch_optional(self.db())
        .await?;
        let (host, computer) = moved.unwrap_or_default();
        if let Some(computer) = computer {
            self.touch(&reference(&computer)?).await?;
        }
        Ok(host)
    }

    /// Records why an instance has no partition; empty when it has one.
    pub async fn set_waiting(
        &mut self,
        instance: &InstanceGuid,
        reason: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE instances SET waiting = $2 WHERE reference = $1 AND waiting <> $2")
            .bind(instance.as_str())
            .bind(reason)
            .execute(self.db())
            .await?;
        Ok(())
    }

    /// Records what a node says of an instance. What it says again is no news.
    pub async fn report_instance(
        &mut self,
        instance: &InstanceGuid,
        report: InstanceReport,
        status: &str,
    ) -> Result<(), StoreError> {
        let before: Option<(String, String)> =
            sqlx::query_as("SELECT reported_state, status FROM instances WHERE reference = $1")
                .bind(instance.as_str())
                .fetch_optional(self.db())
                .await?;
        let (known, said) = before.unwrap_or_default();
        if said != status {
            self.retell_where_shown(instance).await?;
        }
        if known != report.as_str() {
            self.note("report", instance, report.as_str());
        }
        let now = self.now().micros();
        sqlx::query(
            "UPDATE instances
             SET reported_state = $2, status = $3, status_at = $4,
                 status_since = CASE WHEN status = $3 THEN status_since ELSE $4 END
             WHERE reference = $1",
        )
        .bind(instance.as_str())
        .bind(report.as_str())
        .bind(status)
        .bind(now)
        .execute(self.db())
        .await?;
        Ok(())
    }

    /// Hangs a shared instance on a host, or takes it from its host; both hosts are processed again.
    pub async fn set_host(
        &mut self,
        share: &InstanceGuid,
        host: Option<&InstanceGuid>,
    ) -> Result<(), StoreError> {
        self.process_again(share).await?;
        sqlx::query("UPDATE instances SET host = $2 WHERE reference = $1")
            .bind(share.as_str())
            .bind(host.map(InstanceGuid::as_str))
            .execute(self.db())
            .await?;
        match host {
            Some(host) => self.note("allocate", share, format!("shares {host}")),
            None => self.note("free", share, "shares nothing"),
        }
        self.process_again(share).await
    }

    /// Gives an instance another title in its tree.
    pub async fn set_title(&mut self, instance: &Instance, title: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE instances SET title = $2 WHERE reference = $1")
            .bind(instance.reference.as_str())
            .bind(title)
            .execute(self.db())
            .await?;
        self.retell_where_shown(&instance.reference).await?;
        if instance.is_root() {
            self.set_tree_title(&instance.tree, title).await?;
        }
        let detail = format!("{} is {title}", instance.title);
        self.note("rename", &instance.reference, detail);
        Ok(())
    }

    /// Records what an instance publishes.
    pub async fn set_connection(
        &mut self,
        instance: &InstanceGuid,
        connection: &BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE instances SET connection = $2 WHERE reference = $1")
            .bind(instance.as_str())
            .bind(to_json(connection))
            .execute(self.db())
            .await?;
        self.retell_where_shown(instance).await?;
        // What is published may be a password: its names are enough.
        let names: Vec<&str> = connection.keys().map(String::as_str).collect();
        self.note("publish", instance, names.join(" "));
        Ok(())
    }

    /// Tells the computer anew in whose document an instance stands, its host's if it is a share.
    async fn retell_where_shown(&mut self, instance: &InstanceGuid) -> Result<(), StoreError> {
        let computer: Option<String> = sqlx::query_scalar(
            "SELECT p.computer FROM instances i JOIN partitions p ON p.instance = COALESCE(i.host, i.reference)
             WHERE i.reference = $1",
        )
        .bind(instance.as_str())
        .fetch_optional(self.db())
        .await?;
        match computer {
            Some(computer) => self.retell(&reference(&computer)?).await,
            None => Ok(()),
        }
    }

    /// Forgets an instance that has no partition any more. Those it requested stay, without it; those that shared it wait for another.
    pub async fn remove_instance(&mut self, instance: &Instance) -> Result<(), StoreError> {
        for share in shares_of(self.db(), &instance.reference).await? {
            self.set_host(&share.reference, None).await?;
        }
        if instance.host.is_some() {
            self.set_host(&instance.reference, None).await?;
        }
        self.revoke_certificates(&Identity::Instance(instance.reference.clone()))
            .await?;
        sqlx::query("UPDATE instances SET parent = NULL WHERE parent = $1")
            .bind(instance.reference.as_str())
            .execute(self.db())
            .await?;
        sqlx::query("DELETE FROM instances WHERE reference = $1")
            .bind(instance.reference.as_str())
            .execute(self.db())
            .await?;
        self.remove_empty_tree(&instance.tree).await?;
        self.note("remove", &instance.reference, &instance.title);
        Ok(())
    }
}
