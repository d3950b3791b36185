//! Why there is no tunnel, or nothing passes through it, in words. Pure.

use std::time::Duration;

use slapbox_overlay::links::{Observed, ObservedPeer};

use super::{Carrier, NoLink, found};
use crate::mesh::{Member, Why};
use crate::node::document::Document;
use crate::node::neighbours::{Nearby, Tunnel};
use crate::wire::Peer;

/// Says why nothing passes through a tunnel; nothing if something does.
pub(super) fn down(tunnel: &Tunnel, found: Option<&ObservedPeer>) -> Option<String> {
    let hears = "it has agreed to the tunnel, and nothing has come through it yet";
    (!tunnel.is_up).then(|| match silence(found) {
        None => hears.to_owned(),
        Some(silence) => format!("{hears}: {silence}"),
    })
}

/// Returns who is asked for a tunnel, for how long they have been, and why they have not answered.
pub(super) fn asked(document: &Document, near: &Nearby, observed: &Observed) -> Vec<NoLink> {
    let reason = |peer: &Peer| {
        let silence = silence(found(peer, observed));
        silence.unwrap_or_else(|| "it is there, and has not answered yet".to_owned())
    };
    let time = |member: &Member| near.asked.get(member).copied();
    no_links(document, time, reason)
}

/// Returns who is not asked for a tunnel, for how long they will not be, and why.
pub(super) fn resting(document: &Document, near: &Nearby, observed: &Observed) -> Vec<NoLink> {
    let resting = |member: &Member| near.resting.get(member).copied();
    let reason = |peer: &Peer| match resting(&Member(peer.number())).map(|(_, why)| why) {
        Some(Why::Full) => "it has no room for another tunnel".to_owned(),
        Some(Why::Lost) => "there was a tunnel, and nothing came through it any more".to_owned(),
        Some(Why::Closed) => "there was a tunnel, and it has closed it".to_owned(),
        Some(Why::Replaced) => "there was a tunnel, which made room for another".to_owned(),
        Some(Why::Distrusted) => "it has announced what is another's".to_owned(),
        Some(Why::Silent) | None => {
            let silence = silence(found(peer, observed));
            silence.unwrap_or_else(|| "it has not answered the question for a tunnel".to_owned())
        }
    };
    let time = |member: &Member| resting(member).map(|(time, _)| time);
    no_links(document, time, reason)
}

/// Returns those for whom there is a time.
fn no_links(
    document: &Document,
    time: impl Fn(&Member) -> Option<Duration>,
    reason: impl Fn(&Peer) -> String,
) -> Vec<NoLink> {
    let peers = document.joined.view.peers.iter();
    let no_link = |peer: &Peer| {
        Some(NoLink {
            peer: peer.reference.clone(),
            seconds: time(&Member(peer.number()))?.as_secs(),
            reason: reason(peer),
        })
    };
    peers.filter_map(no_link).collect()
}

/// Says why nothing of somebody is heard, as far as WireGuard knows; nothing if something is.
fn silence(found: Option<&ObservedPeer>) -> Option<String> {
    if found.is_some_and(ObservedPeer::is_alive) {
        return None;
    }
    Some(match found.and_then(|found| found.endpoint) {
        Some(endpoint) => match Carrier::of(endpoint) {
            Carrier::Udp => format!("nothing of it comes from {endpoint} (UDP)"),
            Carrier::Tls => "nothing of it comes by way of the registry (TLS)".to_owned(),
        },
        None => "its address is not known".to_owned(),
    })
}
