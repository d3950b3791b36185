//! Good packets are sorted right, and bad ones without harm.

use proptest::prelude::*;

use super::*;

const NEAR: Ipv6Addr = Ipv6Addr::new(0xfd12, 0, 0, 0xffff, 0, 0, 0, 1);
const FAR: Ipv6Addr = Ipv6Addr::new(0xfd12, 0, 0, 0xffff, 0, 0, 0, 2);
const SOURCE: Ipv6Addr = Ipv6Addr::new(0xfd12, 0, 0, 1, 0, 0, 0, 1);
const TARGET: Ipv6Addr = Ipv6Addr::new(0xfd12, 0, 0, 2, 0, 0, 0, 1);

/// A packet of UDP, as far as this module looks.
fn inner(payload: &[u8]) -> Vec<u8> {
    let mut packet = header(SOURCE, TARGET).to_vec();
    packet[6] = 17;
    packet[4..6].copy_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// What goes from `NEAR` to `FAR` through their tunnel.
fn tunnelled_packet(inner: &[u8]) -> Vec<u8> {
    let mut packet = [[0; HEADER].as_slice(), inner].concat();
    wrap(&mut packet, &header(NEAR, FAR)).unwrap();
    packet
}

/// Puts a header of options between both headers.
fn with_options(mut packet: Vec<u8>, options: &[u8]) -> Vec<u8> {
    packet[6] = NEXT_OPTIONS;
    let length = u16::from_be_bytes([packet[4], packet[5]]) + u16::try_from(options.len()).unwrap();
    packet[4..6].copy_from_slice(&length.to_be_bytes());
    packet.splice(HEADER..HEADER, options.iter().copied());
    packet
}

fn of_tunnel(range: Range<usize>) -> Result<Arrival, Reason> {
    Ok(Arrival {
        source: NEAR,
        to: To::Tunnel(FAR),
        range,
    })
}

#[test]
fn what_is_wrapped_is_as_the_kernel_makes_it() {
    let packet = tunnelled_packet(&inner(b"hello"));
    assert_eq!(packet[..8], [0x60, 0, 0, 0, 0, 45, 41, 64]);
    assert_eq!(packet[8..24], NEAR.octets());
    assert_eq!(packet[24..40], FAR.octets());
    assert_eq!(destination(&packet), Ok(FAR));
}

#[test]
fn a_tunnel_is_told_from_the_link_network() {
    let mut packet = tunnelled_packet(&inner(b"hello"));
    let length = packet.len();
    assert_eq!(
        arrival(&mut packet, Ecn::NotCapable),
        of_tunnel(HEADER..length)
    );
    let mut packet = inner(b"hello");
    let plain = Arrival {
        source: SOURCE,
        to: To::Links,
        range: 0..packet.len(),
    };
    assert_eq!(arrival(&mut packet, Ecn::NotCapable), Ok(plain));
}

#[test]
fn padding_of_wireguard_is_taken_off() {
    let mut packet = tunnelled_packet(&inner(b"hello"));
    let length = packet.len();
    packet.resize(length.next_multiple_of(16), 0);
    assert_eq!(
        arrival(&mut packet, Ecn::NotCapable),
        of_tunnel(HEADER..length)
    );
}

#[test]
fn an_encapsulation_limit_is_taken_off_and_other_options_are_refused() {
    let limit = [NEXT_IPV6, 0, ENCAPSULATION_LIMIT, 1, 4, PAD_N, 1, 0];
    let mut packet = with_options(tunnelled_packet(&inner(b"hello")), &limit);
    let length = packet.len();
    assert_eq!(
        arrival(&mut packet, Ecn::NotCapable),
        of_tunnel(HEADER + 8..length)
    );

    let not_a_tunnel = [17, 0, ENCAPSULATION_LIMIT, 1, 4, PAD_N, 1, 0];
    let mut packet = with_options(tunnelled_packet(&inner(b"hello")), &not_a_tunnel);
    assert_eq!(arrival(&mut packet, Ecn::NotCapable).unwrap().to, To::Links);

    for wrong in [
        [NEXT_IPV6, 0, 0xc2, 4, 0, 0, 0, 0],
        [NEXT_IPV6, 0, ENCAPSULATION_LIMIT, 2, 4, 4, PAD_1, PAD_1],
        [NEXT_IPV6, 0, PAD_N, 200, 0, 0, 0, 0],
        [NEXT_IPV6, 0, PAD_N, 3, 0, 0, 0, PAD_N],
        [NEXT_IPV6, 200, PAD_N, 4, 0, 0, 0, 0],
    ] {
        let mut packet = with_options(tunnelled_packet(&inner(b"hello")), &wrong);
        assert_eq!(
            arrival(&mut packet, Ecn::NotCapable),
            Err(Reason::Malformed),
            "{wrong:?}"
        );
    }
}

#[test]
fn what_is_cut_short_or_no_ipv6_is_refused() {
    let whole = tunnelled_packet(&inner(b"hello"));
    for length in 0..whole.len() {
        let mut packet = whole[..length].to_vec();
        assert_eq!(
            arrival(&mut packet, Ecn::NotCapable),
            Err(Reason::Malformed),
            "{length}"
        );
    }
    let mut no_ipv6 = inner(b"hello");
    no_ipv6[0] = 0x45;
    assert_eq!(destination(&no_ipv6), Err(Reason::Malformed));
    let mut space = [[0; HEADER].as_slice(), &no_ipv6].concat();
    assert_eq!(wrap(&mut space, &header(NEAR, FAR)), Err(Reason::Malformed));
    assert_eq!(
        wrap(&mut [0; 10], &header(NEAR, FAR)),
        Err(Reason::Malformed)
    );
    let mut inside = tunnelled_packet(&inner(b"hello"));
    inside[HEADER] = 0x45;
    assert_eq!(
        arrival(&mut inside, Ecn::NotCapable),
        Err(Reason::Malformed)
    );
}

#[test]
fn congestion_reaches_the_inner_packet_or_drops_it() {
    let mut capable = inner(b"hello");
    set_ecn(&mut capable, Ecn::Capable0);
    let wrapped = tunnelled_packet(&capable);
    assert_eq!(
        ecn_of(&wrapped),
        Ecn::Capable0,
        "the outer header is marked as the inner one"
    );
    let mut met = wrapped;
    arrival(&mut met, Ecn::Congested).unwrap();
    assert_eq!(ecn_of(&met[HEADER..]), Ecn::Congested);

    let mut deaf = tunnelled_packet(&inner(b"hello"));
    assert_eq!(arrival(&mut deaf, Ecn::Congested), Err(Reason::Congested));
    let mut on_the_way = tunnelled_packet(&inner(b"hello"));
    set_ecn(&mut on_the_way, Ecn::Congested);
    assert_eq!(
        arrival(&mut on_the_way, Ecn::NotCapable),
        Err(Reason::Congested)
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_sorted_without_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), ecn in 0u8..4) {
        let length = bytes.len();
        if let Ok(found) = arrival(&mut bytes, Ecn::from_bits(ecn)) {
            prop_assert!(found.range.end <= length && found.range.start <= found.range.end);
        }
    }

    #[test]
    fn almost_good_packets_are_sorted_without_a_panic(
        next in prop::sample::select(vec![NEXT_IPV6, NEXT_OPTIONS, 17]),
        length in 0u16..120,
        rest in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut packet = header(NEAR, FAR).to_vec();
        packet[6] = next;
        packet[4..6].copy_from_slice(&length.to_be_bytes());
        packet.extend_from_slice(&rest);
        if let Ok(found) = arrival(&mut packet, Ecn::NotCapable) {
            prop_assert!(found.range.end <= HEADER + usize::from(length));
            if let To::Tunnel(to) = found.to {
                prop_assert_eq!(to, FAR);
                prop_assert_eq!(packet[found.range.start] >> 4, 6);
            }
        }
    }

    #[test]
    fn what_goes_in_comes_out(payload in prop::collection::vec(any::<u8>(), 0..1400), padding in 0usize..16) {
        let inner = inner(&payload);
        let mut packet = tunnelled_packet(&inner);
        packet.extend(vec![0; padding]);
        let found = arrival(&mut packet, Ecn::NotCapable).unwrap();
        prop_assert_eq!((found.source, found.to), (NEAR, To::Tunnel(FAR)));
        prop_assert_eq!(&packet[found.range], &inner[..]);
    }
}
