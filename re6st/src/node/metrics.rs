//! How things are, for programs that watch many nodes: `metrics.prom`, in the text format of OpenMetrics. Pure.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::status::{LinkState, LinkStatus, State, Status};

/// Begins each name.
const PREFIX: &str = "slapbox_overlay";

/// How often something happened, by a word for it.
type Counted = [(&'static str, u64); 3];

/// Returns the metrics of a node, and what became of questions for names.
pub(super) fn metrics(status: &Status, questions: Counted) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Seen(status.clone(), questions)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Seen(Status, Counted);

/// A number that goes up and down, of the node or of each neighbour.
type Gauge<T> = (
    &'static str,
    Option<Unit>,
    &'static str,
    fn(&T) -> Option<f64>,
);
/// A number that only grows.
type Counter<T> = (&'static str, Option<Unit>, &'static str, fn(&T) -> u64);

const OF_NODE: [Gauge<Status>; 5] = [
    (
        "connected",
        None,
        "Whether others can be reached",
        |status| Some(f64::from(u8::from(status.state == State::Connected))),
    ),
    ("members", None, "How many others are members", |status| {
        Some(count(status.others))
    }),
    (
        "routes",
        None,
        "To how many of them there is a route",
        |status| Some(number(status.destinations)),
    ),
    (
        "neighbours",
        None,
        "How many tunnels carry something",
        |status| {
            let up = status.links.iter().filter(|link| is_up(link));
            Some(count(up.count()))
        },
    ),
    (
        "asked",
        None,
        "How many others are asked for a tunnel",
        |status| Some(count(status.asked.len())),
    ),
];

const COUNTED_OF_NODE: [Counter<Status>; 2] = [
    (
        "tunnels_made",
        None,
        "How many tunnels have come up",
        |status| status.tunnels_made,
    ),
    (
        "tunnels_lost",
        None,
        "How many tunnels ceased to carry anything",
        |status| status.tunnels_lost,
    ),
];

const OF_NEIGHBOUR: [Gauge<LinkStatus>; 6] = [
    (
        "neighbour_up",
        None,
        "Whether the tunnel carries something",
        |link| Some(f64::from(u8::from(is_up(link)))),
    ),
    (
        "neighbour_age",
        Some(Unit::Seconds),
        "For how long there has been a tunnel",
        |link| Some(number(link.age_seconds)),
    ),
    (
        "neighbour_round_trip",
        Some(Unit::Seconds),
        "How long there and back takes",
        |link| Some(link.round_trip_ms? / 1e3),
    ),
    (
        "neighbour_loss_ratio",
        None,
        "The share of what it sends that is lost",
        |link| Some(link.loss),
    ),
    (
        "neighbour_mtu",
        Some(Unit::Bytes),
        "The largest packet that the tunnel takes",
        |link| Some(f64::from(link.mtu)),
    ),
    (
        "neighbour_routes",
        None,
        "How many others are reached through it",
        |link| Some(number(link.destinations)),
    ),
];

const COUNTED_OF_NEIGHBOUR: [Counter<LinkStatus>; 2] = [
    (
        "neighbour_received",
        Some(Unit::Bytes),
        "What WireGuard has received from it",
        |link| link.received_bytes,
    ),
    (
        "neighbour_sent",
        Some(Unit::Bytes),
        "What WireGuard has sent to it",
        |link| link.sent_bytes,
    ),
];

impl Collector for Seen {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(status, questions) = self;
        for (name, unit, help, value) in &OF_NODE {
            let mut metric =
                encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
            if let Some(value) = value(status) {
                metric.encode_gauge(&value)?;
            }
        }
        for (name, unit, help, value) in &COUNTED_OF_NODE {
            let mut metric =
                encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
            metric.encode_counter::<NoLabelSet, _, f64>(&value(status), None)?;
        }
        for (name, unit, help, value) in &OF_NEIGHBOUR {
            let mut family =
                encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
            for link in &status.links {
                if let Some(value) = value(link) {
                    family.encode_family(&labels(link))?.encode_gauge(&value)?;
                }
            }
        }
        for (name, unit, help, value) in &COUNTED_OF_NEIGHBOUR {
            let mut family =
                encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
            for link in &status.links {
                let labels = labels(link);
                let mut metric = family.encode_family(&labels)?;
                metric.encode_counter::<NoLabelSet, _, f64>(&value(link), None)?;
            }
        }
        let help = "What became of questions for names";
        let mut family = encoder.encode_descriptor("questions", help, None, MetricType::Counter)?;
        for (outcome, count) in questions {
            let labels = [("outcome", *outcome)];
            let mut metric = family.encode_family(&labels)?;
            metric.encode_counter::<NoLabelSet, _, f64>(count, None)?;
        }
        Ok(())
    }
}

fn labels(link: &LinkStatus) -> [(&'static str, &str); 1] {
    [("peer", link.peer.as_str())]
}

fn is_up(link: &LinkStatus) -> bool {
    match link.state {
        LinkState::Up => true,
        LinkState::Down => false,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nobody counts beyond 2 to the 53"
)]
fn number(value: u64) -> f64 {
    value as f64
}

fn count(value: usize) -> f64 {
    number(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::status::LinkWay;

    fn link(peer: &str, state: LinkState, round_trip_ms: Option<f64>) -> LinkStatus {
        LinkStatus {
            peer: peer.parse().unwrap(),
            state,
            reason: String::new(),
            way: LinkWay::Main,
            age_seconds: 300,
            round_trip_ms,
            loss: 0.02,
            mtu: 1380,
            destinations: 7,
            endpoint: None,
            carrier: None,
            received_bytes: 4096,
            sent_bytes: 2048,
            last_handshake_seconds: None,
        }
    }

    #[test]
    fn the_file_has_the_form_that_others_read() {
        let status = Status {
            computer: None,
            name: None,
            network: None,
            prefix: None,
            address: None,
            others: 9,
            destinations: 9,
            links: vec![
                link("COMP-1", LinkState::Up, Some(1.5)),
                link("COMP-3", LinkState::Down, None),
            ],
            asked: Vec::new(),
            resting: Vec::new(),
            tunnels_made: 7,
            tunnels_lost: 2,
            state: State::Connected,
            reason: String::new(),
        };
        let questions = [("answered", 5), ("refused", 1), ("dropped", 0)];
        let expected = include_str!("metrics/golden.prom");
        assert_eq!(metrics(&status, questions).unwrap(), expected);
    }
}
