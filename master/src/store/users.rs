//! Users: operators, people and organisations, and which people belong to which organisations.

use slap::v1::{UserKind, UserState};

use super::{Connection, StoreError, Writing, corrupted};
use crate::clock::Moment;
use crate::identity::{Identity, UserName};

/// Somebody with a certificate who is no machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub name: UserName,
    pub kind: UserKind,
    pub state: UserState,
    pub created_at: Moment,
}

impl Account {
    /// Returns whom their certificates name.
    pub fn identity(&self) -> Identity {
        Identity::User(self.kind, self.name.clone())
    }
}

/// Says whether anybody has ever enrolled as operator and still is one.
pub async fn has_operator(db: &mut Connection) -> Result<bool, StoreError> {
    let count: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM users WHERE kind = 'operator' AND state = 'enrolled'",
    )
    .fetch_one(db)
    .await?;
    Ok(count > 0)
}

/// Returns every user, by name.
pub async fn users(db: &mut Connection) -> Result<Vec<Account>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as("SELECT * FROM users ORDER BY name")
        .fetch_all(db)
        .await?;
    rows.into_iter().map(Account::try_from).collect()
}

/// Returns the user of this name.
pub async fn user(db: &mut Connection, name: &UserName) -> Result<Option<Account>, StoreError> {
    let row: Option<Row> = sqlx::query_as("SELECT * FROM users WHERE name = $1")
        .bind(name.as_str())
        .fetch_optional(db)
        .await?;
    row.map(Account::try_from).transpose()
}

/// Returns who belongs to which organisation: pairs of organisation and person.
pub async fn affiliations(db: &mut Connection) -> Result<Vec<(UserName, UserName)>, StoreError> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT organisation, person FROM affiliations ORDER BY organisation, person",
    )
    .fetch_all(db)
    .await?;
    rows.iter()
        .map(|(organisation, person)| Ok((name(organisation)?, name(person)?)))
        .collect()
}

/// Returns the organisations that a person belongs to and that are not shut out.
pub async fn organisations_of(
    db: &mut Connection,
    person: &UserName,
) -> Result<Vec<UserName>, StoreError> {
    let found: Vec<String> = sqlx::query_scalar(
        "SELECT a.organisation FROM affiliations a JOIN users u ON u.name = a.organisation
         WHERE a.person = $1 AND u.state = 'enrolled' ORDER BY a.organisation",
    )
    .bind(person.as_str())
    .fetch_all(db)
    .await?;
    found.iter().map(|it| name(it)).collect()
}

pub(super) fn name(text: &str) -> Result<UserName, StoreError> {
    text.parse().map_err(|err| corrupted("a user's name", err))
}

impl Writing {
    /// Adds a user; says whether the name was free.
    pub async fn add_user(&mut self, kind: UserKind, name: &UserName) -> Result<bool, StoreError> {
        let now = self.now().micros();
        let added = sqlx::query(
            "INSERT INTO users (name, kind, state, created_at) VALUES ($1, $2, 'enrolled', $3)
             ON CONFLICT (name) DO NOTHING",
        )
        .bind(name.as_str())
        .bind(kind.as_str())
        .bind(now)
        .execute(self.db())
        .await?
        .rows_affected();
        if added > 0 {
            self.note("add user", name, kind);
        }
        Ok(added > 0)
    }

    /// Adds a user under the next number's name.
    pub async fn add_numbered_user(&mut self, kind: UserKind) -> Result<UserName, StoreError> {
        loop {
            let number = self.next_number(kind.as_str()).await?;
            let name = name(&format!("{kind}-{number}"))?;
            if self.add_user(kind, &name).await? {
                return Ok(name);
            }
        }
    }

    /// Shuts a user out for good: no certificate of theirs counts any more. What they requested stays.
    pub async fn revoke_user(&mut self, account: &Account) -> Result<(), StoreError> {
        sqlx::query("UPDATE users SET state = 'revoked' WHERE name = $1")
            .bind(account.name.as_str())
            .execute(self.db())
            .await?;
        self.revoke_certificates(&account.identity()).await?;
        self.revoke_tokens_of(&account.identity().to_string())
            .await?;
        self.note("revoke user", &account.name, "");
        Ok(())
    }

    /// Has a person belong to an organisation, or not any more.
    pub async fn set_affiliation(
        &mut self,
        organisation: &UserName,
        person: &UserName,
        belongs: bool,
    ) -> Result<(), StoreError> {
        let change = if belongs {
            "INSERT INTO affiliations (organisation, person) VALUES ($1, $2)
             ON CONFLICT (organisation, person) DO NOTHING"
        } else {
            "DELETE FROM affiliations WHERE organisation = $1 AND person = $2"
        };
        let changed = sqlx::query(change)
            .bind(organisation.as_str())
            .bind(person.as_str())
            .execute(self.db())
            .await?
            .rows_affected();
        if changed > 0 {
            let action = if belongs { "affiliate" } else { "part" };
            self.note(action, organisation, person);
        }
        Ok(())
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    kind: String,
    state: String,
    created_at: i64,
}

impl TryFrom<Row> for Account {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            name: name(&row.name)?,
            kind: row.kind.parse().map_err(|err| corrupted("a user", err))?,
            state: row.state.parse().map_err(|err| corrupted("a user", err))?,
            created_at: Moment::from_micros(row.created_at),
        })
    }
}
