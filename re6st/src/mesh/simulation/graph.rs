//! Who has tunnels with whom, and what can be said of that: degrees, hops, parts.

use std::collections::{BTreeMap, VecDeque};

/// Nodes by number, with their neighbours.
#[derive(Clone, Debug)]
pub struct Graph {
    neighbours: Vec<Vec<u32>>,
}

/// Not reached.
const NEVER: u32 = u32::MAX;

impl Graph {
    pub(super) fn new(count: u32) -> Self {
        Self {
            neighbours: (0..count).map(|_| Vec::new()).collect(),
        }
    }

    pub(super) fn add(&mut self) {
        self.neighbours.push(Vec::new());
    }

    /// Returns whether it is new.
    pub(super) fn connect(&mut self, one: u32, other: u32) -> bool {
        if self.neighbours[one as usize].contains(&other) {
            return false;
        }
        self.neighbours[one as usize].push(other);
        self.neighbours[other as usize].push(one);
        true
    }

    pub(super) fn disconnect(&mut self, one: u32, other: u32) {
        self.neighbours[one as usize].retain(|it| *it != other);
        self.neighbours[other as usize].retain(|it| *it != one);
    }

    /// Takes all tunnels from a node, and returns whom they led to.
    pub(super) fn remove_all(&mut self, number: u32) -> Vec<u32> {
        let peers = std::mem::take(&mut self.neighbours[number as usize]);
        for peer in &peers {
            self.neighbours[*peer as usize].retain(|it| *it != number);
        }
        peers
    }

    /// Returns how many tunnels a node has.
    pub fn degree(&self, number: u32) -> usize {
        self.neighbours[number as usize].len()
    }

    /// Returns for each node how many hops away it is from one of them; nothing for who is not reached.
    pub fn hops_from(&self, number: u32) -> Vec<Option<u32>> {
        let mut found = vec![NEVER; self.neighbours.len()];
        found[number as usize] = 0;
        let mut next = VecDeque::from([number]);
        while let Some(node) = next.pop_front() {
            for peer in &self.neighbours[node as usize] {
                if found[*peer as usize] == NEVER {
                    found[*peer as usize] = found[node as usize] + 1;
                    next.push_back(*peer);
                }
            }
        }
        let found = found.into_iter();
        found.map(|hops| (hops != NEVER).then_some(hops)).collect()
    }

    /// Returns how many destinations a node reaches by each of its neighbours.
    pub(super) fn destinations_by(&self, number: u32) -> BTreeMap<u32, u64> {
        let mut first = vec![NEVER; self.neighbours.len()];
        first[number as usize] = number;
        let mut next = VecDeque::new();
        let mut counts = BTreeMap::new();
        for peer in &self.neighbours[number as usize] {
            first[*peer as usize] = *peer;
            counts.insert(*peer, 1);
            next.push_back(*peer);
        }
        while let Some(node) = next.pop_front() {
            let way = first[node as usize];
            for peer in &self.neighbours[node as usize] {
                if first[*peer as usize] == NEVER {
                    first[*peer as usize] = way;
                    *counts.entry(way).or_default() += 1;
                    next.push_back(*peer);
                }
            }
        }
        counts
    }

    /// Whether one node reaches another without the tunnel between them.
    pub(super) fn has_way_around(&self, one: u32, other: u32) -> bool {
        let mut seen = vec![false; self.neighbours.len()];
        seen[one as usize] = true;
        let mut next = VecDeque::from([one]);
        while let Some(node) = next.pop_front() {
            for peer in &self.neighbours[node as usize] {
                let is_direct = node == one && *peer == other;
                if is_direct || seen[*peer as usize] {
                    continue;
                }
                if *peer == other {
                    return true;
                }
                seen[*peer as usize] = true;
                next.push_back(*peer);
            }
        }
        false
    }
}
