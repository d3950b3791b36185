//! How long to wait before the next try: quickly at first, since a network comes up while a box starts, then twice as
//! long each time up to half a minute, and never all boxes at once. Pure.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const MOST: Duration = Duration::from_secs(30);

/// How long to wait after so many failures. `chance` is between 0 and 1.
pub fn pause(failures: u32, chance: f64) -> Duration {
    let doubled = FIRST
        .saturating_mul(2_u32.saturating_pow(failures.min(16)))
        .min(MOST);
    doubled.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

/// Counts failures in a row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Retry {
    failures: u32,
}

impl Retry {
    /// How long to wait after one more failure.
    pub fn failed(&mut self, chance: f64) -> Duration {
        let after = pause(self.failures, chance);
        self.failures = self.failures.saturating_add(1);
        after
    }

    /// Forgets the failures.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_is_bounded_and_never_nothing() {
        assert_eq!(pause(0, 1.0), Duration::from_millis(500));
        assert_eq!(pause(3, 1.0), Duration::from_secs(4));
        for failures in 0..100 {
            for chance in [0.0, 0.3, 1.0, 7.0] {
                let pause = pause(failures, chance);
                assert!(
                    pause >= FIRST / 2 && pause <= MOST,
                    "{failures} {chance} {pause:?}"
                );
            }
        }
    }
}
