//! Where sites are on an underlay and which of them may speak to each other, as data. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// How a site is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Which addresses it has.
    pub families: Families,
    /// What is between it and the others.
    pub nat: Nat,
    /// Whether what it says and hears by UDP is lost.
    pub loses_udp: bool,
}

/// Which addresses a site has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// Of both kinds.
    Both,
    /// Of IPv4 alone.
    Ipv4,
    /// Of IPv6 alone.
    Ipv6,
}

/// What is between a site and the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// Nothing.
    None,
    /// A router that gives a port the same number outside, whoever is spoken to, and lets in only who was spoken to.
    Punchable,
    /// A router that gives a port another number for each who is spoken to.
    Symmetric,
}

/// All sites of an underlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    sites: BTreeMap<u16, Attachment>,
    cuts: BTreeSet<(u16, u16)>,
}

impl Plan {
    /// So many sites, of which each reaches each.
    pub fn full(count: u16) -> Self {
        let plain = Attachment {
            families: Families::Both,
            nat: Nat::None,
            loses_udp: false,
        };
        Self {
            sites: (1..=count).map(|number| (number, plain)).collect(),
            cuts: BTreeSet::new(),
        }
    }

    /// So many sites, of which each reaches the first and no other.
    pub fn star(count: u16) -> Self {
        Self::full(count).cutting(|one, _| one != 1)
    }

    /// So many sites, of which each reaches the one before it and the one after it.
    pub fn line(count: u16) -> Self {
        Self::full(count).cutting(|one, other| other - one > 1)
    }

    /// So many sites: the first has all addresses, every second of the others those of IPv4, the rest those of IPv6.
    pub fn halves(count: u16) -> Self {
        let mut plan = Self::full(count);
        for (number, attachment) in plan.sites.iter_mut().skip(1) {
            attachment.families = match number % 2 {
                0 => Families::Ipv4,
                _ => Families::Ipv6,
            };
        }
        plan
    }

    /// The same, with these sites behind routers, each behind one of its own; there they have no IPv6.
    pub fn behind(mut self, nat: Nat, sites: &[u16]) -> Self {
        for number in sites {
            if let Some(attachment) = self.sites.get_mut(number) {
                attachment.nat = nat;
                attachment.families = Families::Ipv4;
            }
        }
        self
    }

    /// The same, with no UDP for these sites.
    pub fn without_udp(mut self, sites: &[u16]) -> Self {
        for number in sites {
            if let Some(attachment) = self.sites.get_mut(number) {
                attachment.loses_udp = true;
            }
        }
        self
    }

    /// The sites, and how each is attached.
    pub fn sites(&self) -> impl Iterator<Item = (u16, Attachment)> {
        self.sites
            .iter()
            .map(|(&number, &attachment)| (number, attachment))
    }

    /// The pairs that do not reach each other, the smaller number first.
    pub fn cuts(&self) -> impl Iterator<Item = (u16, u16)> {
        self.cuts.iter().copied()
    }

    fn cutting(mut self, is_cut: impl Fn(u16, u16) -> bool) -> Self {
        let numbers = || self.sites.keys().copied();
        let pairs = numbers().flat_map(|one| numbers().map(move |other| (one, other)));
        let cut = pairs.filter(|&(one, other)| one < other && is_cut(one, other));
        self.cuts = cut.collect();
        self
    }
}

impl Attachment {
    /// Whether it has an address of IPv4.
    pub fn has_ipv4(&self) -> bool {
        self.families != Families::Ipv6
    }

    /// Whether it has an address of IPv6.
    pub fn has_ipv6(&self) -> bool {
        self.families != Families::Ipv4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_line_only_neighbours_reach_each_other() {
        let cuts: Vec<_> = Plan::line(4).cuts().collect();
        assert_eq!(cuts, [(1, 3), (1, 4), (2, 4)]);
    }

    #[test]
    fn in_a_star_all_reach_the_first() {
        let cuts: Vec<_> = Plan::star(4).cuts().collect();
        assert_eq!(cuts, [(2, 3), (2, 4), (3, 4)]);
        assert_eq!(Plan::full(4).cuts().count(), 0);
    }

    #[test]
    fn halves_have_the_first_site_in_common() {
        let families = |it: (u16, Attachment)| (it.1.has_ipv4(), it.1.has_ipv6());
        let halves: Vec<_> = Plan::halves(3).sites().map(families).collect();
        assert_eq!(halves, [(true, true), (true, false), (false, true)]);
    }
}
