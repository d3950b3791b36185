//! WireGuard by generic netlink: reads the interface's state, changes one thing at a time. Decides nothing.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel's attributes are open sets of which few matter here"
)]

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use genetlink::{GenetlinkError, GenetlinkHandle};
use ipnet::Ipv6Net;
use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_generic::GenlMessage;
use netlink_packet_wireguard::{
    WireguardAddressFamily, WireguardAllowedIp, WireguardAllowedIpAttr, WireguardAttribute,
    WireguardCmd, WireguardMessage, WireguardPeer, WireguardPeerAttribute, WireguardPeerFlags,
    WireguardTimeSpec,
};

use super::{Change, ObservedWireGuard, Refusal, WIREGUARD};
use crate::keys::{PrivateKey, PublicKey};

/// Adds what WireGuard knows to what was seen of its interface.
pub(super) async fn observe(found: &mut ObservedWireGuard, now: SystemTime) -> Result<(), Refusal> {
    for message in exchange(WireguardCmd::GetDevice, Vec::new(), NLM_F_DUMP).await? {
        read_device(found, message.attributes, now);
    }
    Ok(())
}

/// Makes one change.
pub(super) async fn change(change: Change) -> Result<(), Refusal> {
    exchange(
        WireguardCmd::SetDevice,
        vec![attribute_for(change)],
        NLM_F_ACK,
    )
    .await
    .map(drop)
}

async fn exchange(
    command: WireguardCmd,
    mut attributes: Vec<WireguardAttribute>,
    flags: u16,
) -> Result<Vec<WireguardMessage>, Refusal> {
    let (connection, handle, _) = genetlink::new_connection().map_err(Refusal::Kernel)?;
    let task = tokio::spawn(connection);
    attributes.insert(0, WireguardAttribute::IfName(WIREGUARD.to_owned()));
    let mut message = NetlinkMessage::from(GenlMessage::from_payload(WireguardMessage {
        cmd: command,
        attributes,
    }));
    message.header.flags = NLM_F_REQUEST | flags;
    let answers = collect(handle, message).await;
    task.abort();
    answers
}

async fn collect(
    mut handle: GenetlinkHandle,
    message: NetlinkMessage<GenlMessage<WireguardMessage>>,
) -> Result<Vec<WireguardMessage>, Refusal> {
    let mut answers = handle.request(message).await.map_err(Refusal::WireGuard)?;
    let mut found = Vec::new();
    while let Some(answer) = answers.next().await {
        let answer = answer.map_err(|err| Refusal::WireGuard(GenetlinkError::DecodeError(err)))?;
        match answer.payload {
            NetlinkPayload::InnerMessage(message) => found.push(message.payload),
            NetlinkPayload::Error(err) if err.code.is_some() => {
                return Err(Refusal::Kernel(err.to_io()));
            }
            _ => {}
        }
    }
    Ok(found)
}

fn attribute_for(change: Change) -> WireguardAttribute {
    let peer = |attributes| WireguardAttribute::Peers(vec![WireguardPeer(attributes)]);
    match change {
        Change::PrivateKey(key) => WireguardAttribute::PrivateKey(*key.reveal()),
        Change::Port(port) => WireguardAttribute::ListenPort(port),
        Change::RemovePeer(key) => peer(vec![
            WireguardPeerAttribute::PublicKey(key.0),
            WireguardPeerAttribute::Flags(WireguardPeerFlags::RemoveMe),
        ]),
        Change::Peer {
            key,
            allowed,
            keepalive,
        } => peer(vec![
            WireguardPeerAttribute::PublicKey(key.0),
            WireguardPeerAttribute::Flags(WireguardPeerFlags::ReplaceAllowedIps),
            WireguardPeerAttribute::PersistentKeepalive(keepalive),
            WireguardPeerAttribute::AllowedIps(vec![WireguardAllowedIp(vec![
                WireguardAllowedIpAttr::Family(WireguardAddressFamily::Ipv6),
                WireguardAllowedIpAttr::IpAddr(IpAddr::V6(allowed.network())),
                WireguardAllowedIpAttr::Cidr(allowed.prefix_len()),
            ])]),
        ]),
        Change::Endpoint { key, endpoint } => peer(vec![
            WireguardPeerAttribute::PublicKey(key.0),
            // The peer may have been removed in between; this must not bring it back without its address.
            WireguardPeerAttribute::Flags(WireguardPeerFlags::UpdateOnly),
            WireguardPeerAttribute::Endpoint(endpoint),
        ]),
    }
}

fn read_device(
    found: &mut ObservedWireGuard,
    attributes: Vec<WireguardAttribute>,
    now: SystemTime,
) {
    for attribute in attributes {
        match attribute {
            WireguardAttribute::PrivateKey(key) => found.private_key = Some(PrivateKey::new(key)),
            WireguardAttribute::ListenPort(port) => found.port = port,
            WireguardAttribute::Peers(peers) => peers
                .into_iter()
                .for_each(|peer| read_peer(found, peer, now)),
            _ => {}
        }
    }
}

/// Takes a peer in; one with many addresses comes in several messages.
fn read_peer(found: &mut ObservedWireGuard, peer: WireguardPeer, now: SystemTime) {
    let key = peer.0.iter().find_map(|attribute| match attribute {
        WireguardPeerAttribute::PublicKey(key) => Some(PublicKey(*key)),
        _ => None,
    });
    let Some(key) = key else {
        return;
    };
    let observed = found.peers.entry(key).or_default();
    for attribute in peer.0 {
        match attribute {
            WireguardPeerAttribute::Endpoint(endpoint) => observed.endpoint = Some(endpoint),
            WireguardPeerAttribute::PersistentKeepalive(seconds) => observed.keepalive = seconds,
            WireguardPeerAttribute::LastHandshake(time) => {
                observed.handshake_age = age_of(time, now)
            }
            WireguardPeerAttribute::RxBytes(bytes) => observed.traffic.0 = bytes,
            WireguardPeerAttribute::TxBytes(bytes) => observed.traffic.1 = bytes,
            WireguardPeerAttribute::AllowedIps(allowed) => {
                observed
                    .allowed
                    .extend(allowed.iter().filter_map(|allowed| network_of(allowed)));
            }
            _ => {}
        }
    }
}

/// Returns how old a handshake is; zero means never. A clock that went back makes it fresh.
fn age_of(handshake: WireguardTimeSpec, now: SystemTime) -> Option<Duration> {
    let seconds = u64::try_from(handshake.seconds)
        .ok()
        .filter(|seconds| *seconds > 0)?;
    let then = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    Some(now.duration_since(then).unwrap_or_default())
}

fn network_of(allowed: &[WireguardAllowedIpAttr]) -> Option<Ipv6Net> {
    let (mut address, mut length) = (None, None);
    for attribute in allowed {
        match attribute {
            WireguardAllowedIpAttr::IpAddr(IpAddr::V6(ip)) => address = Some(*ip),
            WireguardAllowedIpAttr::Cidr(cidr) => length = Some(*cidr),
            _ => {}
        }
    }
    Ipv6Net::new(address?, length?).ok()
}

#[cfg(test)]
mod tests;
