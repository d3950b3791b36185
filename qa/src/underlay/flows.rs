//! How much each site said to each, as the switch has counted it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::site_of;

/// Bytes by who said them to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flows(BTreeMap<(u16, u16), u64>);

/// What `nft --json list set` prints, as far as it matters.
#[derive(Deserialize)]
struct Listing {
    nftables: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    set: Option<Set>,
}

#[derive(Deserialize)]
struct Set {
    #[serde(default)]
    elem: Vec<Wrapped>,
}

#[derive(Deserialize)]
struct Wrapped {
    elem: Element,
}

#[derive(Deserialize)]
struct Element {
    val: Pair,
    counter: Counter,
}

#[derive(Deserialize)]
struct Pair {
    concat: [String; 2],
}

#[derive(Deserialize)]
struct Counter {
    bytes: u64,
}

impl Flows {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let listing: Listing =
            serde_json::from_str(text).context("nft prints something else than was expected")?;
        let sets = listing.nftables.into_iter().filter_map(|it| it.set);
        let elements = sets.flat_map(|set| set.elem).map(|it| it.elem);
        // What is said to all is said to nobody.
        let flows = elements.filter_map(|it| {
            let [from, to] = it.val.concat.each_ref().map(|address| site_of(address));
            Some(((from?, to?), it.counter.bytes))
        });
        Ok(Self(flows.collect()))
    }

    /// What was said since `before`.
    pub fn since(&self, before: &Self) -> Self {
        let news = self.0.iter().map(|(&pair, &bytes)| {
            let old = before.0.get(&pair).copied().unwrap_or_default();
            (pair, bytes.saturating_sub(old))
        });
        Self(news.collect())
    }

    /// All of it, in bytes.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// The site through which most passed, of those that are meant.
    pub fn busiest_site(&self, is_meant: impl Fn(u16) -> bool) -> Option<u16> {
        let mut sites = BTreeMap::new();
        for (&(from, to), bytes) in &self.0 {
            for site in [from, to].into_iter().filter(|&site| is_meant(site)) {
                *sites.entry(site).or_insert(0) += bytes;
            }
        }
        let busiest = sites.into_iter().max_by_key(|&(_, bytes)| bytes);
        busiest.map(|(site, _)| site)
    }

    /// The two sites that said most to each other, of those that are meant.
    pub fn busiest(&self, is_meant: impl Fn(u16) -> bool) -> Option<(u16, u16)> {
        let sites: BTreeSet<u16> = self.0.keys().map(|&(from, _)| from).collect();
        let sites = || sites.iter().copied().filter(|&site| is_meant(site));
        let pairs = sites().flat_map(|one| sites().map(move |other| (one, other)));
        let said = |from, to| self.0.get(&(from, to)).copied().unwrap_or_default();
        pairs
            .filter(|(one, other)| one < other)
            .map(|(one, other)| (said(one, other).min(said(other, one)), (one, other)))
            .filter(|&(bytes, _)| bytes > 0)
            .max()
            .map(|(_, pair)| pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"set": {"family": "bridge", "name": "flows",
        "table": "underlay", "type": ["ether_addr", "ether_addr"], "handle": 2, "size": 65535, "flags": ["dynamic"], "elem": [
        {"elem": {"val": {"concat": ["02:99:00:00:00:01", "02:99:00:00:00:02"]}, "counter": {"packets": 3, "bytes": 252}}},
        {"elem": {"val": {"concat": ["02:99:00:00:00:02", "02:99:00:00:00:01"]}, "counter": {"packets": 2, "bytes": 100}}},
        {"elem": {"val": {"concat": ["02:99:00:00:00:02", "02:99:00:00:00:03"]}, "counter": {"packets": 9, "bytes": 90}}},
        {"elem": {"val": {"concat": ["02:99:00:00:00:03", "02:99:00:00:00:02"]}, "counter": {"packets": 9, "bytes": 90}}},
        {"elem": {"val": {"concat": ["02:99:00:00:00:01", "ff:ff:ff:ff:ff:ff"]}, "counter": {"packets": 1, "bytes": 28}}}]}}]}"#;

    #[test]
    fn those_who_spoke_most_to_each_other_are_found() {
        let flows = Flows::parse(SAID).unwrap();
        assert_eq!(flows.total(), 532);
        assert_eq!(flows.busiest(|_| true), Some((1, 2)));
        assert_eq!(flows.busiest(|site| site != 1), Some((2, 3)));
        assert_eq!(flows.busiest(|site| site == 1), None);
        assert_eq!(flows.busiest_site(|_| true), Some(2));
        assert_eq!(flows.busiest_site(|site| site == 3), Some(3));
        assert_eq!(flows.since(&flows).busiest(|_| true), None);
    }

    #[test]
    fn a_switch_where_nobody_spoke_yet_is_no_error() {
        let said = r#"{"nftables": [{"metainfo": {}}, {"set": {"name": "flows"}}]}"#;
        assert_eq!(Flows::parse(said).unwrap(), Flows::default());
    }
}
