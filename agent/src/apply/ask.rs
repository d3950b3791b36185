//! What an instance is told, and what it requests of others: taken up when it was made, and asked for in its name.

use std::io;

use super::{ApplyError, Hands};
use crate::clock::unix_seconds;
use crate::desired::Fingerprint;
use crate::inside::{Inside, Ownership};
use crate::instances::answers::{Asking, Requested, Told};
use crate::instances::confinement::{PARAMETERS, limited, slice};
use crate::instances::{credentials, wishes};
use crate::software::Makes;

impl Hands<'_> {
    /// Asks for all that it requests, and keeps what came of it.
    pub(super) async fn ask(&self, subject: &Fingerprint) -> Result<(), ApplyError> {
        let inside = self.inside()?;
        let mut requested = Requested::read(&inside);
        let identity = match self.issuer {
            Some(_) => credentials::load(&inside).map_err(ApplyError::Inside)?,
            None => None,
        };
        let asking = Asking {
            partition: self.place.partition,
            identity,
            software: self.instance.software.clone(),
            wishes: requested.wishes.clone(),
        };
        let answers = self.asker.ask(asking).await;
        requested.hear(subject.clone(), answers, unix_seconds((self.clock)()));
        requested.write(&inside).map_err(ApplyError::Inside)
    }

    /// Has what runs held to what it may use now, without stopping it.
    pub(super) async fn limit(&self) -> Result<(), ApplyError> {
        let partition = self.place.partition;
        let limits = limited(partition, &self.place.limits);
        let set = self.systemd.set(&slice(partition), &limits).await;
        set.map_err(ApplyError::Systemd)
    }

    /// Takes up what its `instantiate` has just requested.
    pub(super) fn take_up_wishes(&self, inside: &Inside) -> Result<(), ApplyError> {
        let wishes = wishes::read(inside, self.place.ids).map_err(ApplyError::Wishes)?;
        let mut requested = Requested::read(inside);
        requested.adopt(wishes);
        requested.write(inside).map_err(ApplyError::Inside)
    }

    /// Writes the document that it is made from.
    pub(super) fn write_parameters(&self, inside: &Inside) -> io::Result<()> {
        let own = Ownership::of_partition(self.place.ids, 0o750);
        inside.folder(".slapgrid", own)?;
        let (partition, told) = (self.place.partition, self.told(inside));
        let document = self.instance.document(partition, &told);
        let readable = Ownership::readable_by(self.place.ids, 0o640);
        inside.replace(PARAMETERS, document.as_bytes(), readable)
    }

    /// Returns what it is told of what it requested: only a script can request something.
    fn told(&self, inside: &Inside) -> Told {
        match self.release.map(|release| &release.makes) {
            Some(Makes::Script) => Requested::read(inside).told,
            Some(Makes::Nothing | Makes::Buildout(_)) | None => Told::new(),
        }
    }
}
