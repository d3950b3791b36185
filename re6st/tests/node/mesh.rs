//! Nodes find each other, and keep what they have when others go.

use slapbox_re6st::node::LinkWay;

use crate::lab::{FakeMachine, Lab, connected, eventually};

/// Waits until a machine was told to have this many tunnels.
async fn tunnels(machine: &FakeMachine, count: usize) {
    eventually("the machine has its tunnels", || {
        let seen = machine.seen().desired.map(|it| it.tunnels.len());
        if seen == Some(count) {
            Ok(())
        } else {
            Err(seen)
        }
    })
    .await;
}

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
async fn two_nodes_find_each_other() {
    let lab = Lab::open();
    let _registry = lab.serve();
    let (first_machine, machine) = (lab.machine(), lab.machine());
    let node = lab.start("COMP-2", lab.source("COMP-2"), &machine);
    let waiting = "nobody else has joined the network yet";
    eventually("the node waits for others", || {
        let seen = node.status();
        let waits = seen.as_ref().is_some_and(|it| it.reason == waiting);
        if waits { Ok(()) } else { Err(seen) }
    })
    .await;

    let first = lab.start("COMP-1", lab.source("COMP-1"), &first_machine);
    let status = connected(&node).await;
    assert_eq!(status.prefix.unwrap().to_string(), "fd12:3456:789a:1::/64");
    assert_eq!(status.computer.unwrap().as_str(), "COMP-2");
    assert_eq!((status.others, status.tunnels_made), (1, 1));
    let link = &status.links[0];
    assert_eq!((link.peer.as_str(), link.way), ("COMP-1", LinkWay::Main));
    assert_eq!((link.mtu, link.destinations, link.loss), (1380, 1, 0.0));
    let metrics = node.metrics();
    for line in [
        "slapbox_overlay_connected 1.0",
        "slapbox_overlay_tunnels_made_total 1",
        "slapbox_overlay_neighbour_up{peer=\"COMP-1\"} 1.0",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}: {metrics}");
    }
    assert_eq!(status.asked, [], "who has answered is asked no more");
    connected(&first).await;
    tunnels(&first_machine, 1).await;

    let (of_first, of_node) = (
        first_machine.seen().desired.unwrap(),
        machine.seen().desired.unwrap(),
    );
    let endpoint = of_node.wireguard.peers.values().next().unwrap().endpoint;
    assert_eq!(
        endpoint.unwrap().to_string(),
        "192.0.2.1:6326",
        "the registry's computer is beside its master"
    );
    assert_eq!(
        of_first.tunnels["slt1"].remote,
        of_node.tunnels["slt2"].local
    );
    assert!(
        first.babeld_conf().contains("\ninterface slt1\n"),
        "{}",
        first.babeld_conf()
    );
    assert!(
        node.babeld_conf().contains("\ninterface slt2\n"),
        "{}",
        node.babeld_conf()
    );
}

#[tokio::test]
async fn all_of_a_few_nodes_are_neighbours_and_one_that_ends_is_left() {
    let lab = Lab::open();
    let _registry = lab.serve();
    let machines = [lab.machine(), lab.machine(), lab.machine(), lab.machine()];
    let start = |number: usize| {
        let name = format!("COMP-{}", number + 1);
        lab.start(&name, lab.source(&name), &machines[number])
    };
    let mut nodes: Vec<_> = (0..machines.len()).map(start).collect();
    for node in &nodes {
        eventually("all tunnels carry something", || {
            let status = node.status();
            let links = status.iter().flat_map(|status| &status.links);
            let up = links.filter(|link| link.round_trip_ms.is_some()).count();
            if up == 3 { Ok(()) } else { Err(node.status()) }
        })
        .await;
    }
    drop(nodes.pop());
    for machine in &machines[..3] {
        tunnels(machine, 2).await;
        let seen = machine.seen();
        assert_eq!(seen.babel.unwrap().interfaces.len(), 2);
        assert_eq!(
            seen.desired.unwrap().wireguard.peers.len(),
            3,
            "it may come back"
        );
    }
}

#[tokio::test]
async fn the_registry_has_a_map_of_the_nodes_that_are_there() {
    let lab = Lab::open();
    let registry = lab.registry();
    let (serving, socket) = (registry.clone(), lab.path("http.sock"));
    let _server = lab.keep(async move {
        slapbox_re6st::registry::serve(serving, &socket)
            .await
            .unwrap()
    });
    let start = |name: &str| lab.start(name, lab.source(name), &lab.machine());
    let (first, node) = (start("COMP-1"), start("COMP-2"));
    connected(&first).await;
    connected(&node).await;
    let map = eventually("the registry is told of the tunnel", || {
        let map = registry.map();
        if map.links.is_empty() {
            Err(map)
        } else {
            Ok(map)
        }
    })
    .await;
    assert_eq!(map.links.len(), 1);
    let [one, other] = &map.links[0].ends;
    assert_eq!((one.as_str(), other.as_str()), ("COMP-1", "COMP-2"));
    assert!(map.links[0].round_trip_ms.is_some());
    assert!(map.nodes.iter().all(|node| node.is_alive));
}

#[tokio::test]
async fn links_come_back_without_the_registry() {
    let lab = Lab::open();
    let machine = lab.machine();
    let (_first, before) = {
        let _registry = lab.serve();
        let first = lab.start("COMP-1", lab.source("COMP-1"), &lab.machine());
        let node = lab.start("COMP-2", lab.source("COMP-2"), &machine);
        connected(&node).await;
        tunnels(&machine, 1).await;
        (first, machine.seen())
    };
    std::fs::remove_file(lab.path("http.sock")).unwrap();

    let rebooted = lab.machine();
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
async fn who_was_released_is_dropped_and_a_node_that_may_joins_again() {
    let lab = Lab::open();
    let registry = lab.registry();
    let socket = lab.path("http.sock");
    let serving = registry.clone();
    let _server = lab.keep(async move {
        slapbox_re6st::registry::serve(serving, &socket)
            .await
            .unwrap()
    });
    let (first_machine, machine) = (lab.machine(), lab.machine());
    let _first = lab.start("COMP-1", lab.source("COMP-1"), &first_machine);
    let node = lab.start("COMP-2", lab.source("COMP-2"), &machine);
    connected(&node).await;
    peers(&first_machine, 1).await;
    drop(node);
    registry.release(&"COMP-2".parse().unwrap()).unwrap();
    peers(&first_machine, 0).await;

    let node = lab.start("COMP-2", lab.source("COMP-2"), &machine);
    peers(&first_machine, 1).await;
    connected(&node).await;
}

#[tokio::test]
async fn babeld_is_restarted_only_for_another_prefix() {
    let lab = Lab::open();
    let machine = lab.machine();
    let conf = {
        let _registry = lab.serve();
        let _first = lab.start("COMP-1", lab.source("COMP-1"), &lab.machine());
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
    let base = |conf: &str| conf.split("interface slt0").next().unwrap().to_owned();
    assert_eq!(base(&node.babeld_conf()), base(&conf));
}
