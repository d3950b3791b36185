//! What a partition has beside its directory: folders on other disks and block devices, and that nothing of it is left.

use std::io;

use super::{ApplyError, Hands};
use crate::devices;
use crate::firewall::{self, Wishes};
use crate::inside::{Inside, Ownership};
use crate::instances::confinement::Place;
use crate::instances::container::environment::{WISHES, wishes};
use crate::instances::container::prepare::ContainerError;
use crate::partitions::directories::put_resource;
use crate::partitions::homes::Homes;

impl Hands<'_> {
    pub(super) async fn take_folders(&self) -> Result<(), ApplyError> {
        let (partition, ids) = (self.place.partition, self.place.ids);
        let reference = self.instance.reference.clone();
        let give = move |homes: Homes| homes.give(partition, ids, &reference);
        self.in_homes(give).await?.map_err(ApplyError::Folders)
    }

    /// Has the disk hold it to so many bytes, or to none.
    pub(super) fn ration(&self, most: Option<u64>) -> Result<(), ApplyError> {
        let Place { partition, ids, .. } = *self.place;
        let held = self.quotas.hold(partition, ids, most);
        held.map_err(ApplyError::Quotas)
    }

    pub(super) fn take_devices(&self) -> Result<(), ApplyError> {
        let Place { partition, ids, .. } = self.place;
        let asked = devices::asked(&self.inside()?).map_err(ApplyError::Devices)?;
        let given = self.devices.give(*partition, *ids, &asked);
        given.map_err(ApplyError::Devices)
    }

    /// What is in folders may be much.
    async fn in_homes<T: Send + 'static>(
        &self,
        act: impl FnOnce(Homes) -> T + Send + 'static,
    ) -> Result<T, ApplyError> {
        let homes = self.homes.to_vec();
        let acted = tokio::task::spawn_blocking(move || act(Homes::open(&homes))).await;
        acted.map_err(|error| ApplyError::Inside(io::Error::other(error)))
    }

    /// Asks the master where its tree is, if that matters, and has the firewall be as it is wanted.
    pub(super) async fn guard(&self) -> Result<(), ApplyError> {
        let Place { partition, ids, .. } = *self.place;
        let Some(prefix) = self.prefix else {
            return Ok(());
        };
        let whitelist = firewall::whitelist(&self.inside()?).map_err(ApplyError::Inside)?;
        let ranges = firewall::ranges(prefix, partition, ids);
        let wishes = Wishes {
            partition,
            ids,
            instance: self.instance,
            whitelist: whitelist.as_deref(),
            ranges: &ranges,
            settings: self.firewall.settings(),
        };
        let tree = if wishes.asks_for_its_tree() {
            let tree = self.kin.addresses(partition).await;
            tree.map_err(ApplyError::Kin)?
        } else {
            Vec::new()
        };
        let users_in = |nets: &_| firewall::users_in(prefix, nets, self.accounts);
        let guard = wishes.guard(&tree, users_in).map_err(ApplyError::Wish)?;
        let set = self.firewall.set(partition, guard).await;
        set.map_err(ApplyError::Firewall)
    }

    /// What a stock image cannot ask for in files of its own, its requester does in parameters of their names.
    pub(super) fn write_wishes(&self, inside: &Inside) -> Result<(), ApplyError> {
        let wishes = wishes(&self.instance.parameters);
        let wishes = wishes.map_err(ContainerError::Environment);
        let wishes = wishes.map_err(ApplyError::Container)?;
        let readable = Ownership::readable_by(self.place.ids, 0o640);
        for name in WISHES {
            let written = match wishes.get(name) {
                Some(text) => inside.replace(name, text.as_bytes(), readable),
                None => inside.remove(name),
            };
            written.map_err(ApplyError::Inside)?;
        }
        Ok(())
    }

    pub(super) async fn wipe(&self) -> Result<(), ApplyError> {
        self.keep_what_it_used().await?;
        let partition = self.place.partition;
        let emptied = self.in_homes(move |homes| homes.empty(partition)).await?;
        emptied.map_err(ApplyError::Empty)?;
        let released = self.devices.release(partition);
        released.map_err(ApplyError::Devices)?;
        let unguarded = self.firewall.set(partition, None).await;
        unguarded.map_err(ApplyError::Firewall)?;
        let inside = self.inside()?;
        let resource = self.resource.map(str::to_owned);
        let wipe = move || {
            inside.wipe()?;
            if let Some(resource) = resource {
                put_resource(&inside, &resource)?;
            }
            inside.sync()
        };
        let wiped = tokio::task::spawn_blocking(wipe).await;
        let wiped = wiped.unwrap_or_else(|error| Err(io::Error::other(error)));
        wiped.map_err(ApplyError::Wipe)?;
        self.ration(None)
    }
}
