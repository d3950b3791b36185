//! How an instance is read: with the title of its tree and the partition it has, its host's when it shares one.

use crate::allocation::Host;
use crate::clock::Moment;
use crate::instance::{Instance, Place, Status, TreeId};
use crate::store::computers::{reference, traits};
use crate::store::{StoreError, corrupted, from_json, projects, unsigned, word};

pub(super) const SELECT: &str = "SELECT i.reference, i.tree, t.title AS tree_title, t.project, t.owner, i.parent, i.title, i.software_url,
       i.software_type, i.parameters, i.sla, i.shared, i.requested_state, i.reported_state, i.status, i.connection,
       i.waiting, i.processing_timestamp, i.host, i.status_at, i.status_since, p.computer, p.reference AS partition, p.addresses
FROM instances i JOIN trees t ON t.reference = i.tree LEFT JOIN partitions p ON p.instance = COALESCE(i.host, i.reference)";

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    reference: String,
    tree: String,
    tree_title: String,
    project: String,
    owner: String,
    parent: Option<String>,
    title: String,
    software_url: String,
    software_type: String,
    parameters: String,
    sla: String,
    shared: i64,
    requested_state: String,
    reported_state: String,
    status: String,
    connection: String,
    waiting: String,
    processing_timestamp: i64,
    host: Option<String>,
    status_at: i64,
    status_since: i64,
    computer: Option<String>,
    partition: Option<String>,
    addresses: Option<String>,
}

#[derive(sqlx::FromRow)]
pub(super) struct HostRow {
    reference: String,
    software_type: String,
    computer: String,
    labels: String,
    inventory: String,
    shares: i64,
}

impl TryFrom<HostRow> for Host {
    type Error = StoreError;

    fn try_from(row: HostRow) -> Result<Self, StoreError> {
        Ok(Self {
            instance: row
                .reference
                .parse()
                .map_err(|err: slap::id::IdError| corrupted("an instance", err))?,
            software_type: row.software_type,
            computer: reference(&row.computer)?,
            traits: traits(&row.labels, &row.inventory)?,
            shares: unsigned(row.shares),
        })
    }
}

impl TryFrom<Row> for Instance {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let unreadable = |err: slap::id::IdError| corrupted("an instance", err);
        let place = match (row.computer, row.partition, row.addresses) {
            (Some(computer), Some(partition), Some(addresses)) => Some(Place {
                computer: reference(&computer)?,
                partition: partition
                    .parse()
                    .map_err(|err| corrupted("a partition", err))?,
                addresses: from_json("a partition's addresses", &addresses)?,
            }),
            _ => None,
        };
        Ok(Self {
            place,
            reference: row.reference.parse().map_err(unreadable)?,
            tree: TreeId(row.tree),
            tree_title: row.tree_title,
            project: projects::name(&row.project)?,
            owner: word("a tree's owner", &row.owner)?,
            parent: row
                .parent
                .map(|it| it.parse().map_err(unreadable))
                .transpose()?,
            host: row
                .host
                .map(|it| it.parse().map_err(unreadable))
                .transpose()?,
            title: row.title,
            software_url: row.software_url,
            software_type: row.software_type,
            parameters: from_json("an instance's parameters", &row.parameters)?,
            sla: from_json("an instance's SLA", &row.sla)?,
            shared: row.shared != 0,
            requested: row
                .requested_state
                .parse()
                .map_err(|err| corrupted("an instance", err))?,
            reported: word("an instance", &row.reported_state)?,
            status: Status {
                text: row.status,
                at: Moment::from_micros(row.status_at),
                since: Moment::from_micros(row.status_since),
            },
            connection: from_json("an instance's connection", &row.connection)?,
            waiting: row.waiting,
            timestamp: Moment::from_micros(row.processing_timestamp),
        })
    }
}
