//! Two partitions with networks of their own bind the same port, and are reached by their addresses.

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread::JoinHandle;

use slapbox_overlay::apart::{come_home, leave_node};
use slapbox_overlay::partitions::{PartitionNetwork, network_of, reconcile};

use crate::lab::Namespace;

/// A thread in a network of its own that says its number to whoever connects, until it is let go.
struct Apart {
    go: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

fn apart(namespace: &Namespace, index: u16, ipv6: Ipv6Addr) -> Apart {
    let (go, gone) = mpsc::channel();
    let (ready, started) = mpsc::channel();
    let thread = namespace.run(move || {
        std::thread::spawn(move || {
            leave_node(index, ipv6).unwrap();
            let listener = TcpListener::bind("[::]:80").unwrap();
            ready.send(()).unwrap();
            std::thread::spawn(move || {
                for caller in listener.incoming() {
                    caller.unwrap().write_all(&[index as u8]).unwrap();
                }
            });
            gone.recv().unwrap();
        })
    });
    started.recv().unwrap();
    Apart { go, thread }
}

fn says(namespace: &Namespace, ipv6: Ipv6Addr) -> Vec<u8> {
    namespace.run(move || {
        let mut said = Vec::new();
        let address = SocketAddr::from((ipv6, 80));
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.read_to_end(&mut said).unwrap();
        said
    })
}

fn changes(namespace: &Namespace, desired: &[PartitionNetwork]) -> usize {
    let desired = desired.to_vec();
    let outcome = namespace.run_async(async move || reconcile(&desired, None).await.unwrap());
    assert!(outcome.failures.is_empty(), "{:#?}", outcome.failures);
    outcome.changed
}

/// A node that knows the way to all of the first one's partitions.
fn another_node(node: &Namespace) -> Namespace {
    let other = Namespace::open().unwrap();
    node.connect("cable", &other, "cable");
    node.command("sysctl -q -w net.ipv6.conf.all.forwarding=1");
    other.ip("-6 address add fd99::2/128 dev cable nodad");
    other.ip("-6 route add fd12:3456:789a:1::/64 via fe80::1 dev cable");
    node.ip("-6 route add fd99::2/128 via fe80::2 dev cable");
    other
}

#[test]
fn two_partitions_bind_one_port_and_each_answers_at_its_address() {
    let Some(node) = Namespace::open() else {
        return;
    };
    let prefix = "fd12:3456:789a:1::/64".parse().unwrap();
    let partitions: Vec<_> = (0..2).map(|index| network_of(prefix, index, 0)).collect();
    changes(&node, &partitions);
    let threads: Vec<_> = partitions
        .iter()
        .map(|partition| apart(&node, partition.index, partition.ipv6))
        .collect();
    assert_eq!(says(&node, partitions[0].ipv6), [0]);
    assert_eq!(says(&node, partitions[1].ipv6), [1]);
    let other = another_node(&node);
    assert_eq!(says(&other, partitions[1].ipv6), [1]);
    // Who repairs the node does not take the addresses back.
    assert_eq!(changes(&node, &partitions), 0);
    assert_eq!(says(&node, partitions[1].ipv6), [1]);

    let ipv6 = partitions[0].ipv6;
    for _ in 0..2 {
        node.run_async(async move || come_home(0, ipv6).await.unwrap());
    }
    assert_eq!(changes(&node, &partitions), 0);
    let links = node.ip("-brief link");
    assert!(!links.contains("slapveth0"), "{links}");
    node.run(move || drop(TcpListener::bind((ipv6, 80)).unwrap()));
    for apart in threads {
        apart.go.send(()).unwrap();
        apart.thread.join().unwrap();
    }
}
