//! A hub and nodes find each other, and keep what they have when others go.

use crate::lab::{FakeMachine, Lab, connected, eventually};

/// Waits until a machine was told to have this many peers.
async fn peers(machine: &FakeMachine, count: usize) {
    eventually("the machine has its peers", || match machine.seen() {
        seen if seen
            .desired
            .as_ref()
            .is_some_and(|desired| desired.wireguard.peers.len() == count) =>
        {
            Ok(())
        }
        seen => Err(format!("{seen:?}")),
    })
    .await;
}

#[tokio::test]
async fn a_hub_and_a_node_find_each_other() {
    let lab = Lab::open();
    let _registry = lab.serve();
    let (hub_machine, machine) = (FakeMachine::default(), FakeMachine::default());
    let node = lab.start("COMP-2", lab.source("COMP-2"), &machine);
    let waiting = |status: &slapbox_re6st::node::Status| {
        status.reason == "the hub COMP-1 has not joined the network yet"
    };
    eventually("the node waits for the hub", || {
        node.status().filter(waiting).ok_or_else(|| node.status())
    })
    .await;

    let hub = lab.start("COMP-1", lab.source("COMP-1"), &hub_machine);
    let status = connected(&node).await;
    assert_eq!(status.prefix.unwrap().to_string(), "fd12:3456:789a:1::/64");
    assert_eq!(status.links[0].peer.as_str(), "COMP-1");
    connected(&hub).await;
    peers(&hub_machine, 1).await;

    let (of_hub, of_node) = (
        hub_machine.seen().desired.unwrap(),
        machine.seen().desired.unwrap(),
    );
    let endpoint = of_node.wireguard.peers.values().next().unwrap().endpoint;
    assert_eq!(
        endpoint.unwrap().to_string(),
        "192.0.2.1:6326",
        "the hub is beside its master"
    );
    assert_eq!(of_hub.tunnels["slt1"].remote, of_node.tunnels["slt2"].local);
    assert!(
        hub.babeld_conf().contains("\ninterface slt1\n"),
        "{}",
        hub.babeld_conf()
    );
    assert!(
        node.babeld_conf().contains("\ninterface slt2\n"),
        "{}",
        node.babeld_conf()
    );
}

#[tokio::test]
async fn links_come_back_without_the_registry() {
    let lab = Lab::open();
    let machine = FakeMachine::default();
    let before = {
        let _registry = lab.serve();
        let _hub = lab.start("COMP-1", lab.source("COMP-1"), &FakeMachine::default());
        let node = lab.start("COMP-2", lab.source("COMP-2"), &machine);
        connected(&node).await;
        machine.seen()
    };
    std::fs::remove_file(lab.path("http.sock")).unwrap();

    let rebooted = FakeMachine::default();
    let node = lab.start("COMP-2", lab.source("COMP-2"), &rebooted);
    connected(&node).await;
    assert_eq!(rebooted.seen().desired, before.desired);
    assert_eq!(rebooted.seen().babel, before.babel);
    assert_eq!(rebooted.seen().babel_restarts, 0);
    eventually("the reason is told", || match node.status() {
        Some(status) if status.reason.starts_with("no news of the network: ") => Ok(()),
        other => Err(other),
    })
    .await;
}

#[tokio::test]
async fn a_hub_drops_who_was_released_and_a_node_that_may_joins_again() {
    let lab = Lab::open();
    let registry = lab.registry();
    let socket = lab.path("http.sock");
    let serving = registry.clone();
    let _server = lab.keep(async move {
        slapbox_re6st::registry::serve(serving, &socket)
            .await
            .unwrap()
    });
    let (hub_machine, machine) = (FakeMachine::default(), FakeMachine::default());
    let _hub = lab.start("COMP-1", lab.source("COMP-1"), &hub_machine);
    let node = lab.start("COMP-2", lab.source("COMP-2"), &machine);
    connected(&node).await;
    peers(&hub_machine, 1).await;
    drop(node);
    registry.release(&"COMP-2".parse().unwrap()).unwrap();
    peers(&hub_machine, 0).await;

    let node = lab.start("COMP-2", lab.source("COMP-2"), &machine);
    peers(&hub_machine, 1).await;
    connected(&node).await;
}

#[tokio::test]
async fn babeld_is_restarted_only_for_another_prefix() {
    let lab = Lab::open();
    let machine = FakeMachine::default();
    let conf = {
        let _registry = lab.serve();
        let _hub = lab.start("COMP-1", lab.source("COMP-1"), &FakeMachine::default());
        let node = lab.start("COMP-2", lab.source("COMP-2"), &machine);
        connected(&node).await;
        node.babeld_conf()
    };
    assert_eq!(machine.seen().babel_restarts, 0);
    let path = lab.path("COMP-2-run/babeld.conf");
    let other = conf
        .replace("fd12:3456:789a:2:", "fd12:3456:789a:9:")
        .replace("fd12:3456:789a:1:", "fd12:3456:789a:9:");
    slapbox_re6st::disk::replace(&path, slapbox_re6st::disk::Access::Public, other.as_bytes())
        .unwrap();
    let node = lab.start("COMP-2", lab.source("COMP-2"), &machine);
    eventually("babeld is restarted", || {
        match machine.seen().babel_restarts {
            1 => Ok(()),
            count => Err(count),
        }
    })
    .await;
    assert_eq!(node.babeld_conf(), conf);
}
