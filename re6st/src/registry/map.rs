//! What members tell of their tunnels, and who was heard of late: the map of the network. It is not kept: members tell it again.
//!
//! Pure: moments come in as arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::reference::Reference;
use crate::wire::{LinkReport, LinksReport, Map, MapLink, MapNode};

/// A member asks for news each fifty seconds; who is not heard for so long is not there.
const SILENT: Duration = Duration::from_secs(150);
/// What a member tells is told again each ten minutes, and not believed for longer than that and some.
const STALE: Duration = Duration::from_secs(25 * 60);
/// A node has fewer tunnels than that.
const MOST_LINKS: usize = 64;

/// More tunnels than a node can have.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} tunnels are more than the {MOST_LINKS} that a computer may tell")]
pub struct TooMany(usize);

/// What members told; moments are times since some beginning.
#[derive(Debug, Default)]
pub(super) struct Reports {
    heard: BTreeMap<Reference, Duration>,
    links: BTreeMap<Reference, (Duration, Vec<LinkReport>)>,
}

impl Reports {
    /// Notes that a member was heard.
    pub(super) fn hear(&mut self, who: &Reference, now: Duration) {
        match self.heard.get_mut(who) {
            Some(heard) => *heard = now,
            None => {
                self.heard.insert(who.clone(), now);
            }
        }
    }

    /// Takes what a member tells of its tunnels, in place of what it told before.
    pub(super) fn take(
        &mut self,
        who: &Reference,
        report: LinksReport,
        now: Duration,
    ) -> Result<(), TooMany> {
        let count = report.links.len();
        if count > MOST_LINKS {
            return Err(TooMany(count));
        }
        self.links.insert(who.clone(), (now, report.links));
        Ok(())
    }

    /// Forgets what is known of somebody who is no member.
    pub(super) fn forget(&mut self, who: &Reference) {
        self.heard.remove(who);
        self.links.remove(who);
    }

    /// Returns `members` with what is known of them, and the tunnels between them that one of both ends tells and that can be.
    pub(super) fn map(&self, mut members: Map, now: Duration) -> Map {
        for node in &mut members.nodes {
            let heard = self.heard.get(&node.reference);
            let silence = heard.map(|heard| now.saturating_sub(*heard));
            node.is_alive = silence.is_some_and(|silence| silence < SILENT);
            node.silent_seconds = silence.map(|silence| silence.as_secs());
        }
        let is_alive = |node: &&MapNode| node.is_alive;
        let alive: BTreeSet<&Reference> = members
            .nodes
            .iter()
            .filter(is_alive)
            .map(|node| &node.reference)
            .collect();
        let mut links: BTreeMap<[&Reference; 2], Vec<f64>> = BTreeMap::new();
        for (from, (told, reports)) in &self.links {
            if !alive.contains(from) || now.saturating_sub(*told) >= STALE {
                continue;
            }
            for report in reports {
                let to = &report.peer;
                if to == from || !alive.contains(to) {
                    continue;
                }
                let ends = if from < to { [from, to] } else { [to, from] };
                let time = report.round_trip_ms.filter(|time| *time >= 0.0);
                links.entry(ends).or_default().extend(time);
            }
        }
        members.links = links
            .into_iter()
            .map(|(ends, times)| link(ends, &times))
            .collect();
        members
    }
}

/// Returns a tunnel whose ends measured these times, which differ little.
fn link(ends: [&Reference; 2], times: &[f64]) -> MapLink {
    let least = times.iter().copied().reduce(f64::min);
    MapLink {
        ends: ends.map(Clone::clone),
        round_trip_ms: least,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn reference(number: u32) -> Reference {
        format!("COMP-{number}").parse().unwrap()
    }

    fn members(numbers: &[u32]) -> Map {
        let node = |number: &u32| MapNode {
            reference: reference(*number),
            prefix: format!("fd12:3456:789a:{number}::/64").parse().unwrap(),
            is_alive: false,
            silent_seconds: None,
        };
        Map {
            network: "fd12:3456:789a::/48".parse().unwrap(),
            nodes: numbers.iter().map(node).collect(),
            links: Vec::new(),
        }
    }

    fn report(peers: &[(u32, f64)]) -> LinksReport {
        let link = |(number, time): &(u32, f64)| LinkReport {
            peer: reference(*number),
            round_trip_ms: Some(*time),
        };
        LinksReport {
            links: peers.iter().map(link).collect(),
        }
    }

    /// Returns who is alive, and which tunnels there are.
    fn seen(map: &Map) -> (Vec<&str>, Vec<String>) {
        let alive = map.nodes.iter().filter(|node| node.is_alive);
        let links = map.links.iter().map(|link| {
            let [one, other] = &link.ends;
            format!("{one} {other} {:?}", link.round_trip_ms)
        });
        (
            alive.map(|node| node.reference.as_str()).collect(),
            links.collect(),
        )
    }

    #[test]
    fn a_tunnel_is_there_once_whoever_tells_it() {
        let mut reports = Reports::default();
        for number in [1, 2, 3] {
            reports.hear(&reference(number), MINUTE);
        }
        let told = [
            (1, report(&[(2, 3.5), (1, 1.0), (9, 1.0)])),
            (2, report(&[(1, 3.0), (3, -1.0)])),
        ];
        for (number, report) in told {
            reports.take(&reference(number), report, MINUTE).unwrap();
        }
        let map = reports.map(members(&[1, 2, 3, 4]), MINUTE + Duration::from_secs(7));
        assert_eq!(
            seen(&map),
            (
                vec!["COMP-1", "COMP-2", "COMP-3"],
                vec![
                    "COMP-1 COMP-2 Some(3.0)".to_owned(),
                    "COMP-2 COMP-3 None".to_owned()
                ]
            )
        );
        assert_eq!(map.nodes[0].silent_seconds, Some(7));
        assert_eq!(map.nodes[3].silent_seconds, None);
    }

    #[test]
    fn who_is_not_heard_any_more_has_no_tunnels() {
        let mut reports = Reports::default();
        let (one, two) = (reference(1), reference(2));
        reports.hear(&one, Duration::ZERO);
        reports
            .take(&one, report(&[(2, 1.0)]), Duration::ZERO)
            .unwrap();
        reports.hear(&two, 2 * MINUTE);
        let map = |reports: &Reports, now| reports.map(members(&[1, 2]), now);
        assert_eq!(seen(&map(&reports, 2 * MINUTE)).1.len(), 1);
        assert_eq!(
            seen(&map(&reports, 3 * MINUTE)),
            (vec!["COMP-2"], Vec::new())
        );

        for who in [&one, &two] {
            reports.hear(who, 30 * MINUTE);
        }
        let stale = map(&reports, 30 * MINUTE);
        assert_eq!(seen(&stale), (vec!["COMP-1", "COMP-2"], Vec::new()));
        reports.forget(&one);
        assert_eq!(seen(&map(&reports, 30 * MINUTE)).0, ["COMP-2"]);
    }

    #[test]
    fn nobody_fills_the_memory() {
        let many: Vec<_> = (2..100).map(|number| (number, 1.0)).collect();
        let refusal = Reports::default().take(&reference(1), report(&many), MINUTE);
        assert_eq!(
            refusal.unwrap_err().to_string(),
            "98 tunnels are more than the 64 that a computer may tell"
        );
    }
}
