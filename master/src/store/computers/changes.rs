//! What happens to computers.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::clock::Moment;
use crate::enrolment::{ComputerState, Warning};
use crate::identity::{ComputerId, Identity, ProjectName};
use crate::store::{StoreError, Writing, to_json, unsigned};

/// A computer that is not there yet.
#[derive(Debug)]
pub struct NewComputer<'a> {
    pub state: ComputerState,
    /// None where the machine has shown none yet.
    pub public_key: Option<&'a str>,
    pub code: &'a str,
    pub smbios_uuid: &'a str,
    pub inventory: &'a str,
    pub labels: &'a BTreeMap<String, String>,
    pub project: &'a ProjectName,
}

impl Writing {
    /// Adds a computer under the next number.
    pub async fn add_computer(&mut self, new: &NewComputer<'_>) -> Result<ComputerId, StoreError> {
        let reference = ComputerId::numbered(self.next_number("COMP").await?);
        let now = self.now().micros();
        sqlx::query(
            "INSERT INTO computers (reference, state, public_key, code, smbios_uuid, inventory, labels, created_at, project, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $8)",
        )
        .bind(reference.as_str())
        .bind(new.state.as_str())
        .bind(new.public_key)
        .bind(new.code)
        .bind(new.smbios_uuid)
        .bind(new.inventory)
        .bind(to_json(new.labels))
        .bind(now)
        .bind(new.project.as_str())
        .execute(self.db())
        .await?;
        self.note("add computer", &reference, new.state);
        Ok(reference)
    }

    /// Adds a computer that named itself, if there is none of that name: at a master that asks nobody who they are.
    pub async fn add_named_computer(&mut self, reference: &ComputerId) -> Result<(), StoreError> {
        let now = self.now().micros();
        let added = sqlx::query(
            "INSERT INTO computers (reference, state, code, smbios_uuid, inventory, labels, created_at, project, version)
             VALUES ($1, 'enrolled', '', '', '{}', '{}', $2, $3, $2) ON CONFLICT (reference) DO NOTHING",
        )
        .bind(reference.as_str())
        .bind(now)
        .bind(ProjectName::default().as_str())
        .execute(self.db())
        .await?
        .rows_affected();
        if added > 0 {
            self.note("add computer", reference, "it named itself");
        }
        Ok(())
    }

    /// Moves a computer to another state. Revoking takes its certificates away and wakes it, so that it notices.
    pub async fn set_computer_state(
        &mut self,
        computer: &ComputerId,
        state: ComputerState,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE computers SET state = $2 WHERE reference = $1")
            .bind(computer.as_str())
            .bind(state.as_str())
            .execute(self.db())
            .await?;
        if state == ComputerState::Revoked {
            self.revoke_certificates(&Identity::Computer(computer.clone()))
                .await?;
            self.touch(computer).await?;
        }
        self.note("set state", computer, state);
        Ok(())
    }

    /// Records what a computer says it is made of.
    pub async fn set_inventory(
        &mut self,
        computer: &ComputerId,
        inventory: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE computers SET inventory = $2 WHERE reference = $1")
            .bind(computer.as_str())
            .bind(inventory)
            .execute(self.db())
            .await?;
        Ok(())
    }

    /// Records the key that a computer has from now on, or that it has none.
    pub async fn set_computer_key(
        &mut self,
        computer: &ComputerId,
        public_key: Option<&str>,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE computers SET public_key = $2 WHERE reference = $1")
            .bind(computer.as_str())
            .bind(public_key)
            .execute(self.db())
            .await?;
        Ok(())
    }

    /// Records what a computer reports of itself. Without usage, what it said of that before stays.
    pub async fn set_report(
        &mut self,
        computer: &ComputerId,
        report: &str,
        usage: Option<&str>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE computers SET report = $2, usage = COALESCE($3, usage) WHERE reference = $1",
        )
        .bind(computer.as_str())
        .bind(report)
        .bind(usage)
        .execute(self.db())
        .await?;
        Ok(())
    }

    /// Keeps what a computer says its partitions used. The same document is kept once: who sends it again has not heard that it came.
    pub async fn add_usage(
        &mut self,
        computer: &ComputerId,
        document: &str,
    ) -> Result<(), StoreError> {
        let now = self.now().micros();
        let digest = Sha256::digest(document);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let added = sqlx::query(
            "INSERT INTO usage_reports (computer, sha256, reported_at, document) VALUES ($1, $2, $3, $4)
             ON CONFLICT (computer, sha256) DO NOTHING",
        )
        .bind(computer.as_str())
        .bind(digest)
        .bind(now)
        .bind(document)
        .execute(self.db())
        .await?
        .rows_affected();
        if added > 0 {
            self.note("report usage", computer, "");
        }
        Ok(())
    }

    /// Records when computers were last heard of.
    pub async fn set_contacts(
        &mut self,
        contacts: &BTreeMap<ComputerId, Moment>,
    ) -> Result<(), StoreError> {
        for (computer, at) in contacts {
            sqlx::query(
                "UPDATE computers SET last_contact = $2
                 WHERE reference = $1 AND (last_contact IS NULL OR last_contact < $2)",
            )
            .bind(computer.as_str())
            .bind(at.micros())
            .execute(self.db())
            .await?;
        }
        Ok(())
    }

    /// Records what an operator should look at. The same warning stays one.
    pub async fn warn(&mut self, warning: &Warning) -> Result<(), StoreError> {
        let now = self.now().micros();
        sqlx::query(
            "INSERT INTO computer_warnings (computer, warning, since) VALUES ($1, $2, $3)
             ON CONFLICT (computer, warning) DO NOTHING",
        )
        .bind(warning.computer.as_str())
        .bind(&warning.text)
        .bind(now)
        .execute(self.db())
        .await?;
        Ok(())
    }

    /// Moves the version of a computer: what it is told is another document, though nothing else is wanted of it.
    ///
    /// Every function of the store that changes what stands in the document and does not `touch` the computer calls this.
    pub(in crate::store) async fn retell(
        &mut self,
        computer: &ComputerId,
    ) -> Result<(), StoreError> {
        if self.changed.contains_key(computer) || !self.retold.insert(computer.clone()) {
            return Ok(());
        }
        let now = self.now().micros();
        sqlx::query(
            "UPDATE computers SET version = CASE WHEN version < $2 THEN $2 ELSE version + 1 END
             WHERE reference = $1",
        )
        .bind(computer.as_str())
        .bind(now)
        .execute(self.db())
        .await?;
        Ok(())
    }

    /// Moves the generation of a computer, and its version: its desired state is another one.
    pub async fn touch(&mut self, computer: &ComputerId) -> Result<(), StoreError> {
        if self.changed.contains_key(computer) {
            return Ok(());
        }
        let now = self.now().micros();
        let generation: Option<i64> = sqlx::query_scalar(
            "UPDATE computers SET generation = generation + 1,
                 version = CASE WHEN version < $2 THEN $2 ELSE version + 1 END
             WHERE reference = $1 RETURNING generation",
        )
        .bind(computer.as_str())
        .bind(now)
        .fetch_optional(self.db())
        .await?;
        if let Some(generation) = generation {
            self.changed.insert(computer.clone(), unsigned(generation));
        }
        Ok(())
    }
}
