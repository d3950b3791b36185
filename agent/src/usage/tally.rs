//! From lines to what was used: counters that began anew go on, and what is held for a while counts for that while. Pure.

use std::collections::BTreeMap;

use super::Day;
use super::reading::{Counter, Reading, Record, Subject};

/// What one subject used in a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// How long it was looked at.
    pub(super) seconds: u64,
    pub(super) cpu_micros: u64,
    /// Memory times how long it was held.
    pub(super) memory_byte_seconds: u128,
    /// How long memory was counted.
    pub(super) memory_seconds: u64,
    pub(super) memory_peak: Option<u64>,
    pub(super) io_read: Option<u64>,
    pub(super) io_written: Option<u64>,
    pub(super) received: Option<u64>,
    pub(super) sent: Option<u64>,
    pub(super) tasks_peak: Option<u64>,
    pub(super) disk: Option<u64>,
}

/// The lines of a day, summed up while they come.
#[derive(Debug)]
pub(super) struct Tally {
    day: Day,
    last: BTreeMap<Subject, Record>,
    used: BTreeMap<Subject, Used>,
}

/// A gap that is longer is a clock that was set, and nothing that was held.
const LONGEST_SPAN: i64 = 86_400;

impl Tally {
    pub(super) fn of(day: Day) -> Self {
        Self {
            day,
            last: BTreeMap::new(),
            used: BTreeMap::new(),
        }
    }

    /// Takes the next line. One of a day before is only what counters stood at then.
    pub(super) fn take(&mut self, record: Record) {
        let last = self.last.insert(record.subject, record);
        if Day::of(record.time) == self.day {
            let used = self.used.entry(record.subject).or_default();
            used.add(last.as_ref(), &record);
        }
    }

    /// Returns what everybody used.
    pub(super) fn used(self) -> BTreeMap<Subject, Used> {
        self.used
    }
}

impl Used {
    fn add(&mut self, last: Option<&Record>, record: &Record) {
        let now = &record.reading;
        // What counted before does not count on: all that the new one has is new.
        let same = last.filter(|last| last.counter == record.counter);
        let before = same.map_or_else(Reading::default, |last| last.reading);
        if let Some(last) = same {
            self.held(last, record.time);
        }
        let cpu = grown(before.cpu, now.cpu);
        self.cpu_micros = self.cpu_micros.saturating_add(cpu.unwrap_or(0));
        add(&mut self.io_read, grown(before.io_read, now.io_read));
        add(
            &mut self.io_written,
            grown(before.io_written, now.io_written),
        );
        add(&mut self.received, grown(before.received, now.received));
        add(&mut self.sent, grown(before.sent, now.sent));
        // A tap is none of the slice's.
        let tap = last.filter(|last| is_same_boot(&last.counter, &record.counter));
        let tap = tap.map_or_else(Reading::default, |last| last.reading);
        add(
            &mut self.received,
            grown(tap.tap_received, now.tap_received),
        );
        add(&mut self.sent, grown(tap.tap_sent, now.tap_sent));
        // A peak that has not moved is one of before.
        let peak = now
            .memory_peak
            .filter(|_| now.memory_peak != before.memory_peak);
        self.memory_peak = self.memory_peak.max(now.memory).max(peak);
        self.tasks_peak = self.tasks_peak.max(now.tasks);
        self.disk = now.disk.or(self.disk);
    }

    fn held(&mut self, last: &Record, until: i64) {
        let span = until.saturating_sub(last.time);
        if !(0..=LONGEST_SPAN).contains(&span) {
            return;
        }
        let span = span.unsigned_abs();
        self.seconds += span;
        if let Some(memory) = last.reading.memory {
            self.memory_byte_seconds += u128::from(memory) * u128::from(span);
            self.memory_seconds += span;
        }
    }

    /// Returns how much memory it had on average, in bytes.
    pub(super) fn memory_average(&self) -> Option<u64> {
        let average = self
            .memory_byte_seconds
            .checked_div(self.memory_seconds.into())?;
        u64::try_from(average).ok()
    }

    /// Returns how many hundredths of one processor it had on average.
    pub(super) fn cpu_percent(&self) -> Option<f64> {
        (self.seconds > 0).then(|| self.cpu_micros as f64 / 10_000.0 / self.seconds as f64)
    }
}

fn is_same_boot(one: &Counter, other: &Counter) -> bool {
    one.boot == other.boot
}

/// What a counter counted. One that went back has begun anew.
fn grown(before: Option<u64>, now: Option<u64>) -> Option<u64> {
    let now = now?;
    Some(now.checked_sub(before.unwrap_or(0)).unwrap_or(now))
}

fn add(sum: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or(0).saturating_add(more));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::PartitionName;

    const START: i64 = 1_795_824_000;

    fn used(lines: &[(i64, u64, Reading)]) -> Used {
        let mut tally = Tally::of(Day::of(START));
        let subject = Subject::Partition(PartitionName::new(0));
        for (time, inode, reading) in lines {
            let counter = Counter {
                boot: (*inode / 100) as u32,
                inode: *inode,
            };
            tally.take(Record {
                time: START + time,
                subject,
                counter,
                reading: *reading,
            });
        }
        tally.used().remove(&subject).unwrap_or_default()
    }

    fn cpu(micros: u64) -> Reading {
        Reading {
            cpu: Some(micros),
            ..Reading::default()
        }
    }

    #[test]
    fn a_counter_goes_on_over_the_restart_of_a_slice_and_of_the_node() {
        let lines = [
            (-30, 101, cpu(1000)),
            (30, 101, cpu(1500)),
            (90, 101, cpu(1700)),
            // The slice was made anew, and has counted more already.
            (150, 102, cpu(3000)),
            // The node was started again; by chance the slice has its number of before.
            (210, 202, cpu(3100)),
            (270, 202, cpu(3200)),
            // It went back, whyever.
            (330, 202, cpu(5)),
        ];
        let used = used(&lines);
        assert_eq!(used.cpu_micros, 500 + 200 + 3000 + 3100 + 100 + 5);
        assert_eq!(used.seconds, 60 + 60 + 60 + 60);
    }

    #[test]
    fn memory_counts_for_as_long_as_it_was_held() {
        let memory = |bytes| Reading {
            memory: Some(bytes),
            ..Reading::default()
        };
        let used = used(&[
            (0, 1, memory(100)),
            (60, 1, memory(400)),
            (240, 1, memory(7)),
        ]);
        assert_eq!(used.memory_average(), Some((100 * 60 + 400 * 180) / 240));
        assert_eq!(used.memory_peak, Some(400));
        assert_eq!(Used::default().memory_average(), None);
        assert_eq!(Used::default().cpu_percent(), None);
    }

    #[test]
    fn the_peak_between_two_looks_is_seen_and_that_of_yesterday_is_not() {
        let memory = |bytes, peak| Reading {
            memory: Some(bytes),
            memory_peak: Some(peak),
            ..Reading::default()
        };
        let yesterday = (-60, 1, memory(50, 900));
        let still = (60, 1, memory(60, 900));
        assert_eq!(used(&[yesterday, still]).memory_peak, Some(60));
        let more = (120, 1, memory(70, 950));
        assert_eq!(used(&[yesterday, still, more]).memory_peak, Some(950));
    }

    #[test]
    fn a_tap_counts_on_while_slices_come_and_go() {
        let both = |own, tap| Reading {
            received: Some(own),
            tap_received: Some(tap),
            ..Reading::default()
        };
        let lines = [
            (-60, 1, both(100, 1000)),
            (60, 1, both(150, 1001)),
            (120, 2, both(7, 1010)),
        ];
        assert_eq!(used(&lines).received, Some(50 + 1 + 7 + 9));
        assert_eq!(used(&lines).sent, None);
    }

    #[test]
    fn a_clock_that_was_set_is_no_time_that_something_was_held() {
        let used = used(&[(0, 1, cpu(1)), (60, 1, cpu(2)), (30, 1, cpu(3))]);
        assert_eq!((used.seconds, used.cpu_micros), (60, 3));
        assert_eq!(used.cpu_percent(), Some(3.0 / 10_000.0 / 60.0));
    }
}
