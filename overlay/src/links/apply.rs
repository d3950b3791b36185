//! Carries out the steps of a plan, in order. Decides nothing.

use std::collections::BTreeMap;
use std::io;

use nix::net::if_::if_nametoindex;
use rtnetlink::packet_route::RouteNetlinkMessage;

use super::wireguard;
use super::{Action, Change, Outcome, Plane, Route, WIREGUARD};
use crate::netlink::{self, Answer, Host, Netlink, Owner, Via};
use crate::userspace;

/// Why the kernel did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Its answer was an error.
    #[error("the kernel refused")]
    Kernel(#[source] io::Error),
    /// It does not have the interface.
    #[error("interface {0} is missing")]
    NoLink(String),
    /// It has no WireGuard, or does not say so in a way that we understand.
    #[error("WireGuard does not answer")]
    WireGuard(#[source] genetlink::GenetlinkError),
    /// Our own data plane's answer was an error.
    #[error("the userspace data plane refused")]
    Plane(#[source] io::Error),
}

/// A step that was not done.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action}")]
pub struct Failure {
    /// The step.
    pub action: Action,
    /// Why.
    #[source]
    pub source: Refusal,
}

/// Carries out all steps; one that fails stops no other.
pub(super) async fn apply(
    netlink: &Netlink,
    plane: &Plane,
    indexes: &mut BTreeMap<String, u32>,
    actions: Vec<Action>,
    outcome: &mut Outcome,
) {
    for action in actions {
        match step(netlink, plane, indexes, &action).await {
            Ok(Answer::Done) => outcome.changed += 1,
            Ok(Answer::AlreadySo) => {}
            Err(source) => outcome.failures.push(Failure { action, source }),
        }
    }
}

async fn step(
    netlink: &Netlink,
    plane: &Plane,
    indexes: &mut BTreeMap<String, u32>,
    action: &Action,
) -> Result<Answer, Refusal> {
    match plane {
        Plane::Kernel => {
            if let Some(change) = change_for(action) {
                return wireguard::change(change).await.map(|()| Answer::Done);
            }
        }
        Plane::Userspace(plane) => {
            if let Some(change) = userspace_change_for(action) {
                plane.change(change).await.map_err(Refusal::Plane)?;
                return finish(netlink, indexes, action).await;
            }
        }
    }
    let answer = request(netlink, request_for(action, indexes)?).await?;
    if let Some(made) = made_by(action) {
        indexes.insert(made.to_owned(), index_of(made)?);
    }
    Ok(answer)
}

/// Has the kernel do its part of what the userspace plane did.
async fn finish(
    netlink: &Netlink,
    indexes: &mut BTreeMap<String, u32>,
    action: &Action,
) -> Result<Answer, Refusal> {
    if let Some(made) = made_by(action) {
        let index = index_of(made)?;
        indexes.insert(made.to_owned(), index);
        return request(netlink, netlink::fit(index, userspace::JOINED.into())).await;
    }
    if let Action::RemoveLink(_) = action {
        // It may have been somebody else's.
        return request(netlink, request_for(action, indexes)?).await;
    }
    Ok(Answer::Done)
}

async fn request(netlink: &Netlink, request: RouteNetlinkMessage) -> Result<Answer, Refusal> {
    netlink.request(request).await.map_err(Refusal::Kernel)
}

fn index_of(name: &str) -> Result<u32, Refusal> {
    if_nametoindex(name).map_err(|err| Refusal::Kernel(err.into()))
}

fn made_by(action: &Action) -> Option<&str> {
    match action {
        Action::AddWireGuard { .. } => Some(WIREGUARD),
        Action::AddTunnel { name, .. } => Some(name),
        Action::RemoveLink(_)
        | Action::RemoveRoute(_)
        | Action::RemoveAddress { .. }
        | Action::SetPrivateKey(_)
        | Action::SetPort(_)
        | Action::RemovePeer(_)
        | Action::SetPeer { .. }
        | Action::SetEndpoint { .. }
        | Action::KeepBare(_)
        | Action::SetMtu { .. }
        | Action::RaiseLink(_)
        | Action::AddAddress { .. }
        | Action::AddRoute(_) => None,
    }
}

/// Returns the change of the WireGuard interface that a step is, if it is one.
fn change_for(action: &Action) -> Option<Change> {
    match action {
        Action::SetPrivateKey(key) => Some(Change::PrivateKey(key.clone())),
        Action::SetPort(port) => Some(Change::Port(*port)),
        Action::RemovePeer(key) => Some(Change::RemovePeer(*key)),
        Action::SetPeer {
            key,
            allowed,
            keepalive,
        } => Some(Change::Peer {
            key: *key,
            allowed: *allowed,
            keepalive: *keepalive,
        }),
        Action::SetEndpoint { key, endpoint } => Some(Change::Endpoint {
            key: *key,
            endpoint: *endpoint,
        }),
        Action::RemoveLink(_)
        | Action::RemoveRoute(_)
        | Action::RemoveAddress { .. }
        | Action::AddWireGuard { .. }
        | Action::AddTunnel { .. }
        | Action::KeepBare(_)
        | Action::SetMtu { .. }
        | Action::RaiseLink(_)
        | Action::AddAddress { .. }
        | Action::AddRoute(_) => None,
    }
}

/// Returns the change of the userspace plane that a step is, if it is one.
fn userspace_change_for(action: &Action) -> Option<userspace::Change> {
    match action {
        Action::RemoveLink(name) => Some(userspace::Change::RemoveLink(name.clone())),
        Action::AddWireGuard { mtu } => Some(userspace::Change::AddLinks { mtu: *mtu }),
        Action::AddTunnel { name, tunnel } => Some(userspace::Change::AddTunnel {
            name: name.clone(),
            tunnel: tunnel.clone(),
        }),
        Action::SetMtu { link, mtu } => Some(userspace::Change::SetMtu {
            link: link.clone(),
            mtu: *mtu,
        }),
        Action::SetPrivateKey(_)
        | Action::SetPort(_)
        | Action::RemovePeer(_)
        | Action::SetPeer { .. }
        | Action::SetEndpoint { .. } => change_for(action).map(userspace::Change::WireGuard),
        Action::RemoveRoute(_)
        | Action::RemoveAddress { .. }
        | Action::KeepBare(_)
        | Action::RaiseLink(_)
        | Action::AddAddress { .. }
        | Action::AddRoute(_) => None,
    }
}

/// Returns the message for a step that is not WireGuard's own.
fn request_for(
    action: &Action,
    indexes: &BTreeMap<String, u32>,
) -> Result<RouteNetlinkMessage, Refusal> {
    let owner = Owner::Links;
    let index = |name: &str| {
        indexes
            .get(name)
            .copied()
            .ok_or_else(|| Refusal::NoLink(name.to_owned()))
    };
    let via = |route: &Route| match route {
        Route::Through { to, link } => Ok((*to, Via::Link(index(link)?))),
        Route::Unreachable(to) => Ok((*to, Via::Unreachable)),
    };
    Ok(match action {
        Action::RemoveLink(name) => netlink::remove_link(index(name)?),
        Action::RemoveRoute(route) => {
            via(route).map(|(to, via)| netlink::remove_route(to, via, owner))?
        }
        Action::AddRoute(route) => {
            via(route).map(|(to, via)| netlink::add_route(to, via, owner))?
        }
        Action::RemoveAddress { link, address } => {
            let host = Host {
                link: index(link)?,
                address: address.addr().into(),
                length: address.prefix_len(),
            };
            netlink::remove_address(host)
        }
        Action::AddAddress { link, address } => {
            let host = Host {
                link: index(link)?,
                address: address.addr().into(),
                length: address.prefix_len(),
            };
            netlink::add_address(host, owner)
        }
        Action::AddWireGuard { mtu } => netlink::add_wireguard(WIREGUARD, *mtu),
        Action::AddTunnel { name, tunnel } => netlink::add_tunnel(
            name,
            tunnel.local,
            tunnel.remote,
            index(WIREGUARD)?,
            tunnel.mtu,
        ),
        Action::SetMtu { link, mtu } => netlink::set_mtu(index(link)?, *mtu),
        Action::KeepBare(name) => netlink::keep_bare(index(name)?),
        Action::RaiseLink(name) => netlink::raise(index(name)?),
        Action::SetPrivateKey(_)
        | Action::SetPort(_)
        | Action::RemovePeer(_)
        | Action::SetPeer { .. }
        | Action::SetEndpoint { .. } => {
            return Err(Refusal::NoLink(WIREGUARD.to_owned()));
        }
    })
}
