//! The documents that `useComputer` takes. Pure.
//!
//! As the original writes them, but for three things: every movement names its partition, also one that named nobody; what is empty stays
//! empty and does not become `None`; what XML has characters of its own for is escaped.

use slap::usage::{Arrow, Journal, Movement, Transaction};
use slap::{ComputerId, PartitionId};

use super::day;
use crate::desired::PartitionName;

const KIND: &str = "Sale Packing List";

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
        kind: KIND.to_owned(),
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
}
