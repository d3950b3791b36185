//! Supplies: which software releases shall be on which computers, and what the nodes say of them.

use std::collections::BTreeMap;

use slap::SupplyState;
use slap::state::SoftwareReport;

use super::computers::{reference, traits};
use super::{Connection, StoreError, Writing, corrupted, unsigned, word};
use crate::allocation::Candidate;
use crate::clock::Moment;
use crate::identity::{ComputerId, ProjectName};
use crate::instance::Status;

/// One software release on one computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supply {
    pub computer: ComputerId,
    pub url: String,
    pub requested: SupplyState,
    pub reported: Option<SoftwareReport>,
    pub status: Status,
}

/// Returns what is supplied on a computer.
pub async fn supplies(
    db: &mut Connection,
    computer: &ComputerId,
) -> Result<Vec<Supply>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as("SELECT * FROM supplies WHERE computer = $1 ORDER BY url")
        .bind(computer.as_str())
        .fetch_all(db)
        .await?;
    rows.into_iter().map(Supply::try_from).collect()
}

/// Returns what is supplied anywhere, by computer.
pub async fn all_supplies(
    db: &mut Connection,
) -> Result<BTreeMap<ComputerId, Vec<Supply>>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as("SELECT * FROM supplies ORDER BY computer, url")
        .fetch_all(db)
        .await?;
    let mut by_computer: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in rows {
        let supply = Supply::try_from(row)?;
        by_computer
            .entry(supply.computer.clone())
            .or_default()
            .push(supply);
    }
    Ok(by_computer)
}

/// Returns one supply.
pub async fn supply(
    db: &mut Connection,
    computer: &ComputerId,
    url: &str,
) -> Result<Option<Supply>, StoreError> {
    let row: Option<Row> =
        sqlx::query_as("SELECT * FROM supplies WHERE computer = $1 AND url = $2")
            .bind(computer.as_str())
            .bind(url)
            .fetch_optional(db)
            .await?;
    row.map(Supply::try_from).transpose()
}

/// Returns the enrolled computers of a project that could take an instance of this release. Free is what has the capability,
/// or has none when none is asked for.
pub async fn candidates(
    db: &mut Connection,
    project: &ProjectName,
    url: &str,
    capability: Option<&str>,
) -> Result<Vec<Candidate>, StoreError> {
    let rows: Vec<CandidateRow> = sqlx::query_as(
        "SELECT s.computer, s.reported_state, c.last_contact, c.labels, c.inventory,
                (SELECT COUNT(*) FROM partitions p
                 WHERE p.computer = s.computer AND p.instance IS NOT NULL) AS busy,
                (SELECT p.reference FROM partitions p
                 WHERE p.computer = s.computer AND p.instance IS NULL AND p.retired = 0
                       AND CASE WHEN $3 = ''
                           THEN NOT EXISTS (SELECT 1 FROM capabilities a
                                WHERE a.computer = p.computer AND a.partition = p.reference)
                           ELSE EXISTS (SELECT 1 FROM capabilities a
                                WHERE a.computer = p.computer AND a.partition = p.reference AND a.capability = $3)
                           END
                 ORDER BY p.position LIMIT 1) AS free
         FROM supplies s JOIN computers c ON c.reference = s.computer
         WHERE s.url = $1 AND s.requested_state = 'available' AND c.state = 'enrolled' AND c.project = $2
         ORDER BY s.computer",
    )
    .bind(url)
    .bind(project.as_str())
    .bind(capability.unwrap_or_default())
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Candidate::try_from).collect()
}

/// Says whether an enrolled computer could take an instance of this release.
pub async fn is_supplied(db: &mut Connection, url: &str) -> Result<bool, StoreError> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM supplies s JOIN computers c ON c.reference = s.computer
         WHERE s.url = $1 AND s.requested_state = 'available' AND c.state = 'enrolled' LIMIT 1",
    )
    .bind(url)
    .fetch_optional(db)
    .await?;
    Ok(found.is_some())
}

impl Writing {
    /// Wishes that a release be on a computer, or be gone from it; says whether that is news.
    pub async fn set_supply(
        &mut self,
        computer: &ComputerId,
        url: &str,
        state: SupplyState,
    ) -> Result<bool, StoreError> {
        // What is supplied again after its destruction was asked for is to be installed anew.
        let changed = sqlx::query(
            "INSERT INTO supplies (computer, url, requested_state) VALUES ($1, $2, $3)
             ON CONFLICT (computer, url) DO UPDATE
             SET requested_state = excluded.requested_state, reported_state = '', status = ''
             WHERE supplies.requested_state <> excluded.requested_state",
        )
        .bind(computer.as_str())
        .bind(url)
        .bind(state.as_str())
        .execute(self.db())
        .await?
        .rows_affected()
            > 0;
        if changed {
            self.touch(computer).await?;
            self.note("supply", computer, format!("{url} {state}"));
        }
        Ok(changed)
    }

    /// Records what a node says of a release; says whether there is such a supply.
    pub async fn report_supply(
        &mut self,
        computer: &ComputerId,
        url: &str,
        report: SoftwareReport,
        status: &str,
    ) -> Result<bool, StoreError> {
        let now = self.now().micros();
        let known: Option<String> = sqlx::query_scalar(
            "SELECT reported_state FROM supplies WHERE computer = $1 AND url = $2",
        )
        .bind(computer.as_str())
        .bind(url)
        .fetch_optional(self.db())
        .await?;
        // What it says again is no news.
        if known.is_some_and(|it| it != report.as_str()) {
            self.note("report", computer, format!("{url} {}", report.as_str()));
        }
        let found = sqlx::query(
            "UPDATE supplies
             SET reported_state = $3, status = $4, status_at = $5,
                 status_since = CASE WHEN status = $4 THEN status_since ELSE $5 END
             WHERE computer = $1 AND url = $2",
        )
        .bind(computer.as_str())
        .bind(url)
        .bind(report.as_str())
        .bind(status)
        .bind(now)
        .execute(self.db())
        .await?
        .rows_affected();
        Ok(found > 0)
    }

    /// Forgets a release that is gone from a computer as was asked; says whether it was asked.
    pub async fn remove_supply(
        &mut self,
        computer: &ComputerId,
        url: &str,
    ) -> Result<bool, StoreError> {
        let removed = sqlx::query(
            "DELETE FROM supplies WHERE computer = $1 AND url = $2 AND requested_state = 'destroyed'",
        )
        .bind(computer.as_str())
        .bind(url)
        .execute(self.db())
        .await?
        .rows_affected()
            > 0;
        if removed {
            self.touch(computer).await?;
            self.note("remove", computer, url);
        }
        Ok(removed)
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    computer: String,
    url: String,
    requested_state: String,
    reported_state: String,
    status: String,
    status_at: i64,
    status_since: i64,
}

impl TryFrom<Row> for Supply {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            computer: reference(&row.computer)?,
            requested: row
                .requested_state
                .parse()
                .map_err(|err| corrupted("a supply", err))?,
            reported: word("a supply", &row.reported_state)?,
            url: row.url,
            status: Status {
                text: row.status,
                at: Moment::from_micros(row.status_at),
                since: Moment::from_micros(row.status_since),
            },
        })
    }
}

#[derive(sqlx::FromRow)]
struct CandidateRow {
    computer: String,
    reported_state: String,
    last_contact: Option<i64>,
    labels: String,
    inventory: String,
    busy: i64,
    free: Option<String>,
}

impl TryFrom<CandidateRow> for Candidate {
    type Error = StoreError;

    fn try_from(row: CandidateRow) -> Result<Self, StoreError> {
        Ok(Self {
            computer: reference(&row.computer)?,
            software: word("a supply", &row.reported_state)?,
            last_contact: row.last_contact.map(Moment::from_micros),
            traits: traits(&row.labels, &row.inventory)?,
            busy: unsigned(row.busy),
            free: row
                .free
                .map(|it| it.parse().map_err(|err| corrupted("a partition", err)))
                .transpose()?,
        })
    }
}
