//! What nodes say to each other: small datagrams between link addresses, inside WireGuard, which proves who has sent them. Pure.
//!
//! A datagram is a version, a kind, and what the kind needs, in network byte order. What follows is ignored, so that later versions may say
//! more.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::mesh::Answer;

/// UDP port of these datagrams, on link addresses, and on the node's own for those who are not heard there yet.
pub(super) const PORT: u16 = 6327;
/// The longest that is read.
pub(super) const LONGEST: usize = 64;

const VERSION: u8 = 1;

/// One datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// There shall be a tunnel between us.
    Ask {
        /// Its sender reaches nobody else.
        in_need: bool,
    },
    /// The answer to that.
    Answer(Answer),
    /// There is no tunnel between us, or not any more.
    Close,
    /// There is one, and this came through it.
    Beat(Beat),
    /// Here the other end is seen at this address: it may be behind a NAT, and wants to know.
    Seen(SocketAddr),
    /// Nothing but a reason to shake hands: both ends must send first, where both are behind a NAT.
    Greet,
    /// Said through the overlay instead, where that leads: this member calls, and cannot be heard yet. Nobody proves it.
    Call(u32),
}

/// The sign of life of a tunnel's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Beat {
    /// When it was sent, in microseconds of the sender's clock.
    pub(super) stamp: u32,
    /// The last stamp that came from the other end, and for how many microseconds it was kept: so the other end learns that it is heard,
    /// and how long there and back takes.
    pub(super) echo: Option<(u32, u32)>,
    /// Its end wants the tunnel to be closed.
    pub(super) drains: bool,
    /// Its end sends nothing by the tunnel.
    pub(super) unused: bool,
    /// It shall be answered at once.
    pub(super) urgent: bool,
    /// How many its end has sent with it: so the other end learns how many are lost.
    pub(super) count: u32,
}

const ASK: u8 = 1;
const ANSWER: u8 = 2;
const CLOSE: u8 = 3;
const BEAT: u8 = 4;
const SEEN: u8 = 5;
const GREET: u8 = 6;
const CALL: u8 = 7;

/// What an ask says more.
const IN_NEED: u8 = 1;

const DRAINS: u8 = 1;
const UNUSED: u8 = 2;
const URGENT: u8 = 4;
const ECHO: u8 = 8;

impl Message {
    /// Returns the datagram.
    pub(super) fn encode(self) -> Vec<u8> {
        match self {
            Self::Ask { in_need: false } => vec![VERSION, ASK],
            Self::Ask { in_need: true } => vec![VERSION, ASK, IN_NEED],
            Self::Answer(answer) => vec![VERSION, ANSWER, answer as u8],
            Self::Close => vec![VERSION, CLOSE],
            Self::Beat(beat) => {
                let flag = |is: bool, flag| if is { flag } else { 0 };
                let flags = flag(beat.drains, DRAINS)
                    | flag(beat.unused, UNUSED)
                    | flag(beat.urgent, URGENT)
                    | flag(beat.echo.is_some(), ECHO);
                let (stamp, kept) = beat.echo.unwrap_or_default();
                let mut bytes = vec![VERSION, BEAT, flags];
                for number in [beat.stamp, stamp, kept, beat.count] {
                    bytes.extend(number.to_be_bytes());
                }
                bytes
            }
            Self::Seen(at) => {
                let ip = match at.ip() {
                    IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                    IpAddr::V6(v6) => v6,
                };
                let mut bytes = vec![VERSION, SEEN];
                bytes.extend(at.port().to_be_bytes());
                bytes.extend(ip.octets());
                bytes
            }
            Self::Greet => vec![VERSION, GREET],
            Self::Call(number) => {
                let mut bytes = vec![VERSION, CALL];
                bytes.extend(number.to_be_bytes());
                bytes
            }
        }
    }

    /// Reads a datagram; nothing if it is none that this version knows.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [VERSION, ASK, rest @ ..] => Some(Self::Ask {
                in_need: rest.first() == Some(&IN_NEED),
            }),
            [VERSION, CLOSE, ..] => Some(Self::Close),
            [VERSION, GREET, ..] => Some(Self::Greet),
            [VERSION, CALL, rest @ ..] => {
                let number = rest.first_chunk()?;
                Some(Self::Call(u32::from_be_bytes(*number)))
            }
            [VERSION, SEEN, high, low, rest @ ..] => {
                let ip = Ipv6Addr::from(*rest.first_chunk::<16>()?);
                let port = u16::from_be_bytes([*high, *low]);
                Some(Self::Seen(SocketAddr::new(ip.to_canonical(), port)))
            }
            [VERSION, ANSWER, answer, ..] => {
                let answers = [Answer::Accepted, Answer::Full, Answer::Crossed];
                let meant = answers.into_iter().find(|it| *it as u8 == *answer);
                meant.map(Self::Answer)
            }
            [VERSION, BEAT, flags, rest @ ..] => {
                let (numbers, _) = rest.as_chunks();
                let numbers: [[u8; 4]; 4] = *numbers.first_chunk()?;
                let [stamp, echo, kept, count] = numbers.map(u32::from_be_bytes);
                Some(Self::Beat(Beat {
                    stamp,
                    echo: (flags & ECHO != 0).then_some((echo, kept)),
                    drains: flags & DRAINS != 0,
                    unused: flags & UNUSED != 0,
                    urgent: flags & URGENT != 0,
                    count,
                }))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let beat = Beat {
            stamp: 0x0102_0304,
            echo: Some((7, 9)),
            drains: true,
            count: 5,
            ..Beat::default()
        };
        let all = [
            Message::Ask { in_need: false },
            Message::Ask { in_need: true },
            Message::Close,
            Message::Answer(Answer::Accepted),
            Message::Answer(Answer::Full),
            Message::Answer(Answer::Crossed),
            Message::Beat(Beat::default()),
            Message::Beat(beat),
            Message::Seen("192.0.2.7:6326".parse().unwrap()),
            Message::Seen("[2001:db8::7]:41000".parse().unwrap()),
            Message::Greet,
            Message::Call(0x0102_0304),
        ];
        for message in all {
            let mut bytes = message.encode();
            assert!(bytes.len() <= LONGEST);
            assert_eq!(Message::decode(&bytes), Some(message));
            bytes.extend([9; 4]);
            assert_eq!(Message::decode(&bytes), Some(message), "more is ignored");
        }
        assert_eq!(
            Message::Beat(beat).encode(),
            [1, 4, 9, 1, 2, 3, 4, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0, 5]
        );
    }

    #[test]
    fn what_is_cut_short_or_of_another_version_is_nothing() {
        let whole = Message::Beat(Beat::default()).encode();
        for length in 0..whole.len() {
            assert_eq!(Message::decode(&whole[..length]), None, "{length}");
        }
        for bytes in [
            &[2, 1][..],
            &[1, 0],
            &[1, 2, 7],
            &[1, 99],
            &[1, 5, 1, 2, 3],
            &[1, 7, 0, 0, 0],
        ] {
            assert_eq!(Message::decode(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_is_nothing(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(message) = Message::decode(&bytes) {
                prop_assert_eq!(Message::decode(&message.encode()), Some(message));
            }
        }
    }
}
