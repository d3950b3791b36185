//! What several masters on one PostgreSQL tell each other: that the desired state of a computer moved, so that each wakes those who wait at it.
//! Only a hint: what moved is read from the database.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};

use super::{Connection, Location, Store, StoreError, computers};
use crate::identity::ComputerId;

const CHANNEL: &str = "slapbox_generations";
/// How long to wait before a lost server is called again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long one attempt may take. The shorter, the more often sqlx knocks meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells every master of this database, when the transaction commits.
pub(super) async fn tell(
    db: &mut Connection,
    changed: &BTreeMap<ComputerId, u64>,
) -> Result<(), StoreError> {
    for (computer, generation) in changed {
        sqlx::query("SELECT pg_notify($1, $2)")
            .bind(CHANNEL)
            .bind(format!("{computer} {generation}"))
            .execute(&mut *db)
            .await?;
    }
    Ok(())
}

impl Store {
    /// Wakes those who wait at this master for what another master changed. Runs for ever, or ends at once where there is no other.
    pub async fn hear_others(self, location: Location) {
        let Location::Server(url) = location else {
            return;
        };
        let mut lost = false;
        loop {
            let Err(error) = self.hear(url.reveal(), &mut lost).await;
            // Said once: what cannot reach the server meanwhile says so itself.
            if !lost {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the database tells no news: calling it until it does"
                );
            }
            lost = true;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn hear(
        &self,
        url: &str,
        lost: &mut bool,
    ) -> Result<std::convert::Infallible, StoreError> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .connect(url)
            .await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(CHANNEL).await?;
        if std::mem::take(lost) {
            tracing::info!("the database tells news again");
        }
        loop {
            // What was told while nobody listened is lost: read it.
            self.publish_all().await?;
            while let Some(told) = listener.try_recv().await? {
                if let Some((computer, generation)) = parse(told.payload()) {
                    self.generations().publish(&computer, generation);
                }
            }
        }
    }

    async fn publish_all(&self) -> Result<(), StoreError> {
        let mut db = self.read().await?;
        for computer in self.generations().watched() {
            if let Some(generation) = computers::generation(&mut db, &computer).await? {
                self.generations().publish(&computer, generation);
            }
        }
        Ok(())
    }
}

fn parse(payload: &str) -> Option<(ComputerId, u64)> {
    let (computer, generation) = payload.split_once(' ')?;
    Some((computer.parse().ok()?, generation.parse().ok()?))
}
