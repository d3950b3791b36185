//! How many checks have passed and failed. Pure.

use std::fmt;

/// A count of checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Checks that have passed.
    pub passed: u32,
    /// Checks that have not.
    pub failed: u32,
}

impl Tally {
    /// One check that has passed.
    pub fn success() -> Self {
        Self {
            passed: 1,
            failed: 0,
        }
    }

    /// One check that has failed.
    pub fn failure() -> Self {
        Self {
            passed: 0,
            failed: 1,
        }
    }

    /// Both counts together.
    pub fn and(self, other: &Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
        }
    }

    /// Reads nextest's last summary: `Summary [ 1.2s] 12 tests run: 10 passed (1 slow), 1 failed, 1 timed out, 3 skipped`.
    pub fn of_nextest(output: &str) -> Option<Self> {
        let summary = output
            .lines()
            .rev()
            .find(|line| line.trim_start().starts_with("Summary ["))?;
        let counts = summary.split_once(" run: ")?.1;
        let of = |what: &str| -> u32 {
            let words: Vec<&str> = counts
                .split([' ', ','])
                .filter(|word| !word.is_empty())
                .collect();
            let place = words.iter().position(|word| *word == what);
            place
                .and_then(|place| words.get(place.checked_sub(1)?)?.parse().ok())
                .unwrap_or(0)
        };
        let failed = of("failed") + of("timed") + of("exec");
        Some(Self {
            passed: of("passed"),
            failed,
        })
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nextests_summary_is_counted() {
        let count = |line: &str| Tally::of_nextest(line).map(|tally| (tally.passed, tally.failed));
        assert_eq!(
            count("     Summary [   0.5s] 3 tests run: 3 passed, 0 skipped"),
            Some((3, 0))
        );
        assert_eq!(
            count(
                "Summary [ 9s] 9 tests run: 5 passed (1 slow, 1 flaky), 2 failed, 1 timed out, 1 exec failed, 3 skipped\nnext"
            ),
            Some((5, 4))
        );
        assert_eq!(count("error: could not compile"), None);
    }
}
