//! The real babeld with our configuration: neighbours learn each other's prefix, and one in the middle forwards.

use std::process::{Command, Stdio};
use std::time::Duration;

use slapbox_overlay::babel::{self, Babel};

use crate::node::{Node, eventually};

/// A node that has its prefix already; veth stands for its tunnels.
fn open(index: u16) -> Option<Node> {
    let node = Node::open(index)?;
    let Babel {
        prefix, address, ..
    } = &node.babel;
    node.namespace
        .ip(&format!("-6 address add {address}/128 dev lo"));
    node.namespace
        .ip(&format!("-6 route add unreachable {prefix} proto 116"));
    // An address of the links' own network, which must not be taken for a source.
    node.namespace.ip(&format!(
        "-6 address add fd12:3456:789a:ffff::{index:x}/128 dev lo"
    ));
    Some(node)
}

/// Connects two nodes; tunnels are named after the peer, as the product does.
fn connect(one: &mut Node, one_index: u32, other: &mut Node, other_index: u32) {
    let (here, there) = (format!("slt{other_index:x}"), format!("slt{one_index:x}"));
    one.namespace.connect(&here, &other.namespace, &there);
    one.babel.interfaces.insert(here);
    other.babel.interfaces.insert(there);
}

#[test]
fn prefixes_are_routed_and_a_node_in_the_middle_forwards() {
    let (Some(mut hub), Some(mut first), Some(mut second)) = (open(1), open(2), open(3)) else {
        return;
    };
    connect(&mut hub, 1, &mut first, 2);
    connect(&mut hub, 1, &mut second, 3);
    for node in [&mut hub, &mut first, &mut second] {
        node.start_babeld();
    }
    eventually("neighbours reach each other", || first.reaches(1));
    eventually("the hub forwards", || first.reaches(3));
    // Only prefixes travel: neither addresses nor the links' own network.
    let routes = first.namespace.ip("-6 route show proto babel");
    assert_eq!(routes.lines().count(), 2, "{routes}");
    assert!(
        routes
            .lines()
            .all(|route| route.contains("src fd12:3456:789a:2::1")),
        "{routes}"
    );
}

#[test]
fn interfaces_come_and_go_while_babeld_runs() {
    let (Some(mut hub), Some(mut node)) = (open(1), open(2)) else {
        return;
    };
    assert_eq!(hub.reconcile(), None, "no babeld runs");
    hub.start_babeld();
    node.start_babeld();
    connect(&mut hub, 1, &mut node, 2);
    eventually("both babeld answer", || {
        match (hub.reconcile(), node.reconcile()) {
            (Some(_), Some(_)) => Ok(String::new()),
            answers => Err(format!("{answers:?} {}", hub.log())),
        }
    });
    assert_eq!(
        hub.reconcile(),
        Some(0),
        "a second time nothing is to be done"
    );
    eventually("they reach each other", || node.reaches(1));

    hub.babel.interfaces.clear();
    assert_eq!(hub.reconcile(), Some(1));
    let gone = || match hub.namespace.ip("-6 route show proto babel") {
        routes if routes.is_empty() => Ok(routes),
        routes => Err(routes),
    };
    eventually("the route goes at once", gone);
}

#[test]
fn a_neighbour_cannot_announce_what_is_not_of_the_network() {
    let (Some(mut hub), Some(mut liar)) = (open(1), open(2)) else {
        return;
    };
    connect(&mut hub, 1, &mut liar, 2);
    // It announces its prefix, the hub's, the links' network and the whole world.
    for foreign in [
        "fd12:3456:789a:1::/64",
        "fd12:3456:789a:ffff::/64",
        "2001:db8::/32",
        "::/0",
    ] {
        liar.namespace
            .ip(&format!("-6 route add unreachable {foreign} proto 117"));
    }
    hub.start_babeld();
    let honest = liar.babel.render();
    let path = liar.folder.path().join("babeld.conf");
    let lies = honest.replace(
        "redistribute local deny",
        "redistribute proto 117 allow\nredistribute local deny",
    );
    std::fs::write(&path, lies).unwrap();
    liar.babeld = Some(liar.namespace.run(move || {
        Command::new("babeld")
            .args(["-I", "", "-c", path.to_str().unwrap()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }));
    eventually("the honest prefix arrives", || {
        match hub.namespace.ip("-6 route show proto babel") {
            routes if routes.contains("fd12:3456:789a:2::/64") => Ok(routes),
            routes => Err(routes),
        }
    });
    std::thread::park_timeout(Duration::from_secs(2));
    let routes = hub.namespace.ip("-6 route show proto babel");
    assert_eq!(routes.lines().count(), 1, "{routes}");
}

#[test]
fn a_babeld_that_was_killed_is_told_from_one_that_runs() {
    let Some(mut node) = open(1) else {
        return;
    };
    let running = |node: &Node| match node.reconcile() {
        Some(_) => Ok(String::new()),
        None => Err(node.log()),
    };
    node.start_babeld();
    eventually("babeld answers", || running(&node));
    let mut babeld = node.babeld.take().unwrap();
    babeld.kill().unwrap();
    babeld.wait().unwrap();
    assert_eq!(node.reconcile(), None);
    // As its unit does, with the folder that the socket is in.
    std::fs::remove_file(&node.babel.socket).unwrap();
    node.start_babeld();
    eventually("the next babeld answers", || running(&node));

    let socket = node.babel.socket.clone();
    node.namespace
        .run_async(async move || babel::stop(socket.as_ref()).await.unwrap());
    let ended = node.babeld.as_mut().unwrap().wait().unwrap();
    assert!(ended.success(), "it ends by itself when told to: {ended}");
}
