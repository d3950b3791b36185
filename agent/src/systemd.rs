//! What we ask of systemd, over D-Bus.

use zbus::Connection;

/// The service manager of the node.
#[derive(Clone, Debug)]
pub struct Systemd {
    connection: Connection,
}

impl Systemd {
    /// Speaks to the service manager over `connection` (the system bus).
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Returns the connection, for other interfaces of the manager.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}
