//! What was used until a moment, as the kernel counts it, and as a line of a day's file has it. Pure.
//!
//! A line is what was read, not what it means: counters as they stand, with the mark of what counted them. So lines may be missing, and
//! nothing is lost; and a counter that began anew is seen as that.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use crate::desired::PartitionName;

/// What a day's file begins with.
pub(super) const HEAD: &str = "time,subject,counter,cpu_usec,memory_bytes,memory_peak_bytes,io_read_bytes,io_written_bytes,received_bytes,sent_bytes,tap_received_bytes,tap_sent_bytes,tasks,disk_bytes";
/// How many of the columns are numbers that were read.
const VALUES: usize = 11;

/// Whose use it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// All of the machine.
    Node,
    Partition(PartitionName),
}

/// What counted: it begins anew with each boot, and whenever a slice is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counter {
    pub(super) boot: u32,
    pub(super) inode: u64,
}

/// What was read. What the kernel does not count is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// Time of processors, in microseconds. Counted.
    pub(super) cpu: Option<u64>,
    /// At this moment.
    pub(super) memory: Option<u64>,
    /// The most since counting began.
    pub(super) memory_peak: Option<u64>,
    /// Counted.
    pub(super) io_read: Option<u64>,
    /// Counted.
    pub(super) io_written: Option<u64>,
    /// By its programs. Counted.
    pub(super) received: Option<u64>,
    /// By its programs. Counted.
    pub(super) sent: Option<u64>,
    /// By what is behind its tap. Counted by the tap, which outlives the slice.
    pub(super) tap_received: Option<u64>,
    /// As the above.
    pub(super) tap_sent: Option<u64>,
    /// At this moment.
    pub(super) tasks: Option<u64>,
    /// When it was last measured.
    pub(super) disk: Option<u64>,
}

/// A line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// In seconds since 1970.
    pub(super) time: i64,
    pub(super) subject: Subject,
    pub(super) counter: Counter,
    pub(super) reading: Reading,
}

/// A line that is none: torn by a power cut, or a head.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotARecord;

impl Reading {
    fn values(&self) -> [Option<u64>; VALUES] {
        [
            self.cpu,
            self.memory,
            self.memory_peak,
            self.io_read,
            self.io_written,
            self.received,
            self.sent,
            self.tap_received,
            self.tap_sent,
            self.tasks,
            self.disk,
        ]
    }

    fn of(values: [Option<u64>; VALUES]) -> Self {
        let [
            cpu,
            memory,
            memory_peak,
            io_read,
            io_written,
            received,
            sent,
            tap_received,
            tap_sent,
            tasks,
            disk,
        ] = values;
        Self {
            cpu,
            memory,
            memory_peak,
            io_read,
            io_written,
            received,
            sent,
            tap_received,
            tap_sent,
            tasks,
            disk,
        }
    }
}

impl Record {
    /// Returns whether another line would say the same but for its time.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        *self
            == Self {
                time: self.time,
                ..*other
            }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.time, self.subject, self.counter)?;
        for value in self.reading.values() {
            f.write_char(',')?;
            if let Some(value) = value {
                write!(f, "{value}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Record {
    type Err = NotARecord;

    fn from_str(line: &str) -> Result<Self, NotARecord> {
        let mut fields = line.split(',');
        let mut next = || fields.next().ok_or(NotARecord);
        let time = next()?.parse().map_err(|_| NotARecord)?;
        let subject = next()?.parse()?;
        let counter = next()?.parse()?;
        let mut values = [None; VALUES];
        for value in &mut values {
            let field = next()?;
            if !field.is_empty() {
                *value = Some(field.parse().map_err(|_| NotARecord)?);
            }
        }
        match fields.next() {
            Some(_) => Err(NotARecord),
            None => Ok(Self {
                time,
                subject,
                counter,
                reading: Reading::of(values),
            }),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("node"),
            Self::Partition(partition) => write!(f, "{partition}"),
        }
    }
}

impl FromStr for Subject {
    type Err = NotARecord;

    fn from_str(text: &str) -> Result<Self, NotARecord> {
        if text == "node" {
            return Ok(Self::Node);
        }
        let partition = text.parse().map_err(|_| NotARecord)?;
        Ok(Self::Partition(partition))
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.boot, self.inode)
    }
}

impl FromStr for Counter {
    type Err = NotARecord;

    fn from_str(text: &str) -> Result<Self, NotARecord> {
        let (boot, inode) = text.split_once('-').ok_or(NotARecord)?;
        Ok(Self {
            boot: u32::from_str_radix(boot, 16).map_err(|_| NotARecord)?,
            inode: inode.parse().map_err(|_| NotARecord)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str =
        "1795910340,slappart17,3f2a9c01-1234,5000000,1048576,2097152,,,10,20,,,3,4096";

    #[test]
    fn a_line_says_what_was_read() {
        let record: Record = LINE.parse().unwrap();
        assert_eq!(record.subject, Subject::Partition(PartitionName::new(17)));
        assert_eq!(record.counter.inode, 1234);
        assert_eq!(record.reading.cpu, Some(5_000_000));
        assert_eq!(record.reading.io_read, None);
        assert_eq!(record.reading.disk, Some(4096));
        assert_eq!(record.to_string(), LINE);
        assert_eq!(HEAD.split(',').count(), LINE.split(',').count());
    }

    #[test]
    fn what_is_torn_is_no_line() {
        for end in 1..LINE.rfind(',').unwrap() {
            assert_eq!(LINE[..end].parse::<Record>(), Err(NotARecord), "{end}");
        }
        for wrong in ["", HEAD, &format!("{LINE},1"), &LINE.replace("4096", "-1")] {
            assert_eq!(wrong.parse::<Record>(), Err(NotARecord), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            time: i64, partition in prop::option::of(0_u16..4000), boot: u32, inode: u64, values: [Option<u64>; VALUES],
        ) {
            let subject = partition.map_or(Subject::Node, |index| Subject::Partition(PartitionName::new(index)));
            let record = Record { time, subject, counter: Counter { boot, inode }, reading: Reading::of(values) };
            prop_assert_eq!(record.to_string().parse::<Record>(), Ok(record));
        }
    }
}
