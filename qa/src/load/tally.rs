//! How long calls took, and how many failed.

use std::time::Duration;

/// What came of a number of calls.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    took: Vec<Duration>,
    /// Calls that got no answer, or another than was wanted.
    pub errors: usize,
    lasted: Duration,
}

impl Tally {
    /// Counts one call. How long a failed one took says nothing.
    pub fn count(&mut self, took: Duration, good: bool) {
        if good {
            self.took.push(took);
        } else {
            self.errors += 1;
        }
    }

    /// Says how long all of it took, one line beside the other.
    pub fn lasted(&mut self, time: Duration) {
        self.lasted += time;
    }

    /// Adds another count to this one.
    pub fn add(&mut self, other: Self) {
        self.took.extend(other.took);
        self.errors += other.errors;
        self.lasted += other.lasted;
    }

    /// How many calls were answered as was wanted.
    pub fn good(&self) -> usize {
        self.took.len()
    }

    /// How many a second.
    pub fn rate(&self) -> f64 {
        number(self.took.len()) / self.lasted.as_secs_f64().max(f64::EPSILON)
    }

    /// The time in milliseconds within which this part of the calls, in hundredths, were answered.
    pub fn within(&self, hundredths: usize) -> f64 {
        let mut took = self.took.clone();
        took.sort_unstable();
        let last = took.len().saturating_sub(1);
        let rank = (took.len() * hundredths).div_ceil(100).saturating_sub(1);
        let time = took.get(rank.min(last)).copied().unwrap_or_default();
        time.as_secs_f64() * 1e3
    }
}

/// A count as a figure.
pub(crate) fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let mut tally = Tally::default();
        assert!(tally.within(99) < f64::EPSILON);
        for millis in (1..=200).rev() {
            tally.count(Duration::from_millis(millis), true);
        }
        tally.count(Duration::from_secs(60), false);
        let about = |value: f64, expected: f64| (value - expected).abs() < 1e-6;
        assert!(about(tally.within(50), 100.0));
        assert!(about(tally.within(99), 198.0));
        assert!(about(tally.within(100), 200.0));
        assert_eq!((tally.good(), tally.errors), (200, 1));
        tally.lasted(Duration::from_secs(4));
        assert!(about(tally.rate(), 50.0));
    }
}
