//! What happens before an instance is removed: it says what it used, and runs what it wants to run at its end.

use std::collections::BTreeMap;

use super::{ApplyError, FAREWELL_WITHIN, Hands, INSTANTIATE_WITHIN, LONGEST_OUTPUT, tail};
use crate::instances::programs::{self, Ending};
use crate::systemd::Ran;
use crate::usage::{self, Farewell};

impl Hands<'_> {
    /// Runs what the partition wants to run at its end, one after the other.
    pub(super) async fn take_leave(&self) -> Result<(), ApplyError> {
        let release = self.release()?;
        self.keep_what_it_used().await?;
        let inside = self.inside()?;
        for ending in programs::endings(&inside).map_err(ApplyError::Programs)? {
            let (path, within) = match &ending {
                Ending::Script(path) => (path, FAREWELL_WITHIN),
                Ending::Removal(path) => (path, INSTANTIATE_WITHIN),
            };
            let command = vec![self.place.directory.join(path).into_string()];
            let ran = self.run(release, command, BTreeMap::new(), within).await?;
            let Ran { result, output } = ran;
            let output = tail(&output, LONGEST_OUTPUT);
            match ending {
                _ if result == "done" => {}
                Ending::Script(path) => {
                    let partition = self.place.partition;
                    tracing::warn!(%partition, "its own `{path}` failed ({result}): {output}");
                }
                Ending::Removal(path) => {
                    return Err(ApplyError::NotRemoved {
                        path,
                        result,
                        output,
                    });
                }
            }
        }
        Ok(())
    }

    /// What it used is safe before anything of it goes; repeated it tells nothing twice.
    pub(super) async fn keep_what_it_used(&self) -> Result<(), ApplyError> {
        let farewell = Farewell {
            systemd: self.systemd,
            place: self.place,
            release: self.release,
            computer: &self.origin.computer,
            outbox: self.outbox,
            clock: self.clock,
        };
        let collected = usage::collect_before_destroy(&farewell).await;
        collected.map_err(ApplyError::Farewell)
    }
}
