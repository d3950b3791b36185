//! Carries out the steps of a plan: taps by their device, everything else in bulk over netlink. Decides nothing.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::IpAddr;

use ipnet::Ipv6Net;
use rtnetlink::packet_route::RouteNetlinkMessage;

use super::observe::{LOOPBACK, settings};
use super::{Action, Outcome, Uplink};
use crate::netlink::{self, Answer, Host, Netlink, Owner, Via};
use crate::tap;

/// A step that the kernel refused.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action}")]
pub struct Failure {
    /// The step.
    pub action: Action,
    /// The kernel's answer.
    #[source]
    pub source: io::Error,
}

/// Carries out all steps; one that fails stops no other.
pub(super) async fn apply(
    netlink: &Netlink,
    indexes: &mut BTreeMap<String, u32>,
    actions: Vec<Action>,
) -> Outcome {
    let mut outcome = Outcome::default();
    let is_setting = |action: &Action| matches!(action, Action::Forward(_));
    let (settings, actions): (Vec<_>, Vec<_>) = actions.into_iter().partition(is_setting);
    let is_tap = |action: &Action| matches!(action, Action::MakeTap { .. });
    let first = actions.iter().position(is_tap).unwrap_or(actions.len());
    let (removals, rest) = actions.split_at(first);
    let (taps, others): (Vec<_>, Vec<_>) = rest.iter().cloned().partition(is_tap);
    request_all(netlink, indexes, removals.to_vec(), &mut outcome).await;
    make_taps(taps, indexes, &mut outcome).await;
    request_all(netlink, indexes, others, &mut outcome).await;
    for action in settings {
        match set(&action) {
            Ok(()) => outcome.changed += 1,
            Err(source) => outcome.failures.push(Failure { action, source }),
        }
    }
    outcome
}

/// There is no request for these settings; a file of the kernel's is not a file that can be left half-written.
fn set(action: &Action) -> io::Result<()> {
    let Action::Forward(interface) = action else {
        return Ok(());
    };
    for path in settings(interface) {
        OpenOptions::new().write(true).open(path)?.write_all(b"1")?;
    }
    Ok(())
}

async fn make_taps(
    actions: Vec<Action>,
    indexes: &mut BTreeMap<String, u32>,
    outcome: &mut Outcome,
) {
    if actions.is_empty() {
        return;
    }
    let made = tokio::task::spawn_blocking(|| {
        let make = |action: Action| {
            let Action::MakeTap { name, owner } = &action else {
                return None;
            };
            Some((name.clone(), tap::make(name, *owner), action))
        };
        actions.into_iter().filter_map(make).collect::<Vec<_>>()
    });
    for (name, made, action) in made.await.unwrap_or_default() {
        match made {
            Ok(index) => {
                indexes.insert(name, index);
                outcome.changed += 1;
            }
            Err(source) => outcome.failures.push(Failure { action, source }),
        }
    }
}

async fn request_all(
    netlink: &Netlink,
    indexes: &BTreeMap<String, u32>,
    actions: Vec<Action>,
    outcome: &mut Outcome,
) {
    let mut sent = Vec::with_capacity(actions.len());
    let mut requests = Vec::with_capacity(actions.len());
    for action in actions {
        match request_for(&action, indexes) {
            Some(request) => {
                sent.push(action);
                requests.push(request);
            }
            None => outcome.failures.push(Failure {
                action,
                source: io::Error::from_raw_os_error(libc::ENODEV),
            }),
        }
    }
    let answers = netlink.request_all(requests).await;
    for (action, answer) in sent.into_iter().zip(answers) {
        match answer {
            Ok(Answer::Done) => outcome.changed += 1,
            Ok(Answer::AlreadySo) => {}
            Err(source) => outcome.failures.push(Failure { action, source }),
        }
    }
}

/// Returns the message for a step, unless its interface is missing.
fn request_for(action: &Action, indexes: &BTreeMap<String, u32>) -> Option<RouteNetlinkMessage> {
    let owner = Owner::Partitions;
    let index = |name: &str| indexes.get(name).copied();
    let on_loopback = |address: IpAddr| {
        let length = if address.is_ipv4() { 32 } else { 128 };
        Some(Host {
            link: index(LOOPBACK)?,
            address,
            length,
        })
    };
    let on_uplink = |uplink: &Uplink| {
        Some(Host {
            link: index(&uplink.interface)?,
            address: uplink.address.addr().into(),
            length: uplink.address.prefix_len(),
        })
    };
    let on_tap = |tap: &str, address: &Ipv6Net| {
        Some(Host {
            link: index(tap)?,
            address: address.addr().into(),
            length: address.prefix_len(),
        })
    };
    Some(match action {
        Action::RemoveTap(name) => netlink::remove_link(index(name)?),
        Action::RemoveAddress(address) => netlink::remove_address(on_loopback(*address)?),
        Action::RemoveRange(range) => {
            netlink::remove_route(*range, Via::Local(index(LOOPBACK)?), owner)
        }
        Action::MakeTap { .. } | Action::Forward(_) => return None,
        Action::RemoveTapWay { tap, to } => netlink::remove_way(*to, index(tap)?, owner),
        Action::AddTapWay { tap, to } => netlink::add_way(*to, index(tap)?, owner),
        Action::RemoveUplink(uplink) => netlink::remove_address(on_uplink(uplink)?),
        Action::AddUplink(uplink) => netlink::add_address(on_uplink(uplink)?, owner),
        Action::AddAddress(address) => netlink::add_address(on_loopback(*address)?, owner),
        Action::AddRange(range) => netlink::add_route(*range, Via::Local(index(LOOPBACK)?), owner),
        Action::RaiseTap(name) => netlink::raise(index(name)?),
        Action::RemoveTapAddress { tap, address } => netlink::remove_address(on_tap(tap, address)?),
        Action::AddTapAddress { tap, address } => {
            netlink::add_address(on_tap(tap, address)?, owner)
        }
        Action::RemoveTapLink { tap, to } => {
            netlink::remove_route(*to, Via::Link(index(tap)?), owner)
        }
        Action::AddTapLink { tap, to } => netlink::add_route(*to, Via::Link(index(tap)?), owner),
        Action::RemoveTapRoute { tap, to, via } => {
            netlink::remove_route(*to, Via::Gateway(index(tap)?, *via), owner)
        }
        Action::AddTapRoute { tap, to, via } => {
            netlink::add_route(*to, Via::Gateway(index(tap)?, *via), owner)
        }
    })
}
