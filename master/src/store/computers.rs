//! Computers: who they are, where they stand, what they last said.

mod changes;

use std::collections::BTreeMap;
use std::str::FromStr;

use super::{Connection, StoreError, corrupted, from_json, projects, unsigned};
use crate::allocation::Traits;
use crate::clock::Moment;
use crate::enrolment::ComputerState;
use crate::identity::{ComputerId, ProjectName};

pub use changes::NewComputer;

/// A computer. Its inventory, report and usage are documents of the API, kept as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Computer {
    pub reference: ComputerId,
    pub state: ComputerState,
    pub code: String,
    pub smbios_uuid: String,
    pub inventory: String,
    pub labels: BTreeMap<String, String>,
    pub project: ProjectName,
    pub created_at: Moment,
    pub last_contact: Option<Moment>,
    pub generation: u64,
    pub report: Option<String>,
    pub usage: Option<String>,
    /// Whether others may take what it builds.
    pub trusted: bool,
}

impl Computer {
    /// Returns what people call it: the name in its inventory, its reference where it has none.
    pub fn title(&self) -> String {
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct Named {
            name: String,
        }
        let named: Named = serde_json::from_str(&self.inventory).unwrap_or_default();
        if named.name.is_empty() {
            self.reference.to_string()
        } else {
            named.name
        }
    }
}

const COLUMNS: &str = "SELECT reference, state, code, smbios_uuid, inventory, labels, project, created_at, last_contact, generation, report, usage, trusted FROM computers";

/// Returns every computer, in the order they came.
pub async fn computers(db: &mut Connection) -> Result<Vec<Computer>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{COLUMNS} ORDER BY created_at, reference"
    )))
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Computer::try_from).collect()
}

/// Returns the computer of this reference.
pub async fn computer(
    db: &mut Connection,
    reference: &ComputerId,
) -> Result<Option<Computer>, StoreError> {
    one(db, "reference", reference.as_str()).await
}

/// Returns the computer that has this key.
pub async fn computer_by_key(
    db: &mut Connection,
    public_key: &str,
) -> Result<Option<Computer>, StoreError> {
    one(db, "public_key", public_key).await
}

async fn one(
    db: &mut Connection,
    column: &'static str,
    value: &str,
) -> Result<Option<Computer>, StoreError> {
    let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{COLUMNS} WHERE {column} = $1"
    )))
    .bind(value)
    .fetch_optional(db)
    .await?;
    row.map(Computer::try_from).transpose()
}

/// Returns the computers with this SMBIOS UUID that are not revoked, `except` left out.
pub async fn computers_by_uuid(
    db: &mut Connection,
    smbios_uuid: &str,
    except: &ComputerId,
) -> Result<Vec<ComputerId>, StoreError> {
    let found: Vec<String> = sqlx::query_scalar(
        "SELECT reference FROM computers
         WHERE smbios_uuid = $1 AND reference <> $2 AND state <> 'revoked' ORDER BY reference",
    )
    .bind(smbios_uuid)
    .bind(except.as_str())
    .fetch_all(db)
    .await?;
    found.iter().map(|it| reference(it)).collect()
}

/// Returns what an operator should look at about a computer.
pub async fn warnings(
    db: &mut Connection,
    computer: &ComputerId,
) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT warning FROM computer_warnings WHERE computer = $1 ORDER BY since, warning",
    )
    .bind(computer.as_str())
    .fetch_all(db)
    .await?)
}

/// Returns what an operator should look at about any computer.
pub async fn all_warnings(
    db: &mut Connection,
) -> Result<BTreeMap<ComputerId, Vec<String>>, StoreError> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT computer, warning FROM computer_warnings ORDER BY computer, since, warning",
    )
    .fetch_all(db)
    .await?;
    let mut by_computer: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (computer, warning) in rows {
        by_computer
            .entry(reference(&computer)?)
            .or_default()
            .push(warning);
    }
    Ok(by_computer)
}

/// Returns the generation of a computer's desired state.
pub async fn generation(
    db: &mut Connection,
    computer: &ComputerId,
) -> Result<Option<u64>, StoreError> {
    let generation: Option<i64> =
        sqlx::query_scalar("SELECT generation FROM computers WHERE reference = $1")
            .bind(computer.as_str())
            .fetch_optional(db)
            .await?;
    Ok(generation.map(unsigned))
}

/// Returns the version of what a computer is told.
pub async fn version(
    db: &mut Connection,
    computer: &ComputerId,
) -> Result<Option<u64>, StoreError> {
    let version: Option<i64> =
        sqlx::query_scalar("SELECT version FROM computers WHERE reference = $1")
            .bind(computer.as_str())
            .fetch_optional(db)
            .await?;
    Ok(version.map(unsigned))
}

/// Returns what conditions of requests are held against.
pub(super) fn traits(labels: &str, inventory: &str) -> Result<Traits, StoreError> {
    /// What of an inventory counts; the rest is the API's.
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Sizes {
        cpus: u64,
        memory_bytes: u64,
    }
    let sizes: Sizes = from_json("a computer's inventory", inventory)?;
    Ok(Traits {
        labels: from_json("a computer's labels", labels)?,
        cpus: sizes.cpus,
        memory_bytes: sizes.memory_bytes,
    })
}

pub(super) fn reference(text: &str) -> Result<ComputerId, StoreError> {
    text.parse()
        .map_err(|err| corrupted("the reference of a computer", err))
}

#[derive(sqlx::FromRow)]
struct Row {
    reference: String,
    state: String,
    code: String,
    smbios_uuid: String,
    inventory: String,
    labels: String,
    project: String,
    created_at: i64,
    last_contact: Option<i64>,
    generation: i64,
    report: Option<String>,
    usage: Option<String>,
    trusted: i64,
}

impl TryFrom<Row> for Computer {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            reference: reference(&row.reference)?,
            state: ComputerState::from_str(&row.state)
                .map_err(|err| corrupted("a computer", err))?,
            code: row.code,
            smbios_uuid: row.smbios_uuid,
            inventory: row.inventory,
            labels: from_json("a computer's labels", &row.labels)?,
            project: projects::name(&row.project)?,
            created_at: Moment::from_micros(row.created_at),
            last_contact: row.last_contact.map(Moment::from_micros),
            generation: unsigned(row.generation),
            report: row.report,
            usage: row.usage,
            trusted: row.trusted != 0,
        })
    }
}
