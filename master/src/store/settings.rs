//! What the master remembers about itself between runs.

use super::{Connection, StoreError, Writing, from_json, to_json};

/// Returns the URLs at which boxes reach this master, as its last start said.
pub async fn urls(db: &mut Connection) -> Result<Vec<String>, StoreError> {
    let value: Option<String> =
        sqlx::query_scalar("SELECT value FROM settings WHERE name = 'urls'")
            .fetch_optional(db)
            .await?;
    value.map_or(Ok(Vec::new()), |text| from_json("the master's URLs", &text))
}

/// Returns the pin of the CA that the database belongs to.
pub async fn ca(db: &mut Connection) -> Result<Option<String>, StoreError> {
    Ok(
        sqlx::query_scalar("SELECT value FROM settings WHERE name = 'ca'")
            .fetch_optional(db)
            .await?,
    )
}

impl Writing {
    /// Binds the database to the CA with this pin, if it is bound to none or to the one that this one follows; says whether it is the one.
    pub async fn belongs_to(
        &mut self,
        ca: &str,
        previous: Option<&str>,
    ) -> Result<bool, StoreError> {
        sqlx::query(
            "INSERT INTO settings (name, value) VALUES ('ca', $1) ON CONFLICT (name) DO NOTHING",
        )
        .bind(ca)
        .execute(self.db())
        .await?;
        if let Some(previous) = previous {
            let followed =
                sqlx::query("UPDATE settings SET value = $1 WHERE name = 'ca' AND value = $2")
                    .bind(ca)
                    .bind(previous)
                    .execute(self.db())
                    .await?
                    .rows_affected();
            if followed > 0 {
                self.note("follow ca", previous, ca);
            }
        }
        let known: String = sqlx::query_scalar("SELECT value FROM settings WHERE name = 'ca'")
            .fetch_one(self.db())
            .await?;
        Ok(known == ca)
    }

    /// Remembers the URLs at which boxes reach this master.
    pub async fn set_urls(&mut self, urls: &[String]) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO settings (name, value) VALUES ('urls', $1)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(to_json(&urls))
        .execute(self.db())
        .await?;
        Ok(())
    }
}
