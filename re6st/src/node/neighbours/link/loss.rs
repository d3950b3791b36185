//! How many of the other end's beats do not come: each says how many there were. Pure.

/// How much one beat counts: what was a minute ago matters little.
const SMOOTH: u32 = 64;
/// All of a million.
const ALL: u32 = 1_000_000;
/// A beat that is older than the last one by less was overtaken on its way, and one that is newer by more is of an end that began anew.
const NEAR: u32 = 256;

/// The share of beats that are lost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Loss {
    last: Option<u32>,
    millionths: u32,
}

impl Loss {
    /// Takes the count of a beat that came.
    pub(super) fn hear(&mut self, count: u32) {
        let Some(last) = self.last else {
            self.last = Some(count);
            return;
        };
        let newer = count.wrapping_sub(last);
        if last.wrapping_sub(count) < NEAR {
            // It was taken for lost, and is not.
            return;
        }
        self.last = Some(count);
        if newer < NEAR {
            for _ in 1..newer {
                self.millionths += (ALL - self.millionths) / SMOOTH;
            }
            self.millionths -= self.millionths.div_ceil(SMOOTH);
        }
    }

    /// Returns how many of a million are lost, of late.
    pub(super) fn millionths(&self) -> u32 {
        self.millionths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes the counts for which `comes` and returns what was lost of a million.
    fn lost(counts: impl Iterator<Item = u32>, comes: impl Fn(u32) -> bool) -> u32 {
        let mut loss = Loss::default();
        counts
            .filter(|count| comes(*count))
            .for_each(|count| loss.hear(count));
        loss.millionths()
    }

    #[test]
    fn the_share_is_that_of_the_beats_that_did_not_come() {
        assert_eq!(lost(1..5000, |_| true), 0);
        let fifth = lost(1..5000, |count| count % 5 != 0);
        assert!((180_000..220_000).contains(&fifth), "{fifth}");
        let most = lost(1..5000, |count| count % 10 == 0);
        assert!((850_000..=950_000).contains(&most), "{most}");
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let after_a_bad_time = lost(1..5000, |count| count > 1000 || count % 2 == 0);
        assert_eq!(after_a_bad_time, 0);
    }

    #[test]
    fn a_count_that_turns_over_or_begins_anew_is_no_loss() {
        let counts = (u32::MAX - 20..=u32::MAX).chain(0..20);
        assert_eq!(lost(counts, |_| true), 0);
        assert_eq!(lost((5000..5010).chain(1..10), |_| true), 0);
        let overtaken = lost([1, 3, 2, 4, 5].into_iter(), |_| true);
        assert_eq!(overtaken, lost([1, 3, 4, 5].into_iter(), |_| true));
    }
}
