//! Partitions: the slots that computers announce, and which instance has which.

use std::collections::{BTreeMap, BTreeSet};

use slap::{InstanceGuid, PartitionId};

use super::computers::reference;
use super::{Connection, StoreError, Writing, corrupted, from_json, to_json, unsigned};
use crate::identity::ComputerId;
use crate::instance::{Address, Place};

/// One slot on a computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    pub computer: ComputerId,
    pub reference: PartitionId,
    pub addresses: Vec<Address>,
    pub instance: Option<InstanceGuid>,
}

/// A slot as a computer announces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    pub reference: PartitionId,
    pub addresses: Vec<Address>,
    /// What only requests for it get.
    pub capabilities: BTreeSet<String>,
}

/// Returns a computer's partitions in the order it announced them.
pub async fn partitions(
    db: &mut Connection,
    computer: &ComputerId,
) -> Result<Vec<Partition>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT computer, reference, addresses, instance FROM partitions
         WHERE computer = $1 ORDER BY position, reference",
    )
    .bind(computer.as_str())
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Partition::try_from).collect()
}

/// Returns how many partitions each computer has, and how many of them are busy.
pub async fn counts(db: &mut Connection) -> Result<BTreeMap<ComputerId, (u64, u64)>, StoreError> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT computer, COUNT(*), COUNT(instance) FROM partitions GROUP BY computer ORDER BY computer",
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|(computer, all, busy)| Ok((reference(&computer)?, (unsigned(all), unsigned(busy)))))
        .collect()
}

impl Writing {
    /// Records the partitions that a computer announces.
    ///
    /// One that is no longer announced goes away when it is free, and takes nothing more while it is busy.
    pub async fn set_partitions(
        &mut self,
        computer: &ComputerId,
        announced: &[Announced],
    ) -> Result<(), StoreError> {
        let before = partitions(self.db(), computer).await?;
        sqlx::query("UPDATE partitions SET retired = 1 WHERE computer = $1")
            .bind(computer.as_str())
            .execute(self.db())
            .await?;
        for (position, partition) in (0_i64..).zip(announced) {
            sqlx::query(
                "INSERT INTO partitions (computer, reference, position, addresses) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (computer, reference) DO UPDATE
                 SET position = excluded.position, addresses = excluded.addresses, retired = 0",
            )
            .bind(computer.as_str())
            .bind(partition.reference.as_str())
            .bind(position)
            .bind(to_json(&partition.addresses))
            .execute(self.db())
            .await?;
            self.set_capabilities(computer, partition).await?;
        }
        sqlx::query(
            "DELETE FROM partitions WHERE computer = $1 AND retired = 1 AND instance IS NULL",
        )
        .bind(computer.as_str())
        .execute(self.db())
        .await?;
        self.notice_moved(computer, &before).await
    }

    async fn set_capabilities(
        &mut self,
        computer: &ComputerId,
        partition: &Announced,
    ) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM capabilities WHERE computer = $1 AND partition = $2")
            .bind(computer.as_str())
            .bind(partition.reference.as_str())
            .execute(self.db())
            .await?;
        for capability in &partition.capabilities {
            sqlx::query(
                "INSERT INTO capabilities (computer, partition, capability) VALUES ($1, $2, $3)",
            )
            .bind(computer.as_str())
            .bind(partition.reference.as_str())
            .bind(capability)
            .execute(self.db())
            .await?;
        }
        Ok(())
    }

    /// Has instances processed again whose addresses are others than before.
    async fn notice_moved(
        &mut self,
        computer: &ComputerId,
        before: &[Partition],
    ) -> Result<(), StoreError> {
        let after = partitions(self.db(), computer).await?;
        if after == before {
            return Ok(());
        }
        for partition in &after {
            let old = before.iter().find(|it| it.reference == partition.reference);
            if let Some(instance) = &partition.instance
                && old.is_some_and(|old| old.addresses != partition.addresses)
            {
                self.process_again(instance).await?;
            }
        }
        self.touch(computer).await?;
        let detail = format!("{} partitions", after.len());
        self.note("announce partitions", computer, detail);
        Ok(())
    }

    /// Gives a free partition to an instance. One that is not free any more is an error: nobody else can have taken it meanwhile.
    pub async fn occupy(
        &mut self,
        computer: &ComputerId,
        partition: &PartitionId,
        instance: &InstanceGuid,
    ) -> Result<Place, StoreError> {
        let addresses: String = sqlx::query_scalar(
            "UPDATE partitions SET instance = $3
             WHERE computer = $1 AND reference = $2 AND instance IS NULL AND retired = 0
             RETURNING addresses",
        )
        .bind(computer.as_str())
        .bind(partition.as_str())
        .bind(instance.as_str())
        .fetch_one(self.db())
        .await?;
        let detail = format!("{partition} of {computer}");
        self.note("allocate", instance, detail);
        self.touch(computer).await?;
        Ok(Place {
            computer: computer.clone(),
            partition: partition.clone(),
            addresses: from_json("a partition's addresses", &addresses)?,
        })
    }

    /// Frees a partition.
    pub async fn vacate(
        &mut self,
        computer: &ComputerId,
        partition: &PartitionId,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE partitions SET instance = NULL WHERE computer = $1 AND reference = $2")
            .bind(computer.as_str())
            .bind(partition.as_str())
            .execute(self.db())
            .await?;
        self.note("free", computer, partition);
        sqlx::query(
            "DELETE FROM partitions WHERE computer = $1 AND reference = $2 AND retired = 1",
        )
        .bind(computer.as_str())
        .bind(partition.as_str())
        .execute(self.db())
        .await?;
        self.touch(computer).await
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    computer: String,
    reference: String,
    addresses: String,
    instance: Option<String>,
}

impl TryFrom<Row> for Partition {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            computer: reference(&row.computer)?,
            addresses: from_json("a partition's addresses", &row.addresses)?,
            reference: row
                .reference
                .parse()
                .map_err(|err| corrupted("a partition", err))?,
            instance: row
                .instance
                .map(|it| it.parse().map_err(|err| corrupted("a partition", err)))
                .transpose()?,
        })
    }
}
