//! The real babeld with our configuration: neighbours learn each other's prefix, and one in the middle forwards.

use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
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

/// Waits until a node's route to a prefix leads by a tunnel.
fn leads(node: &Node, prefix: &str, tunnel: &str) {
    eventually("the route leads by the other tunnel", || {
        let route = node
            .namespace
            .ip(&format!("-6 route show {prefix} proto babel"));
        let by = route.contains(&format!("dev {tunnel} "));
        if by { Ok(route) } else { Err(route) }
    });
}

/// Makes the spare tunnel between two nodes, and has them speak on it.
fn spare(one: &mut Node, one_index: u32, other: &mut Node, other_index: u32) {
    let (here, there) = (format!("sls{other_index:x}"), format!("sls{one_index:x}"));
    one.namespace.connect(&here, &other.namespace, &there);
    one.babel.interfaces.insert(here);
    other.babel.interfaces.insert(there);
    for node in [one, other] {
        node.reconcile();
    }
}

/// Has a node speak on an interface no more.
fn leave(node: &mut Node, interface: &str) {
    node.babel.interfaces.remove(interface);
    node.reconcile();
}

/// Waits until a node has heard of a prefix by a tunnel.
fn hears_of(node: &Node, prefix: &str, tunnel: &str) {
    eventually("the way by the tunnel is known", || {
        let socket = node.babel.socket.clone();
        let dump = node.namespace.run_async(async move || {
            let connection = babel::Connection::open(socket.as_ref()).await;
            connection.unwrap().unwrap().command("dump").await.unwrap()
        });
        let is_meant = |line: &String| {
            line.contains(&format!(" prefix {prefix} "))
                && line.ends_with(&format!(" if {tunnel}"))
                && !line.contains(" metric 65535 ")
        };
        match dump.iter().find(|line| is_meant(line)) {
            Some(line) => Ok(line.clone()),
            None => Err(dump.join("\n")),
        }
    });
}

#[test]
fn a_tunnel_is_left_by_way_of_its_spare_without_a_loss() {
    let (Some(mut first), Some(mut second), Some(mut third)) = (open(1), open(2), open(3)) else {
        return;
    };
    connect(&mut first, 1, &mut second, 2);
    connect(&mut first, 1, &mut third, 3);
    connect(&mut second, 2, &mut third, 3);
    for node in [&mut first, &mut second, &mut third] {
        node.start_babeld();
    }
    let (to_first, to_second) = ("fd12:3456:789a:1::/64", "fd12:3456:789a:2::/64");
    leads(&first, to_second, "slt2");
    leads(&second, to_first, "slt1");
    eventually("the way around is known, too", || third.reaches(2));

    let ping = ["-i", "0.02", "-w", "60", "fd12:3456:789a:2::1"];
    let pinging = first.namespace.run(move || {
        let mut command = Command::new("ping");
        command.args(ping).stdout(Stdio::piped()).spawn().unwrap()
    });
    spare(&mut first, 1, &mut second, 2);
    hears_of(&first, to_second, "sls2");
    hears_of(&second, to_first, "sls1");
    leads(&first, to_second, "slt2");
    leave(&mut first, "slt2");
    leave(&mut second, "slt1");
    leads(&first, to_second, "slt3");
    leads(&second, to_first, "slt3");
    // They have changed their mind.
    connect_again(&mut first, "slt2");
    connect_again(&mut second, "slt1");
    leads(&first, to_second, "slt2");
    leads(&second, to_first, "slt1");

    let process = i32::try_from(pinging.id()).unwrap();
    kill(Pid::from_raw(process), Signal::SIGINT).unwrap();
    let said = String::from_utf8(pinging.wait_with_output().unwrap().stdout).unwrap();
    let numbers = said.lines().find(|line| line.contains("received")).unwrap();
    let mut numbers = numbers.split_whitespace().filter_map(|it| it.parse().ok());
    let (sent, received): (u32, u32) = (numbers.next().unwrap(), numbers.next().unwrap());
    assert!(sent > 100, "{said}");
    // The one that is under way when it ends.
    assert!(received + 1 >= sent, "{said}");
}

/// Has a node speak on an interface again.
fn connect_again(node: &mut Node, interface: &str) {
    node.babel.interfaces.insert(interface.to_owned());
    node.reconcile();
}

#[test]
fn a_spare_that_is_the_only_way_is_used() {
    let (Some(mut first), Some(mut second)) = (open(1), open(2)) else {
        return;
    };
    connect(&mut first, 1, &mut second, 2);
    first.start_babeld();
    second.start_babeld();
    let to_second = "fd12:3456:789a:2::/64";
    leads(&first, to_second, "slt2");
    spare(&mut first, 1, &mut second, 2);
    hears_of(&first, to_second, "sls2");
    leave(&mut first, "slt2");
    leave(&mut second, "slt1");
    leads(&first, to_second, "sls2");
    eventually("it leads there", || first.reaches(2));
}
