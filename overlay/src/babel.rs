//! Babel: what babeld is told at its start, and changed at run time.
//!
//! Debian's babeld does the routing; this renders its configuration and speaks its text socket. Pure but for `control`.

mod control;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use crate::links::is_spare_name;
use crate::netlink::Owner;

pub use control::{Connection, Error, Origin, origins, reconcile, stop};

/// The configuration of babeld.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Babel {
    /// The whole overlay: nothing outside is learned.
    pub network: Ipv6Net,
    /// The node's own prefix: the one thing that it announces.
    pub prefix: Ipv6Net,
    /// The node's own address, from which it speaks to others.
    pub address: Ipv6Addr,
    /// The addresses of the links themselves, never learned from others.
    pub link_network: Ipv6Net,
    /// The tunnels to speak on.
    pub interfaces: BTreeSet<String>,
    /// Path of babeld's control socket.
    pub socket: String,
}

/// What the way through a spare tunnel costs: more than the longest way through the network, and less than infinity, which is 65535.
const SPARE: &str = " rxcost 20000";

/// A tunnel to index 0, which no node has.
const NEVER: &str = "slt0";

/// How babeld treats a tunnel. Links are point to point and dead ones are noticed by others; but babeld keeps what it has to say for up to
/// half of the time between two hellos, and the question for another way is among that. Delay decides between ways, as in re6st.
const TUNNEL: &str = "type tunnel hello-interval 0.6 update-interval 5 rtt-decay 125 rtt-min 1 rtt-max 500 max-rtt-penalty 5000";

impl Babel {
    /// Returns what babeld reads at its start.
    ///
    /// A babeld without any interface refuses to start, therefore one is named that never exists.
    pub fn render(&self) -> String {
        let mut text = self.render_base();
        for interface in &self.interfaces {
            let _ = writeln!(text, "interface {interface}{}", cost_of(interface));
        }
        text
    }

    /// Returns the part of `render` that only a restart of babeld can change.
    pub fn render_base(&self) -> String {
        let Self {
            network,
            prefix,
            address,
            link_network,
            socket,
            ..
        } = self;
        let ours = Owner::Links as u8;
        format!(
            "# Written by slapbox-re6st; changes are lost.
local-path-readwrite \"{socket}\"
# The machine forwards by its own settings, and a new start is a new router: nothing old is in its way.
skip-kernel-setup true
random-id true
link-detect true
# How soon a way that became better is taken: delays are smoothed by themselves, below, and nine times this long is short enough.
smoothing-half-life 1
default {TUNNEL}
redistribute ip {prefix} eq {} proto {ours} allow
redistribute local deny
redistribute deny
in ip {link_network} deny
in ip {prefix} deny
in ip {network} ge {} le 64 allow
in deny
install pref-src {address} allow
interface {NEVER}
",
            prefix.prefix_len(),
            network.prefix_len() + 1,
        )
    }

    /// Returns the commands that make a running babeld speak on the desired tunnels and no others.
    pub fn commands(&self, running: &BTreeSet<String>) -> Vec<String> {
        let flush = running
            .difference(&self.interfaces)
            .filter(|interface| *interface != NEVER)
            .map(|interface| format!("flush interface {interface}"));
        let add = self
            .interfaces
            .difference(running)
            .map(|interface| format!("interface {interface} {TUNNEL}{}", cost_of(interface)));
        flush.chain(add).collect()
    }
}

/// Returns what is said of an interface's cost; babeld never changes that of one that it speaks on.
fn cost_of(interface: &str) -> &'static str {
    if is_spare_name(interface) { SPARE } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn babel(interfaces: &[&str]) -> Babel {
        Babel {
            network: "fd12:3456:789a::/48".parse().unwrap(),
            prefix: "fd12:3456:789a:1::/64".parse().unwrap(),
            address: "fd12:3456:789a:1::1".parse().unwrap(),
            link_network: "fd12:3456:789a:ffff::/64".parse().unwrap(),
            interfaces: interfaces.iter().map(ToString::to_string).collect(),
            socket: "/run/slapbox-re6st/babeld.sock".to_owned(),
        }
    }

    #[test]
    fn babeld_announces_one_prefix_and_learns_one_network() {
        let text = babel(&["slt2", "slta", "slsa"]).render();
        assert_eq!(text, include_str!("../tests/golden/babeld.conf"));
    }

    #[test]
    fn interfaces_do_not_touch_what_needs_a_restart() {
        assert_eq!(babel(&["slt2"]).render_base(), babel(&[]).render_base());
    }

    #[test]
    fn a_running_babeld_gets_only_the_difference() {
        let running = ["slt0", "slt2", "slt3"].map(str::to_owned).into();
        let commands = babel(&["slt3", "slt4"]).commands(&running);
        assert_eq!(commands.len(), 2);
        assert_eq!(commands[0], "flush interface slt2");
        assert!(
            commands[1].starts_with("interface slt4 type tunnel "),
            "{}",
            commands[1]
        );
        assert!(babel(&["slt2", "slt3"]).commands(&running).is_empty());
        let commands = babel(&["slt2", "slt3", "sls3"]).commands(&running);
        assert_eq!(commands.len(), 1);
        assert!(
            commands[0].starts_with("interface sls3 "),
            "{}",
            commands[0]
        );
        assert!(commands[0].ends_with(" rxcost 20000"), "{}", commands[0]);
    }
}
