//! The certificate extension that says which addresses are whose: IPAddrBlocks of RFC 3779, in DER by hand.

use ipnet::Ipv6Net;

/// id-pe-ipAddrBlocks.
pub(super) const OID: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 7];

const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
const BIT_STRING: u8 = 0x03;
/// Address family number of IPv6.
const IPV6: [u8; 2] = [0, 2];

/// Returns the value of the extension for one IPv6 prefix.
pub fn ip_addr_blocks(prefix: Ipv6Net) -> Vec<u8> {
    let length = usize::from(prefix.prefix_len());
    let bytes = length.div_ceil(8);
    let unused = (bytes * 8 - length) as u8;
    let address = [&[unused], &prefix.network().octets()[..bytes]].concat();

    let prefixes = value(SEQUENCE, &value(BIT_STRING, &address));
    let family = value(SEQUENCE, &[value(OCTET_STRING, &IPV6), prefixes].concat());
    value(SEQUENCE, &family)
}

/// Returns a DER value; everything here is shorter than 128 bytes.
fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    debug_assert!(content.len() < 0x80);
    [&[tag, content.len() as u8], content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prefix: &str, expected: &[u8]) {
        assert_eq!(
            ip_addr_blocks(prefix.parse().unwrap()),
            expected,
            "{prefix}"
        );
    }

    #[test]
    fn prefixes_are_encoded_as_rfc_3779_says() {
        let expected = [
            0x30, 0x13, 0x30, 0x11, 0x04, 0x02, 0x00, 0x02, 0x30, 0x0b, 0x03, 0x09, 0x00, 0xfd,
            0x12, 0x34, 0x56, 0x78, 0x9a, 0x00, 0x01,
        ];
        check("fd12:3456:789a:1::/64", &expected);
        // 61 bits fill seven bytes and five bits.
        let expected = [
            0x30, 0x13, 0x30, 0x11, 0x04, 0x02, 0x00, 0x02, 0x30, 0x0b, 0x03, 0x09, 0x03, 0x20,
            0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x08,
        ];
        check("2001:db8:0:8::/61", &expected);
    }
}
