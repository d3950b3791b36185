//! A node of two on the userspace data plane, for a look at its speed: `plane OWN PEER [ENDPOINT]`, in a network
//! namespace, until its standard input ends. Each node is known by its number, and so are its key and addresses.

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

fn desired(own: u8, peer: u8, endpoint: Option<SocketAddr>) -> Result<Desired, Error> {
    let wireguard = Peer {
        allowed: link_address(peer).into(),
        endpoint,
        keepalive: 25,
    };
    let tunnel = Tunnel {
        local: link_address(own),
        remote: link_address(peer),
        mtu: 1380,
    };
    let name = tunnel_name(peer.into());
    Ok(Desired {
        wireguard: WireGuard {
            private_key: key(own),
            port: PORT,
            mtu: 1420,
            peers: [(public_key(peer), wireguard)].into(),
        },
        addresses: [
            (
                WIREGUARD.to_owned(),
                format!("{}/64", link_address(own)).parse()?,
            ),
            (name.clone(), format!("fd99::{own:x}/64").parse()?),
        ]
        .into(),
        routes: [
            Route::Through {
                to: "fd12:0:0:ffff::/64".parse()?,
                link: WIREGUARD.to_owned(),
            },
            Route::Through {
                to: "fd99::/64".parse()?,
                link: name.clone(),
            },
        ]
        .into(),
        tunnels: [(name, tunnel)].into(),
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [own, peer, endpoint @ ..] = arguments.as_slice() else {
        return Err("usage: plane OWN PEER [ENDPOINT]".into());
    };
    let endpoint = endpoint.first().map(|text| text.parse()).transpose()?;
    let desired = desired(own.parse()?, peer.parse()?, endpoint)?;
    let running = userspace::Plane::start()?;
    let plane = Plane::Userspace(running.clone());
    let outcome = reconcile(&plane, &desired, SystemTime::now()).await?;
    println!("ready: {} changes, {:?}", outcome.changed, outcome.failures);
    std::io::stdin().read_to_end(&mut Vec::new())?;
    println!("{:?}", running.drops().await?);
    Ok(())
}
