//! Opens and closes bridges.

use std::fs;

use super::{ApplyError, Hands};
use crate::desired::Fingerprint;
use crate::instances::bridges::{self, Bridge, BridgeError};
use crate::instances::container::reach;
use crate::instances::units::UnitName;
use crate::observed::ProgramName;
use crate::software::Makes;

/// Who listens on IPv6, in the node's network.
const SOCKETS: &str = "/proc/self/net/tcp6";

impl Hands<'_> {
    pub(super) async fn open_bridge(
        &self,
        name: &ProgramName,
        as_what: &Fingerprint,
    ) -> Result<(), ApplyError> {
        let failed = |source| ApplyError::Bridge {
            name: name.clone(),
            source,
        };
        let bridge = self.bridge(name)?.map_err(failed)?;
        let socket = bridges::socket(self.place, name, &bridge, as_what);
        let service = bridges::service(self.place, name, &bridge);
        let [listens, carries] = self.units_of_bridge(name);
        let started = self
            .systemd
            .start_socket(&listens, &socket, (&carries, &service));
        let Err(error) = started.await else {
            return Ok(());
        };
        // systemd says that it failed, and why only to the journal. Who may not bind low ports cannot try it either.
        let sockets = fs::read_to_string(SOCKETS).unwrap_or_default();
        if bridge.network.is_none() && bridges::is_taken(bridge.listen, &sockets) {
            return Err(failed(BridgeError::Taken(bridge.listen)));
        }
        Err(ApplyError::Systemd(error))
    }

    pub(super) async fn close_bridge(&self, name: &ProgramName) -> Result<(), ApplyError> {
        for unit in self.units_of_bridge(name) {
            self.stop(&unit).await?;
        }
        Ok(())
    }

    fn bridge(&self, name: &ProgramName) -> Result<Result<Bridge, BridgeError>, ApplyError> {
        Ok(match self.release()?.makes {
            Makes::Nothing => reach::bridge(self.place, name),
            Makes::Script | Makes::Buildout(_) => {
                bridges::read(&self.inside()?, self.place, name, self.issuer.is_some())
            }
        })
    }

    /// What listens, and what carries.
    fn units_of_bridge(&self, name: &ProgramName) -> [String; 2] {
        let partition = self.place.partition;
        let bridge = UnitName::Bridge(partition, name.clone());
        let service = UnitName::BridgeService(partition, name.clone());
        [bridge, service].map(|unit| unit.to_string())
    }
}
