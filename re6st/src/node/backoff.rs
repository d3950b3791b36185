//! How long to wait before trying again.

use std::time::Duration;

use aws_lc_rs::rand;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Returns the pause after `failures` failures in a row: doubling up to a minute, of which half is left to chance
/// (`chance` from 0 to 1), so that a thousand nodes do not come at once.
pub(super) fn pause(failures: u32, chance: f64) -> Duration {
    let whole = FIRST
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(LONGEST);
    whole.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

/// Returns a number from 0 to 1.
pub(super) fn chance() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the pause is merely predictable.
    let _ = rand::fill(&mut bytes);
    f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        assert_eq!(pause(1, 1.0), Duration::from_secs(1));
        assert_eq!(pause(3, 1.0), Duration::from_secs(4));
        assert_eq!(pause(3, 0.0), Duration::from_secs(2));
        assert_eq!(pause(u32::MAX, 1.0), Duration::from_secs(60));
    }
}
