//! The thread of the data plane, and its tasks: one for the socket, one an interface, one for time, and orders.
//!
//! All of them share one `Switch` on one thread, and none of them holds it while it waits.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, IoSliceMut};
use std::rc::Rc;
use std::time::Duration;

use quinn_udp::RecvMeta;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_local, yield_now};

use super::device::{Device, Read};
use super::ecn::Ecn;
use super::outlet::{LARGEST, Outlet, way_back};
use super::switch::{Origin, Switch};
use super::{Change, Order, Seen};
use crate::links::Change as WireGuardChange;
use crate::links::WIREGUARD;

/// How often handshakes and signs of life are looked at.
const TICK: Duration = Duration::from_millis(250);
/// How many buffers one call may fill.
const RECEIVED: usize = 4;
/// After how many packets others have their turn.
const TURN: usize = 128;

type Shared = Rc<RefCell<Switch>>;

/// Carries out orders until nobody can give any.
pub(super) async fn serve(mut orders: mpsc::Receiver<Order>) {
    let mut host = Host {
        switch: Rc::new(RefCell::new(Switch::new())),
        interfaces: BTreeMap::new(),
        socket: None,
    };
    let clock = spawn_local(keep_time(Rc::clone(&host.switch)));
    while let Some(order) = orders.recv().await {
        match order {
            Order::Change(change, done) => {
                // Who asked may have gone.
                let _ = done.send(host.change(*change).await);
            }
            Order::Look(answer) => {
                let _ = answer.send(host.look());
            }
        }
    }
    clock.abort();
}

/// What the orders are about.
struct Host {
    switch: Shared,
    interfaces: BTreeMap<String, JoinHandle<()>>,
    socket: Option<JoinHandle<()>>,
}

impl Host {
    fn look(&self) -> Seen {
        let switch = self.switch.borrow();
        let is_there = |name: &str| {
            self.interfaces
                .get(name)
                .is_some_and(|task| !task.is_finished())
        };
        let mut tunnels = switch.seen_tunnels();
        tunnels.retain(|name, _| is_there(name));
        Seen {
            links: switch.seen_links().filter(|_| is_there(WIREGUARD)),
            tunnels,
            drops: switch.drops(),
        }
    }

    async fn change(&mut self, change: Change) -> io::Result<()> {
        match change {
            Change::AddLinks { mtu } => self.add_links(mtu).await,
            Change::AddTunnel { name, tunnel } => {
                self.remove(&name).await;
                let device = Rc::new(Device::make(&name, tunnel.mtu)?);
                let origin = self.switch.borrow_mut().add_tunnel(
                    &name,
                    Rc::clone(&device),
                    tunnel.local,
                    tunnel.remote,
                );
                self.watch(name, device, origin);
                Ok(())
            }
            Change::RemoveLink(name) => {
                self.remove(&name).await;
                Ok(())
            }
            Change::SetMtu { link, mtu } => self.switch.borrow_mut().set_mtu(&link, mtu),
            Change::WireGuard(change) => self.change_wireguard(change).await,
        }
    }

    async fn change_wireguard(&mut self, change: WireGuardChange) -> io::Result<()> {
        match change {
            WireGuardChange::PrivateKey(key) => self.switch.borrow_mut().set_key(key),
            WireGuardChange::Port(port) => return self.listen(port).await,
            WireGuardChange::RemovePeer(key) => self.switch.borrow_mut().remove_peer(&key),
            WireGuardChange::Peer {
                key,
                allowed,
                keepalive,
            } => {
                return self.switch.borrow_mut().set_peer(key, allowed, keepalive);
            }
            WireGuardChange::Endpoint { key, endpoint } => {
                self.switch.borrow_mut().set_endpoint(&key, endpoint);
            }
        }
        Ok(())
    }

    async fn add_links(&mut self, mtu: u32) -> io::Result<()> {
        self.remove(WIREGUARD).await;
        end(self.socket.take()).await;
        let device = Rc::new(Device::make(WIREGUARD, mtu)?);
        self.switch.borrow_mut().set_links(Rc::clone(&device), mtu);
        self.watch(WIREGUARD.to_owned(), device, Origin::Links);
        Ok(())
    }

    /// Ends an interface's task, and with it the interface.
    async fn remove(&mut self, name: &str) {
        if name == WIREGUARD {
            self.switch.borrow_mut().remove_links();
        } else {
            self.switch.borrow_mut().remove(name);
        }
        end(self.interfaces.remove(name)).await;
    }

    async fn listen(&mut self, port: u16) -> io::Result<()> {
        let outlet = Outlet::open(port)?;
        end(self.socket.take()).await;
        let socket = outlet.socket();
        self.switch.borrow_mut().set_outlet(outlet);
        let switch = Rc::clone(&self.switch);
        self.socket = Some(spawn_local(async move {
            let mut buffers = Buffers::new();
            while socket.readable().await.is_ok() {
                buffers.receive(&switch);
                yield_now().await;
            }
        }));
        Ok(())
    }

    fn watch(&mut self, name: String, device: Rc<Device>, origin: Origin) {
        let switch = Rc::clone(&self.switch);
        self.interfaces
            .insert(name, spawn_local(watch(switch, device, origin)));
    }
}

async fn end(task: Option<JoinHandle<()>>) {
    if let Some(task) = task {
        task.abort();
        // That it was ended is its answer.
        let _ = task.await;
    }
}

async fn keep_time(switch: Shared) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        switch.borrow_mut().tick();
    }
}

/// Reads an interface until it is gone.
async fn watch(switch: Shared, device: Rc<Device>, origin: Origin) {
    loop {
        unstick(&switch).await;
        if device.ready().await.is_err() || is_gone(&switch, &device, origin) {
            return;
        }
        yield_now().await;
    }
}

/// Reads some of what is there, and says whether the interface is gone.
fn is_gone(switch: &Shared, device: &Device, origin: Origin) -> bool {
    let mut switch = switch.borrow_mut();
    let mut turn = 0;
    let is_gone = loop {
        match switch.read(device, origin) {
            Read::Packets(count) => turn += count.max(1),
            Read::Refused(_) => turn += 1,
            Read::Nothing => break false,
            Read::Gone => break true,
        }
        let is_stuck = switch.outlet().is_some_and(|outlet| outlet.is_stuck());
        if turn >= TURN || is_stuck {
            break false;
        }
    };
    switch.settle();
    is_gone
}

/// Waits while the socket takes nothing, so that senders are slowed down and nothing is lost.
async fn unstick(switch: &Shared) {
    loop {
        let socket = match switch.borrow_mut().outlet() {
            Some(outlet) if outlet.is_stuck() => outlet.socket(),
            _ => return,
        };
        if socket.writable().await.is_err() {
            return;
        }
        if let Some(outlet) = switch.borrow_mut().outlet() {
            // What cannot be sent now is lost like any datagram.
            let _ = outlet.flush();
        }
    }
}

/// What datagrams are received into.
struct Buffers {
    bytes: [Vec<u8>; RECEIVED],
    metas: [RecvMeta; RECEIVED],
}

impl Buffers {
    fn new() -> Self {
        Self {
            bytes: std::array::from_fn(|_| vec![0; LARGEST]),
            metas: [RecvMeta::default(); RECEIVED],
        }
    }

    /// Receives some of what is there.
    fn receive(&mut self, switch: &Shared) {
        let mut switch = switch.borrow_mut();
        let mut turn = 0;
        while turn < TURN
            && let Some(outlet) = switch.outlet()
        {
            let mut slices = self.bytes.each_mut().map(|bytes| IoSliceMut::new(bytes));
            let Ok(count) = outlet.receive(&mut slices, &mut self.metas) else {
                break;
            };
            for (bytes, meta) in self.bytes.iter().zip(&self.metas).take(count) {
                let ecn = meta
                    .ecn
                    .map_or(Ecn::NotCapable, |ecn| Ecn::from_bits(ecn as u8));
                turn += switch.receive(&bytes[..meta.len], meta.stride, way_back(meta), ecn);
            }
        }
        switch.settle();
    }
}
