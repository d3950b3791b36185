//! Certificates that the CA issued, and whether they still count: asked at every request, so that a revocation acts at once.

use slap::join::CaPin;

use super::{Connection, StoreError, Writing};
use crate::clock::Moment;
use crate::identity::{Credential, Identity};

/// Where the bearer of a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Good,
    Revoked,
    /// This master does not know it: another master's database, or one restored from before it enrolled.
    Unknown,
}

/// Returns where the bearer of this certificate stands.
pub async fn standing(
    db: &mut Connection,
    credential: &Credential,
) -> Result<Standing, StoreError> {
    let state: Option<String> = match &credential.identity {
        Identity::Computer(computer) => {
            sqlx::query_scalar("SELECT state FROM computers WHERE reference = $1")
                .bind(computer.as_str())
                .fetch_optional(&mut *db)
                .await?
        }
        Identity::User(kind, name) => {
            sqlx::query_scalar("SELECT state FROM users WHERE name = $1 AND kind = $2")
                .bind(name.as_str())
                .bind(kind.as_str())
                .fetch_optional(&mut *db)
                .await?
        }
        // An instance is somebody as long as it is there.
        Identity::Instance(instance) => {
            sqlx::query_scalar("SELECT requested_state FROM instances WHERE reference = $1")
                .bind(instance.as_str())
                .fetch_optional(&mut *db)
                .await?
        }
    };
    match state.as_deref() {
        None => return Ok(Standing::Unknown),
        Some("revoked") => return Ok(Standing::Revoked),
        Some(_) => {}
    }
    // A certificate that is not on record is of a database older than it: what counts then is who it names.
    let revoked: Option<Option<i64>> =
        sqlx::query_scalar("SELECT revoked_at FROM certificates WHERE serial = $1")
            .bind(&credential.serial)
            .fetch_optional(db)
            .await?;
    Ok(match revoked {
        Some(Some(_)) => Standing::Revoked,
        Some(None) | None => Standing::Good,
    })
}

/// A certificate that counts no more, though its time is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The serial number in hexadecimal.
    pub serial: String,
    pub at: Moment,
}

/// Returns the certificates of a CA that are revoked and not over, by serial number.
pub async fn revoked(
    db: &mut Connection,
    ca: &CaPin,
    now: Moment,
) -> Result<Vec<Revoked>, StoreError> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT serial, revoked_at FROM certificates
         WHERE ca = $1 AND revoked_at IS NOT NULL AND not_after > $2 ORDER BY serial",
    )
    .bind(ca.to_string())
    .bind(now.micros())
    .fetch_all(db)
    .await?;
    let shown = rows.into_iter().map(|(serial, at)| Revoked {
        serial,
        at: Moment::from_micros(at),
    });
    Ok(shown.collect())
}

/// Returns those who have a certificate of a CA that counts, and none of another that does.
pub async fn bearers_of(
    db: &mut Connection,
    ca: &CaPin,
    now: Moment,
) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT DISTINCT identity FROM certificates c
         WHERE ca = $1 AND revoked_at IS NULL AND not_after > $2 AND NOT EXISTS
             (SELECT 1 FROM certificates d WHERE d.identity = c.identity AND d.ca <> $1
              AND d.revoked_at IS NULL AND d.not_after > $2)
         ORDER BY identity",
    )
    .bind(ca.to_string())
    .bind(now.micros())
    .fetch_all(db)
    .await?)
}

impl Writing {
    /// Records a certificate, and forgets those of the same bearer that have ended.
    pub async fn record_certificate(
        &mut self,
        serial: &str,
        identity: &Identity,
        ca: &CaPin,
        not_after: Moment,
    ) -> Result<(), StoreError> {
        let (identity, now) = (identity.to_string(), self.now().micros());
        sqlx::query("DELETE FROM certificates WHERE identity = $1 AND not_after < $2")
            .bind(&identity)
            .bind(now)
            .execute(self.db())
            .await?;
        sqlx::query(
            "INSERT INTO certificates (serial, identity, issued_at, not_after, ca) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(serial)
        .bind(&identity)
        .bind(now)
        .bind(not_after.micros())
        .bind(ca.to_string())
        .execute(self.db())
        .await?;
        self.note("issue certificate", identity, serial);
        Ok(())
    }

    /// Says whether somebody has a certificate that counts.
    pub async fn has_certificate(&mut self, identity: &Identity) -> Result<bool, StoreError> {
        let now = self.now().micros();
        let count: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM certificates WHERE identity = $1 AND revoked_at IS NULL AND not_after > $2",
        )
        .bind(identity.to_string())
        .bind(now)
        .fetch_one(self.db())
        .await?;
        Ok(count > 0)
    }

    /// Takes all but the newest certificates of somebody off the record. They count on, as long as their bearer does.
    pub async fn forget_older_certificates(
        &mut self,
        identity: &Identity,
        kept: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM certificates WHERE identity = $1 AND revoked_at IS NULL AND serial NOT IN
                 (SELECT serial FROM certificates WHERE identity = $1 ORDER BY issued_at DESC, serial LIMIT $2)",
        )
        .bind(identity.to_string())
        .bind(kept)
        .execute(self.db())
        .await?;
        Ok(())
    }

    /// Revokes every certificate of somebody.
    pub async fn revoke_certificates(&mut self, identity: &Identity) -> Result<(), StoreError> {
        let now = self.now().micros();
        sqlx::query(
            "UPDATE certificates SET revoked_at = $2 WHERE identity = $1 AND revoked_at IS NULL",
        )
        .bind(identity.to_string())
        .bind(now)
        .execute(self.db())
        .await?;
        Ok(())
    }
}
