//! What was answered, by who asked whom: when first, when last, and how long nothing was in between. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// All answers until now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    pairs: BTreeMap<(u16, u16), Heard>,
    watched_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Heard {
    first: Instant,
    last: Instant,
    longest: Duration,
}

/// A time without answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outage {
    /// How long.
    pub lasted: Duration,
    /// Who asked.
    pub asker: u16,
    /// Who did not answer.
    pub asked: u16,
}

impl Answers {
    pub(super) fn hear(&mut self, pair: (u16, u16), now: Instant) {
        let watched = self.watched_since;
        let heard = self.pairs.entry(pair).or_insert(Heard {
            first: now,
            last: now,
            longest: Duration::ZERO,
        });
        // A silence that was over when the watch began does not count, one that lasted does.
        if watched.is_none_or(|since| now >= since) {
            heard.longest = heard.longest.max(now - heard.last);
        }
        heard.last = now;
    }

    pub(super) fn begin_to_watch(&mut self, now: Instant) {
        self.watched_since = Some(now);
        for heard in self.pairs.values_mut() {
            heard.longest = Duration::ZERO;
        }
    }

    /// Those of these sites who never had an answer, and from whom.
    pub fn missing(&self, sites: &[u16]) -> Vec<(u16, u16)> {
        pairs(sites)
            .filter(|pair| !self.pairs.contains_key(pair))
            .collect()
    }

    /// Those of these sites who had no answer since then, and from whom.
    pub fn silent(&self, sites: &[u16], since: Instant) -> Vec<(u16, u16)> {
        let last = |pair| self.pairs.get(&pair).map(|heard: &Heard| heard.last);
        pairs(sites)
            .filter(|&pair| last(pair).is_none_or(|last| last < since))
            .collect()
    }

    /// When each of these sites had had an answer from each other; nothing while one has not.
    pub fn complete(&self, sites: &[u16]) -> Option<Instant> {
        let firsts = pairs(sites).map(|pair| self.pairs.get(&pair).map(|heard| heard.first));
        firsts.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// The longest time that one of these sites had no answer from another, since the watch began or now.
    pub fn longest_outage(&self, sites: &[u16], now: Instant) -> Option<Outage> {
        pairs(sites)
            .filter_map(|(asker, asked)| {
                let heard = self.pairs.get(&(asker, asked))?;
                Some(Outage {
                    lasted: heard.longest.max(now.saturating_duration_since(heard.last)),
                    asker,
                    asked,
                })
            })
            .max()
    }

    /// The longest that one of these sites has been waiting for another's answer.
    pub fn longest_silence(&self, sites: &[u16], now: Instant) -> Option<Outage> {
        pairs(sites)
            .filter_map(|(asker, asked)| {
                let last = self.pairs.get(&(asker, asked))?.last;
                Some(Outage {
                    lasted: now.saturating_duration_since(last),
                    asker,
                    asked,
                })
            })
            .max()
    }
}

fn pairs(sites: &[u16]) -> impl Iterator<Item = (u16, u16)> {
    let all = sites.iter().copied();
    all.clone()
        .flat_map(move |one| all.clone().map(move |other| (one, other)))
        .filter(|(one, other)| one != other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn all_reach_all_when_the_last_pair_does() {
        let (mut answers, start) = (Answers::default(), Instant::now());
        answers.hear((1, 2), start);
        assert_eq!(answers.complete(&[1, 2]), None);
        assert_eq!(answers.missing(&[1, 2]), [(2, 1)]);
        answers.hear((2, 1), start + seconds(3));
        answers.hear((2, 1), start + seconds(4));
        assert_eq!(answers.complete(&[1, 2]), Some(start + seconds(3)));
        assert_eq!(answers.complete(&[1, 2, 3]), None);
    }

    #[test]
    fn an_outage_is_what_was_silent_after_the_watch_began() {
        let (mut answers, start) = (Answers::default(), Instant::now());
        let at = |second| start + seconds(second);
        for (pair, second) in [((1, 2), 0), ((2, 1), 0), ((1, 2), 50), ((2, 1), 51)] {
            answers.hear(pair, at(second));
        }
        answers.begin_to_watch(at(51));
        assert_eq!(answers.silent(&[1, 2], at(51)), [(1, 2)]);
        answers.hear((1, 2), at(54));
        answers.hear((1, 2), at(55));
        answers.hear((2, 1), at(53));
        let outage = answers.longest_outage(&[1, 2], at(55)).unwrap();
        assert_eq!((outage.lasted, outage.asker), (seconds(4), 1));
        // One that lasts is longer from look to look.
        let outage = answers.longest_outage(&[1, 2], at(60)).unwrap();
        assert_eq!((outage.lasted, outage.asker), (seconds(7), 2));
        let silence = answers.longest_silence(&[1, 2], at(60)).unwrap();
        assert_eq!((silence.lasted, silence.asked), (seconds(7), 1));
    }
}
