//! When computers were last heard of: noted in memory at every request, written to the store now and then.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::clock::Moment;
use crate::identity::ComputerId;

/// What is not written yet.
#[derive(Debug, Default)]
pub struct Contacts(Mutex<BTreeMap<ComputerId, Moment>>);

impl Contacts {
    /// Notes that a computer called.
    pub fn note(&self, computer: &ComputerId, now: Moment) {
        self.lock().insert(computer.clone(), now);
    }

    /// Returns when a computer called, if that is not written yet.
    pub fn of(&self, computer: &ComputerId) -> Option<Moment> {
        self.lock().get(computer).copied()
    }

    /// Takes out all that is to be written.
    pub fn take(&self) -> BTreeMap<ComputerId, Moment> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ComputerId, Moment>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
