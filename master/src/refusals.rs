//! How often one address may be refused before it has to wait. Those who are let in are never slowed down.
//! No secret could be guessed anyway; this keeps guessers from being work.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Moment;

/// So many refusals in a row,
const BURST: u32 = 10;
/// and then one in this time.
const ONE_EACH: Duration = Duration::from_secs(6);
/// No more addresses than this are remembered.
const REMEMBERED: usize = 10_000;

/// Who was refused lately.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<BTreeMap<IpAddr, Bucket>>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// When the bucket is full again.
    full_at: Moment,
}

impl Refusals {
    /// Takes a try; how long to wait when there is none left. Given back by `forgive` when the caller is let in.
    pub fn try_once(&self, address: IpAddr, now: Moment) -> Result<(), Duration> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= REMEMBERED {
            buckets.retain(|_, bucket| bucket.full_at > now);
        }
        if buckets.len() >= REMEMBERED {
            // A flood from everywhere: somebody is forgotten.
            buckets.pop_first();
        }
        let bucket = buckets
            .entry(source(address))
            .or_insert(Bucket { full_at: now });
        let missing = bucket.full_at.since(now);
        if missing > ONE_EACH * (BURST - 1) {
            return Err(missing.saturating_sub(ONE_EACH * (BURST - 1)));
        }
        bucket.full_at = now.plus(missing + ONE_EACH);
        Ok(())
    }

    /// Gives a try back.
    pub fn forgive(&self, address: IpAddr) {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(&source(address)) {
            bucket.full_at = bucket.full_at.minus(ONE_EACH);
        }
    }
}

/// Whoever has one IPv6 address has its /64.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let network = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guesser_is_slowed_down_and_others_are_not() {
        let refusals = Refusals::default();
        let now = Moment::from_seconds(1_000);
        let guesser: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbour: IpAddr = "2001:db8::2".parse().unwrap();
        let other: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..BURST {
            refusals.try_once(guesser, now).unwrap();
        }
        let wait = refusals.try_once(neighbour, now).unwrap_err();
        assert!(wait <= ONE_EACH, "{wait:?}");
        refusals.try_once(other, now).unwrap();
        refusals.try_once(guesser, now.plus(ONE_EACH)).unwrap();
        refusals.try_once(guesser, now.plus(ONE_EACH)).unwrap_err();
    }

    #[test]
    fn who_is_let_in_is_never_slowed_down() {
        let refusals = Refusals::default();
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..1_000 {
            refusals
                .try_once(address, Moment::from_seconds(1_000))
                .unwrap();
            refusals.forgive(address);
        }
    }
}
