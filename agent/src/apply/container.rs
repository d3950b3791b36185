//! Makes and leaves containers.

use std::io;

use super::{ApplyError, Hands};
use crate::instances::container::prepare::{clear, prepare};
use crate::instances::container::properties;
use crate::software::Release;
use crate::systemd::Property;

impl Hands<'_> {
    /// Lays out a stock image's container; returns the properties of its unit.
    pub(super) async fn contain(&self, release: &Release) -> Result<Vec<Property>, ApplyError> {
        let (place, instance) = (self.place.clone(), self.instance.clone());
        let (inside, image) = (self.inside()?, release.clone());
        let prepared =
            tokio::task::spawn_blocking(move || prepare(&place, &instance, &image, &inside));
        let prepared = prepared.await.map_err(io::Error::other);
        let prepared = prepared.map_err(ApplyError::Inside)?;
        prepared.map_err(ApplyError::Container)?;
        Ok(properties(self.place.partition, &release.runs))
    }

    pub(super) async fn leave_container(&self) -> Result<(), ApplyError> {
        clear(self.place).await.map_err(ApplyError::Container)
    }
}
