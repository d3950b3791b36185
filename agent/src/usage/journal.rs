//! The documents that `useComputer` takes. Pure.
//!
//! As the original writes them, but for three things: every movement names its partition, also one that named nobody; what is empty stays
//! empty and does not become `None`; what XML has characters of its own for is escaped.

use std::collections::BTreeMap;

use slap::usage::{Arrow, Journal, Movement, Transaction};
use slap::{ComputerId, PartitionId};

use super::Day;
use super::day;
use super::reading::Subject;
use super::tally::Used;
use crate::desired::PartitionName;

const TRANSACTION: &str = "Sale Packing List";
const CPU: &str = "service_module/cpu_load_percent";
const MEMORY: &str = "service_module/memory_used";
const DISK: &str = "service_module/disk_used";
const MIB: f64 = 1024.0 * 1024.0;

/// What is told of each partition's day.
struct Kind {
    resource: &'static str,
    title: &'static str,
    quantity: fn(&Used) -> Option<f64>,
}

const KINDS: [Kind; 3] = [
    Kind {
        resource: CPU,
        title: "CPU Load Percent Average",
        quantity: Used::cpu_percent,
    },
    Kind {
        resource: MEMORY,
        title: "Memory Used Average",
        quantity: |used| Some(used.memory_average()? as f64 / MIB),
    },
    Kind {
        resource: DISK,
        title: "Partition Disk Used Average",
        quantity: |used| Some(used.disk? as f64 / MIB),
    },
];

/// Returns the document of what partitions said at a moment, in seconds since 1970.
pub(super) fn consumptions(computer: &ComputerId, at: i64, movements: Vec<Movement>) -> Journal {
    let transaction = Transaction {
        title: Some("Resource consumptions".to_owned()),
        stop_date: day::stamp(at),
        reference: computer.to_string(),
        movements,
        ..empty("Administration")
    };
    Journal {
        transactions: vec![transaction],
    }
}

/// Returns the document of what the machine and its partitions used on a day, on a machine of so many processors; nothing if nobody was
/// looked at.
///
/// Quantities are the original's: hundredths of all processors for the machine and of one for a partition, bytes of memory for the
/// machine and MiB for a partition, MiB of disk.
pub(super) fn of_day(
    computer: &ComputerId,
    day: Day,
    processors: usize,
    used: &BTreeMap<Subject, Used>,
) -> Option<Journal> {
    let mut movements = of_node(computer, processors, used.get(&Subject::Node));
    for kind in KINDS {
        movements.extend(of_partitions(&kind, used));
    }
    if movements.is_empty() {
        return None;
    }
    let transaction = Transaction {
        title: Some(format!("Eco Information for {computer}")),
        start_date: format!("{day} 00:00:00"),
        stop_date: format!("{day} 23:59:59"),
        reference: format!("{day}-global"),
        movements,
        ..empty("Destination")
    };
    Some(Journal {
        transactions: vec![transaction],
    })
}

fn of_node(computer: &ComputerId, processors: usize, used: Option<&Used>) -> Vec<Movement> {
    let Some(used) = used else { return Vec::new() };
    let cpu = used.cpu_percent().map(|cpu| cpu / processors as f64);
    let memory = used.memory_average().map(|bytes| bytes as f64);
    let both = [
        (CPU, "CPU Load Percent Average", cpu),
        (MEMORY, "Used Memory", memory),
    ];
    let reference = computer.as_str();
    let known = both.into_iter().filter_map(|(resource, title, quantity)| {
        quantity.map(|quantity| movement(resource, title, reference, quantity))
    });
    known.collect()
}

fn of_partitions(kind: &Kind, used: &BTreeMap<Subject, Used>) -> Vec<Movement> {
    let known = used.iter().filter_map(|(subject, used)| match subject {
        Subject::Node => None,
        Subject::Partition(partition) => {
            let reference = partition.to_string();
            let title = format!("{} for {reference}", kind.title);
            let quantity = (kind.quantity)(used)?;
            Some(movement(kind.resource, &title, &reference, quantity))
        }
    });
    known.collect()
}

fn movement(resource: &str, title: &str, reference: &str, quantity: f64) -> Movement {
    Movement {
        resource: resource.to_owned(),
        title: Some(title.to_owned()),
        reference: Some(reference.to_owned()),
        quantity: quantity.into(),
        price: 0.0.into(),
        vat: String::new(),
        categories: vec![String::new()],
    }
}

/// Returns a movement as one of a partition.
pub(super) fn of_partition(partition: PartitionName, movement: Movement) -> Movement {
    let reference = PartitionId::indexed(partition.index());
    Movement {
        reference: Some(reference.to_string()),
        ..movement
    }
}

fn empty(arrow: &str) -> Transaction {
    Transaction {
        kind: TRANSACTION.to_owned(),
        title: None,
        start_date: String::new(),
        stop_date: String::new(),
        reference: String::new(),
        currency: String::new(),
        payment_mode: String::new(),
        categories: vec![String::new()],
        arrows: vec![Arrow {
            kind: arrow.to_owned(),
            source: Some(String::new()),
            destination: Some(String::new()),
        }],
        movements: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use slap::Consumption;

    use super::*;

    const SAID: &str = "<consumption><movement><resource>service_module/pages</resource><title>pages &amp; more</title><reference>page
</reference><quantity>3.0</quantity><price>0.0</price><VAT></VAT></movement><movement><resource>r</resource><quantity>1</quantity>
<price>2</price><VAT>20</VAT><category>unit/piece</category></movement></consumption>";

    #[test]
    fn what_partitions_said_becomes_the_originals_document() {
        let said = Consumption::from_xml(SAID).unwrap();
        let partition = PartitionName::new(7);
        let movements = said.movements.into_iter();
        let movements = movements.map(|movement| of_partition(partition, movement));
        let computer = ComputerId::numbered(2);
        let journal = consumptions(&computer, 1_795_910_399, movements.collect());
        insta::assert_snapshot!(journal.to_xml());
        assert_eq!(Journal::from_xml(&journal.to_xml()).unwrap(), journal);
    }

    #[test]
    fn a_day_becomes_the_originals_document() {
        let partition = |index| Subject::Partition(PartitionName::new(index));
        let used = |cpu_micros, memory: Option<u64>, disk| Used {
            seconds: 86_400,
            cpu_micros,
            memory_byte_seconds: u128::from(memory.unwrap_or(0)) * 86_400,
            memory_seconds: memory.map_or(0, |_| 86_400),
            disk,
            ..Used::default()
        };
        let all = BTreeMap::from([
            (Subject::Node, used(43_200_000_000, Some(1_000_000), None)),
            (
                partition(2),
                used(864_000_000, Some(3 << 19), Some(7 << 20)),
            ),
            (partition(10), used(0, None, None)),
        ]);
        let day = "2026-11-27".parse().unwrap();
        let computer = ComputerId::numbered(2);
        let journal = of_day(&computer, day, 2, &all).unwrap();
        let lines = journal.to_xml().replace("<movement>", "\n<movement>");
        insta::assert_snapshot!(lines);
        assert_eq!(Journal::from_xml(&journal.to_xml()).unwrap(), journal);
        assert_eq!(of_day(&computer, day, 2, &BTreeMap::new()), None);
    }
}
