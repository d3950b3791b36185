//! Reports on their way: in order, and of two about the same thing only the newer one. Pure.

use std::collections::VecDeque;

use crate::workload::Report;

/// Reports that the master has not taken yet.
#[derive(Debug, Default)]
pub struct Queue(VecDeque<Report>);

impl Queue {
    /// Adds a report, and takes out what it makes obsolete.
    pub fn push(&mut self, report: Report) {
        if matches!(report, Report::Destroyed { .. }) {
            self.0
                .retain(|older| older.partition() != report.partition());
        }
        self.0.retain(|older| older.subject() != report.subject());
        self.0.push_back(report);
    }

    /// The next report to send.
    pub fn first(&self) -> Option<&Report> {
        self.0.front()
    }

    /// Takes out the report that was sent, unless a newer one has replaced it meanwhile.
    pub fn sent(&mut self, report: &Report) {
        if self.0.front() == Some(report) {
            self.0.pop_front();
        }
    }

    /// Returns how many reports wait.
    pub fn waiting(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{PartitionName, SoftwareUrl};
    use std::collections::BTreeMap;

    fn partition(index: u16) -> PartitionName {
        PartitionName::new(index)
    }

    fn drain(mut queue: Queue) -> Vec<Report> {
        let mut all = Vec::new();
        while let Some(report) = queue.first().cloned() {
            queue.sent(&report);
            all.push(report);
        }
        all
    }

    #[test]
    fn reports_leave_in_the_order_in_which_they_came() {
        let url = SoftwareUrl::new("https://a/b.oci.tar");
        let reports = [
            Report::SoftwareAvailable { url },
            Report::Connection {
                partition: partition(0),
                parameters: BTreeMap::new(),
            },
            Report::Started {
                partition: partition(0),
            },
        ];
        let mut queue = Queue::default();
        reports
            .iter()
            .cloned()
            .for_each(|report| queue.push(report));
        assert_eq!(drain(queue), reports);
    }

    #[test]
    fn of_two_reports_about_one_thing_the_newer_is_sent() {
        let mut queue = Queue::default();
        queue.push(Report::InstanceError {
            partition: partition(0),
            message: "no".into(),
        });
        queue.push(Report::Started {
            partition: partition(1),
        });
        queue.push(Report::Started {
            partition: partition(0),
        });
        let expected = [
            Report::Started {
                partition: partition(1),
            },
            Report::Started {
                partition: partition(0),
            },
        ];
        assert_eq!(drain(queue), expected);
    }

    #[test]
    fn a_report_that_was_replaced_while_it_was_sent_does_not_take_the_newer_one_with_it() {
        let mut queue = Queue::default();
        let older = Report::Stopped {
            partition: partition(0),
        };
        let newer = Report::Started {
            partition: partition(0),
        };
        queue.push(older.clone());
        queue.push(newer.clone());
        queue.sent(&older);
        assert_eq!(drain(queue), [newer]);
    }

    #[test]
    fn nothing_is_published_for_what_is_gone() {
        let mut queue = Queue::default();
        queue.push(Report::Connection {
            partition: partition(0),
            parameters: BTreeMap::new(),
        });
        queue.push(Report::Destroyed {
            partition: partition(0),
        });
        assert_eq!(
            drain(queue),
            [Report::Destroyed {
                partition: partition(0)
            }]
        );
    }
}
