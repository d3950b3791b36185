//! Operators: those who may see and do everything.

use super::{Connection, StoreError, Writing, corrupted};
use crate::identity::OperatorName;

/// Says whether anybody has ever enrolled as operator and still is one.
pub async fn has_operator(db: &mut Connection) -> Result<bool, StoreError> {
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM operators WHERE state = 'enrolled'")
        .fetch_one(db)
        .await?;
    Ok(count > 0)
}

/// Says whether the operator of this name was shut out.
pub async fn is_revoked(db: &mut Connection, name: &OperatorName) -> Result<bool, StoreError> {
    let state: Option<String> = sqlx::query_scalar("SELECT state FROM operators WHERE name = $1")
        .bind(name.as_str())
        .fetch_optional(db)
        .await?;
    Ok(state.as_deref() == Some("revoked"))
}

impl Writing {
    /// Adds an operator under the wished name if it is free, else under the next number's.
    pub async fn add_operator(
        &mut self,
        wished: Option<OperatorName>,
        public_key: &str,
    ) -> Result<OperatorName, StoreError> {
        if let Some(name) = wished
            && self.insert_operator(&name, public_key).await?
        {
            return Ok(name);
        }
        loop {
            let number = self.next_number("operator").await?;
            let name: OperatorName = format!("operator-{number}")
                .parse()
                .map_err(|err| corrupted("the number of an operator", err))?;
            if self.insert_operator(&name, public_key).await? {
                return Ok(name);
            }
        }
    }

    /// Records the key that an operator renewed with.
    pub async fn set_operator_key(
        &mut self,
        name: &OperatorName,
        public_key: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE operators SET public_key = $2 WHERE name = $1")
            .bind(name.as_str())
            .bind(public_key)
            .execute(self.db())
            .await?;
        Ok(())
    }

    async fn insert_operator(
        &mut self,
        name: &OperatorName,
        public_key: &str,
    ) -> Result<bool, StoreError> {
        let now = self.now().micros();
        let added = sqlx::query(
            "INSERT INTO operators (name, state, public_key, created_at) VALUES ($1, 'enrolled', $2, $3)
             ON CONFLICT (name) DO NOTHING",
        )
        .bind(name.as_str())
        .bind(public_key)
        .bind(now)
        .execute(self.db())
        .await?
        .rows_affected();
        if added > 0 {
            self.note("add operator", name, "").await?;
        }
        Ok(added > 0)
    }
}
