//! The text of our table, from what holds for each partition. Pure.
//!
//! One table, `inet slapbox`. Who has an interface of its own, a machine at a tap or a container, says nothing in another's name: the way
//! back to whom it says that it is must lead through that interface. That holds always; the rest for those who are guarded. What comes from elsewhere is judged where it arrives, for the node or passing
//! through it; what comes from another partition of this node is judged where it leaves, by its user: from there it has the
//! very address that it goes to as its source. Answers to what a partition asked for itself always arrive, and so does what
//! the network says of a connection or of a neighbour.

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::desired::Fingerprint;

/// What holds for a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// What it was made for.
    pub made_for: Fingerprint,
    /// Users of the node that are its own: first and last.
    pub users: [(u32, u32); 2],
    /// Those of partitions on this node that always reach it.
    pub kin: BTreeSet<(u32, u32)>,
    /// Those of partitions on this node that do not, where most do.
    pub strangers: BTreeSet<(u32, u32)>,
    /// Its addresses.
    pub own: BTreeSet<IpAddr>,
    /// Of its addresses those that not everybody reaches.
    pub protected: BTreeSet<IpNet>,
    pub access: Access,
    /// The only IPv4 addresses that it reaches, if not all.
    pub reaches: Option<BTreeSet<Ipv4Addr>>,
}

/// Who reaches a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    Only(BTreeSet<IpNet>),
    AllBut {
        rejected: BTreeSet<IpNet>,
        /// These even if they are rejected.
        always: BTreeSet<IpNet>,
    },
}

/// Removes the table, whether or not it is there: with what follows it is one transaction.
pub(super) const CLEAR: &str = "table inet slapbox\ndelete table inet slapbox\n";
const ROOT: u32 = 0;
/// Names of interfaces that somebody else sends at: taps, and ways into the networks of containers (`slapbox_overlay`).
const OTHERS: [&str; 2] = ["slaptap*", "slapveth*"];

/// Which of both protocols a rule is about, as nft calls it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Ip,
    Ip6,
}

/// Returns the table.
pub(super) fn rules<'a>(guards: impl Iterator<Item = &'a Guard>) -> String {
    let (mut arrives, mut leaves) = (String::new(), String::new());
    for guard in guards {
        for family in [Family::Ip, Family::Ip6] {
            guard.arrives(family, &mut arrives);
            guard.leaves(family, &mut leaves);
        }
        guard.reaches(&mut leaves);
    }
    let sources = sources();
    if arrives.is_empty() && leaves.is_empty() {
        return format!("table inet slapbox {{\n{sources}}}\n");
    }
    let answers = "\t\tct state related accept\n\t\tct state established ct direction reply accept\n\
        \t\ticmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n";
    let chain = |name: &str, first: &str, body: &str| {
        let hook = format!("type filter hook {name} priority filter; policy accept;");
        format!("\tchain {name} {{\n\t\t{hook}\n{first}{answers}{body}\t}}\n")
    };
    // What comes over the loopback was judged where it left.
    let elsewhere = "\t\tiifname \"lo\" accept\n";
    format!(
        "table inet slapbox {{\n{sources}{}{}{}}}\n",
        chain("input", elsewhere, &arrives),
        chain("forward", "", &arrives),
        chain("output", "", &leaves),
    )
}

/// Who has no address yet asks whether one is free, and neighbours speak by addresses of their link.
fn sources() -> String {
    let rules = OTHERS.map(|name| {
        let strange = "fib saddr . iif oif missing drop";
        format!(
            "\t\tiifname \"{name}\" ip6 saddr != {{ ::, fe80::/10 }} {strange}\n\
             \t\tiifname \"{name}\" meta nfproto ipv4 {strange}\n"
        )
    });
    let hook = "type filter hook prerouting priority raw; policy accept;";
    format!(
        "\tchain prerouting {{\n\t\t{hook}\n{}\t}}\n",
        rules.concat()
    )
}

impl Guard {
    /// What comes from another machine, or from a network of a container's own.
    fn arrives(&self, family: Family, text: &mut String) {
        if let Some(to) = set(family.of(&self.protected)) {
            let to = format!("{family} daddr {to}");
            self.judge(family, &to, text);
        }
    }

    /// What comes from this node, but not from itself, its tree or root.
    fn leaves(&self, family: Family, text: &mut String) {
        if let Some(to) = set(family.of(&self.protected)) {
            if let Some(users) = users(self.strangers.iter().copied()) {
                let _ = writeln!(text, "\t\tmeta skuid {users} {family} daddr {to} reject");
            }
            let others = self.kin.iter().copied().chain([(ROOT, ROOT)]);
            let own = users(self.users.into_iter().chain(others)).unwrap_or_default();
            let to = format!("meta skuid != {own} {family} daddr {to}");
            self.judge(family, &to, text);
        }
    }

    fn judge(&self, family: Family, to: &str, text: &mut String) {
        let from = |sources: &BTreeSet<IpNet>| set(family.of(sources));
        // A String takes any text.
        let mut rule = |rule: String| {
            let _ = writeln!(text, "\t\t{rule}");
        };
        match &self.access {
            Access::Only(sources) => {
                if let Some(sources) = from(sources) {
                    rule(format!("{to} {family} saddr {sources} accept"));
                }
                rule(format!("{to} reject"));
            }
            Access::AllBut { rejected, always } => {
                let Some(rejected) = from(rejected) else {
                    return;
                };
                if let Some(always) = from(always) {
                    rule(format!("{to} {family} saddr {always} accept"));
                }
                rule(format!("{to} {family} saddr {rejected} reject"));
            }
        }
    }

    fn reaches(&self, text: &mut String) {
        let Some(reaches) = &self.reaches else {
            return;
        };
        let own = self.own.iter().filter(|it| it.is_ipv4()).copied();
        let all = own.chain(reaches.iter().map(|it| IpAddr::from(*it)));
        let all: BTreeSet<IpAddr> = all.collect();
        let from = format!(
            "meta skuid {}",
            users(self.users.into_iter()).unwrap_or_default()
        );
        if let Some(all) = set(all.into_iter()) {
            let _ = writeln!(text, "\t\t{from} ip daddr {all} accept");
        }
        let _ = writeln!(text, "\t\t{from} meta nfproto ipv4 reject");
    }
}

impl Family {
    /// The networks of this protocol that are in none of the others: nft takes no overlaps.
    fn of(self, nets: &BTreeSet<IpNet>) -> impl Iterator<Item = String> {
        let is_its = move |net: &IpNet| match net {
            IpNet::V4(_) => self == Self::Ip,
            IpNet::V6(_) => self == Self::Ip6,
        };
        let nets: Vec<IpNet> = nets.iter().copied().filter(is_its).collect();
        let nets = IpNet::aggregate(&nets).into_iter();
        nets.map(|net| {
            if net.prefix_len() == net.max_prefix_len() {
                net.addr().to_string()
            } else {
                net.to_string()
            }
        })
    }
}

impl Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
        })
    }
}

fn users(all: impl Iterator<Item = (u32, u32)>) -> Option<String> {
    let range = |(first, last): (u32, u32)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    let all: BTreeSet<(u32, u32)> = all.collect();
    set(all.into_iter().map(range))
}

fn set(elements: impl Iterator<Item = impl Display>) -> Option<String> {
    let all: Vec<String> = elements.map(|element| element.to_string()).collect();
    (!all.is_empty()).then(|| format!("{{ {} }}", all.join(", ")))
}
