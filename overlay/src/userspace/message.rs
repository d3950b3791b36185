//! What a datagram says to be, before anything is done with it. Pure.

/// The kinds of WireGuard's messages, with the number of the session that they are for (its paper, section 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Somebody begins a handshake.
    Initiation,
    /// Somebody answers ours.
    Response(u32),
    /// Somebody wants us to show that we receive.
    Cookie(u32),
    /// A packet, or nothing to keep the way open.
    Data(u32),
}

/// Returns what a datagram is, if its length fits.
pub(super) fn kind_of(datagram: &[u8]) -> Option<Kind> {
    let number = |start: usize| {
        let bytes = datagram.get(start..start + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    match (number(0)?, datagram.len()) {
        (1, 148) => Some(Kind::Initiation),
        (2, 92) => number(8).map(Kind::Response),
        (3, 64) => number(4).map(Kind::Cookie),
        (4, 32..) => number(4).map(Kind::Data),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u8, length: usize) -> Vec<u8> {
        let mut message: Vec<_> = (0..=255).cycle().take(length).collect();
        message[..4].copy_from_slice(&[kind, 0, 0, 0]);
        message
    }

    #[test]
    fn each_kind_has_its_length_and_place() {
        assert_eq!(kind_of(&message(1, 148)), Some(Kind::Initiation));
        assert_eq!(kind_of(&message(2, 92)), Some(Kind::Response(0x0b0a_0908)));
        assert_eq!(kind_of(&message(3, 64)), Some(Kind::Cookie(0x0706_0504)));
        assert_eq!(kind_of(&message(4, 32)), Some(Kind::Data(0x0706_0504)));
        for (kind, length) in [
            (1, 147),
            (1, 149),
            (2, 91),
            (3, 65),
            (4, 31),
            (0, 148),
            (5, 64),
        ] {
            assert_eq!(kind_of(&message(kind, length)), None, "{kind} of {length}");
        }
        assert_eq!(kind_of(&[1, 0, 0]), None);
    }

    proptest! {
        #[test]
        fn what_has_a_kind_is_parsed_and_nothing_else_is(kind in 0u8..6, rest in prop::collection::vec(any::<u8>(), 3..160)) {
            let datagram = [[kind].as_slice(), &rest].concat();
            let parsed = gotatun::packet::Packet::copy_from(&datagram[..]).try_into_wg();
            if kind_of(&datagram).is_some() {
                prop_assert!(parsed.is_ok());
            } else if datagram[1..4] == [0; 3] {
                prop_assert!(parsed.is_err());
            }
        }
    }
}
