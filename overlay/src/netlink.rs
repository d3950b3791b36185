//! One netlink socket: dumps, and many requests sent at once with their answers in order.
//!
//! It decides nothing. "Already there" and "already gone" are answers, not errors.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel's messages and attributes are open sets of which few matter here"
)]

mod messages;

use std::io;

use futures_util::{StreamExt as _, stream};
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use rtnetlink::packet_route::route::{RouteMessage, RouteProtocol};

pub(crate) use messages::{
    Host, Owner, Via, add_address, add_pair, add_route, add_tunnel, add_way, add_wireguard,
    address_of, fit, is_up, keep_bare, kind_of, mtu_of, name_of, raise, remove_address,
    remove_link, remove_route, remove_way, route_of, set_mtu, tap_owner, tunnel_ends, way_of,
};

/// How many requests may wait for their answer: more would overflow the socket's receive buffer.
const WINDOW: usize = 64;

/// What can go wrong on the socket itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No socket, or no runtime for it.
    #[error("failed to open a netlink socket")]
    Open(#[source] io::Error),
    /// The kernel refused or broke off a dump.
    #[error("failed to ask the kernel for its {what}")]
    Dump {
        /// Links, addresses or routes.
        what: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The kernel did it.
    Done,
    /// It was so before.
    AlreadySo,
}

/// A socket and the task that serves it, which ends with it.
#[derive(Debug)]
pub(crate) struct Netlink {
    handle: rtnetlink::Handle,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Netlink {
    /// Opens a socket in the network namespace of the calling thread.
    pub(crate) fn open() -> Result<Self, Error> {
        let (connection, handle, _) =
            rtnetlink::new_connection_with_strict_check().map_err(Error::Open)?;
        let task = tokio::spawn(connection);
        Ok(Self { handle, task })
    }

    /// Returns every interface, without its counters.
    pub(crate) async fn links(&self) -> Result<Vec<LinkMessage>, Error> {
        let mut query = LinkMessage::default();
        let mask = LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]);
        query.attributes.push(mask);
        self.dump(
            "links",
            RouteNetlinkMessage::GetLink(query),
            |message| match message {
                RouteNetlinkMessage::NewLink(link) => Some(link),
                _ => None,
            },
        )
        .await
    }

    /// Returns every address of every interface.
    pub(crate) async fn addresses(&self) -> Result<Vec<AddressMessage>, Error> {
        let query = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        self.dump("addresses", query, |message| match message {
            RouteNetlinkMessage::NewAddress(address) => Some(address),
            _ => None,
        })
        .await
    }

    /// Returns the IPv6 routes of every table that `protocol` put there.
    pub(crate) async fn routes(&self, protocol: RouteProtocol) -> Result<Vec<RouteMessage>, Error> {
        self.routes_like(messages::routes_by(protocol)).await
    }

    /// Returns the IPv4 routes of every table that `protocol` put there.
    pub(crate) async fn ways(&self, protocol: RouteProtocol) -> Result<Vec<RouteMessage>, Error> {
        self.routes_like(messages::ways_by(protocol)).await
    }

    async fn routes_like(&self, query: RouteMessage) -> Result<Vec<RouteMessage>, Error> {
        let query = RouteNetlinkMessage::GetRoute(query);
        self.dump("routes", query, |message| match message {
            RouteNetlinkMessage::NewRoute(route) => Some(route),
            _ => None,
        })
        .await
    }

    async fn dump<T>(
        &self,
        what: &'static str,
        query: RouteNetlinkMessage,
        pick: fn(RouteNetlinkMessage) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let failed = |source| Error::Dump { what, source };
        let mut request = NetlinkMessage::from(query);
        request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let mut answers = self
            .handle
            .clone()
            .request(request)
            .map_err(|err| failed(io::Error::other(err)))?;
        let mut found = Vec::new();
        while let Some(answer) = answers.next().await {
            match answer.payload {
                NetlinkPayload::InnerMessage(message) => found.extend(pick(message)),
                NetlinkPayload::Error(err) if err.code.is_some() => {
                    return Err(failed(err.to_io()));
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Sends requests in their order, many at a time, and returns their answers in that order.
    pub(crate) async fn request_all(
        &self,
        requests: Vec<RouteNetlinkMessage>,
    ) -> Vec<io::Result<Answer>> {
        stream::iter(requests)
            .map(|request| self.request(request))
            .buffered(WINDOW)
            .collect()
            .await
    }

    /// Sends one request and waits for its answer.
    pub(crate) async fn request(&self, request: RouteNetlinkMessage) -> io::Result<Answer> {
        let (harmless, create) = nature(&request);
        let mut message = NetlinkMessage::from(request);
        message.header.flags = NLM_F_REQUEST | NLM_F_ACK | create;
        let mut answers = self
            .handle
            .clone()
            .request(message)
            .map_err(io::Error::other)?;
        while let Some(answer) = answers.next().await {
            if let NetlinkPayload::Error(err) = answer.payload {
                let code = -err.raw_code();
                return match code {
                    code if harmless.contains(&code) => Ok(Answer::AlreadySo),
                    _ => Err(err.to_io()),
                };
            }
        }
        // The library keeps plain acknowledgements to itself and ends the stream.
        Ok(Answer::Done)
    }
}

/// The errors that mean the request's goal is reached already, and the flags that its kind needs.
///
/// "Create" flags on a removal would ask for a bulk removal, which shares their bit.
fn nature(request: &RouteNetlinkMessage) -> (&'static [i32], u16) {
    let create = NLM_F_CREATE | NLM_F_EXCL;
    match request {
        RouteNetlinkMessage::NewAddress(_)
        | RouteNetlinkMessage::NewRoute(_)
        | RouteNetlinkMessage::NewLink(_) => (&[libc::EEXIST], create),
        RouteNetlinkMessage::DelAddress(_) => (&[libc::EADDRNOTAVAIL, libc::ENODEV], 0),
        RouteNetlinkMessage::DelRoute(_) => (&[libc::ESRCH, libc::ENODEV], 0),
        RouteNetlinkMessage::DelLink(_) => (&[libc::ENODEV], 0),
        _ => (&[], 0),
    }
}
