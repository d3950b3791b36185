//! A node on the userspace data plane, for a look at its speed: `plane OWN PEER[@ENDPOINT]…`, in a network namespace,
//! until its standard input ends. Each node is known by its number, and so are its key and addresses: `fd99:PEER::OWN`
//! is what a node has on its tunnel to a peer, and on the peer's side `fd99:OWN::PEER`.

#![expect(clippy::print_stdout, reason = "it says that it is ready")]

use std::io::Read as _;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::SystemTime;

use gotatun::x25519::{PublicKey as Point, StaticSecret};
use slapbox_overlay::keys::{PrivateKey, PublicKey};
use slapbox_overlay::links::{
    Desired, Peer, Plane, Route, Tunnel, WIREGUARD, WireGuard, reconcile, tunnel_name,
};
use slapbox_overlay::userspace;

const PORT: u16 = 6326;

type Error = Box<dyn std::error::Error>;

fn key(number: u8) -> PrivateKey {
    PrivateKey::new([number; 32])
}

fn public_key(number: u8) -> PublicKey {
    let secret = StaticSecret::from(*key(number).reveal());
    PublicKey(Point::from(&secret).to_bytes())
}

fn link_address(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd12, 0, 0, 0xffff, 0, 0, 0, number.into())
}

/// A peer's number, and where it is if it is told.
fn parse(argument: &str) -> Result<(u8, Option<SocketAddr>), Error> {
    Ok(match argument.split_once('@') {
        Some((peer, endpoint)) => (peer.parse()?, Some(endpoint.parse()?)),
        None => (argument.parse()?, None),
    })
}

/// What a node has that knows only itself.
fn alone(own: u8) -> Result<Desired, Error> {
    let link = WIREGUARD.to_owned();
    let network = Route::Through {
        to: "fd12:0:0:ffff::/64".parse()?,
        link: link.clone(),
    };
    Ok(Desired {
        wireguard: WireGuard {
            private_key: key(own),
            port: PORT,
            mtu: 1420,
            peers: [].into(),
        },
        addresses: [(link, format!("{}/64", link_address(own)).parse()?)].into(),
        routes: [network].into(),
        tunnels: [].into(),
    })
}

fn add(
    desired: &mut Desired,
    own: u8,
    peer: u8,
    endpoint: Option<SocketAddr>,
) -> Result<(), Error> {
    let wireguard = Peer {
        allowed: link_address(peer).into(),
        endpoint,
        moves: false,
        keepalive: 25,
    };
    desired.wireguard.peers.insert(public_key(peer), wireguard);
    let link = tunnel_name(peer.into());
    let tunnel = Tunnel {
        local: link_address(own),
        remote: link_address(peer),
        mtu: 1380,
    };
    desired.tunnels.insert(link.clone(), tunnel);
    let address = format!("fd99:{peer:x}::{own:x}/128").parse()?;
    desired.addresses.insert((link.clone(), address));
    let to = format!("fd99:{own:x}::{peer:x}/128").parse()?;
    desired.routes.insert(Route::Through { to, link });
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [own, peers @ ..] = arguments.as_slice() else {
        return Err("usage: plane OWN PEER[@ENDPOINT]…".into());
    };
    let own = own.parse()?;
    let mut desired = alone(own)?;
    for peer in peers {
        let (peer, endpoint) = parse(peer)?;
        add(&mut desired, own, peer, endpoint)?;
    }
    let running = userspace::Plane::start()?;
    let plane = Plane::Userspace(running.clone());
    let outcome = reconcile(&plane, &desired, SystemTime::now()).await?;
    println!("ready: {} changes, {:?}", outcome.changed, outcome.failures);
    std::io::stdin().read_to_end(&mut Vec::new())?;
    println!("{:?}", running.drops().await?);
    Ok(())
}
