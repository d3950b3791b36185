//! The way to the registry's computer from UDP to a real carrier and back, in a time that is a number.

use std::time::Duration;

use slapbox_overlay::links::{ObservedPeer, ObservedWireGuard};
use tokio::net::UdpSocket;

use super::*;
use crate::node::near_end::tests::{Pair, heard};
use crate::node::policy::tests::{document, peer, tunnels};

const HOST: &str = "192.0.2.1:6326";

/// COMP-2, whose way it is, and what there is around it.
struct Node {
    way: Way,
    source: Source,
    document: Document,
    tunnels: Tunnels,
    observed: Observed,
    /// Where the registry's computer is by UDP.
    by_udp: SocketAddr,
    now: Instant,
}

impl Node {
    fn new(pair: &Pair, by_udp: SocketAddr) -> Self {
        let mut document = document(2, vec![peer(1, None), peer(3, None)]);
        document.facts.port = pair.near.local_addr().unwrap().port();
        let mut node = Self {
            way: Way::default(),
            source: pair.source(),
            document,
            tunnels: Tunnels::default(),
            observed: Observed::default(),
            by_udp,
            now: Instant::now(),
        };
        node.hears_at(HOST.parse().unwrap());
        node
    }

    fn hears_at(&mut self, endpoint: SocketAddr) {
        let found = ObservedPeer {
            endpoint: Some(endpoint),
            ..ObservedPeer::default()
        };
        let key = peer(1, None).wireguard_public_key;
        self.observed.wireguard = Some(ObservedWireGuard {
            peers: [(key, found)].into(),
            ..ObservedWireGuard::default()
        });
    }

    /// Lets so many seconds pass, and returns what is planned then.
    fn after(&mut self, seconds: u64) -> Plan {
        self.now += Duration::from_secs(seconds);
        let around = Around {
            source: &self.source,
            tunnels: &self.tunnels,
            observed: &self.observed,
            asks: true,
            now: self.now,
        };
        let planned = self
            .way
            .step(&self.document, &around, |_| vec![self.by_udp]);
        planned.unwrap().plan
    }

    /// Waits until what is planned is like that, of what happens by itself.
    async fn until(&mut self, what: impl Fn(&Plan) -> bool) -> Plan {
        let waited = async {
            loop {
                let plan = self.after(0);
                if what(&plan) {
                    return plan;
                }
                self.way.moved().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), waited).await;
        waited.expect("it comes in time")
    }
}

#[tokio::test]
async fn udp_that_gets_through_again_takes_the_place_of_the_carrier() {
    let pair = Pair::new().await;
    let _serving = pair.serve(&pair.registry());
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut node = Node::new(&pair, udp.local_addr().unwrap());
    assert!(!node.after(0).carrier);
    assert!(node.after(12).carrier);
    let near = node.until(|plan| plan.to.is_some()).await.to.unwrap();
    node.hears_at(near);
    node.tunnels = tunnels(&[1]);
    pair.near.send_to(&[1; 60], near).await.unwrap();
    assert_eq!(heard(&pair.far).await.0, [1; 60]);

    assert!(node.after(31).probe);
    pair.near.send_to(&[2; 60], near).await.unwrap();
    let (copy, from) = heard(&udp).await;
    assert_eq!(copy, [2; 60]);
    let from = SocketAddr::from(([127, 0, 0, 1], from.port()));
    udp.send_to(&[3; 60], from).await.unwrap();
    let plan = node.until(|plan| plan.hush).await;
    assert!(plan.moves);
    assert_eq!(plan.to, Some(node.by_udp));
    node.hears_at(HOST.parse().unwrap());
    assert_eq!(node.after(5), Plan::default());
    assert!(node.way.near.is_none(), "the carrier has ended");
    assert_eq!(heard(&pair.near).await.0, [3; 60], "nothing was lost");
}

#[tokio::test]
async fn where_the_registry_is_or_is_not_known_to_be_there_is_no_way_to_it() {
    let pair = Pair::new().await;
    let mut node = Node::new(&pair, HOST.parse().unwrap());
    let hosts = [Some("COMP-2"), Some("COMP-9"), None];
    for host in hosts {
        node.document.joined.view.host = host.map(|host| host.parse().unwrap());
        let around = Around {
            source: &node.source,
            tunnels: &node.tunnels,
            observed: &node.observed,
            asks: true,
            now: node.now,
        };
        assert!(
            node.way
                .step(&node.document, &around, |_| Vec::new())
                .is_none()
        );
    }
}

#[tokio::test]
async fn why_a_carrier_is_not_there_is_told() {
    let pair = Pair::new().await;
    let mut node = Node::new(&pair, HOST.parse().unwrap());
    node.after(0);
    node.after(12);
    node.way.moved().await;
    let problem = node.way.problem().unwrap();
    let words =
        "there is no way to COMP-1 in TLS either: the registry gives no carrier: failed to call";
    assert!(problem.starts_with(words), "{problem}");
    node.tunnels = tunnels(&[1]);
    assert_eq!(node.after(1), Plan::default());
    assert_eq!(node.way.problem(), None);
}
