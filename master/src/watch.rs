//! Generations of computers: a number that moves whenever the desired state does, and those who wait for it to move.
//! Only what somebody waits for is kept in memory; the store has the truth.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::identity::ComputerId;

/// Who waits for which computer.
#[derive(Debug, Default)]
pub struct Generations {
    watched: Mutex<BTreeMap<ComputerId, watch::Sender<u64>>>,
}

impl Generations {
    /// Returns a receiver that sees every generation published from this call on.
    ///
    /// The caller then reads the stored generation, so that one published just before is not lost.
    pub fn subscribe(&self, computer: &ComputerId) -> watch::Receiver<u64> {
        self.lock()
            .entry(computer.clone())
            .or_insert_with(|| watch::channel(0).0)
            .subscribe()
    }

    /// Wakes those who wait for `computer`. Never moves backwards.
    pub fn publish(&self, computer: &ComputerId, generation: u64) {
        if let Some(sender) = self.lock().get(computer) {
            sender.send_if_modified(|current| {
                let moved = generation > *current;
                *current = generation.max(*current);
                moved
            });
        }
    }

    /// Returns how many wait for a computer.
    pub fn waiting(&self, computer: &ComputerId) -> usize {
        self.lock()
            .get(computer)
            .map_or(0, watch::Sender::receiver_count)
    }

    /// Returns the computers that somebody waits for.
    pub fn watched(&self) -> Vec<ComputerId> {
        self.lock().keys().cloned().collect()
    }

    /// Forgets the computers that nobody waits for.
    pub fn forget_unwatched(&self) {
        self.lock().retain(|_, sender| sender.receiver_count() > 0);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ComputerId, watch::Sender<u64>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_is_woken_once_and_never_backwards() {
        let generations = Generations::default();
        let computer = ComputerId::numbered(1);
        let mut receiver = generations.subscribe(&computer);
        generations.publish(&computer, 5);
        generations.publish(&computer, 4);
        assert_eq!(*receiver.wait_for(|&it| it > 3).await.unwrap(), 5);
        assert!(!receiver.has_changed().unwrap());
    }

    #[test]
    fn what_nobody_waits_for_is_forgotten() {
        let generations = Generations::default();
        let computer = ComputerId::numbered(1);
        drop(generations.subscribe(&computer));
        generations.forget_unwatched();
        assert!(generations.lock().is_empty());
    }
}
