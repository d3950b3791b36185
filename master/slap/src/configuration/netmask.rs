//! Netmasks as nodes announce them: as an address, or, by a node that was told its addresses in a file, as a prefix length.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::shape::{Fields, ShapeError};

impl Fields {
    /// Takes the netmask of an address. One that is empty is not there.
    pub(super) fn netmask(
        &mut self,
        key: &str,
        of: Option<IpAddr>,
    ) -> Result<Option<IpAddr>, ShapeError> {
        let Some(text) = self.text(key)?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let mask = match (text.parse(), of) {
            (Ok(length @ 0..=32), Some(IpAddr::V4(_))) => Ok(v4(length).into()),
            (Ok(length @ 0..=128), Some(IpAddr::V6(_))) => Ok(v6(length).into()),
            (Ok(_) | Err(_), Some(_) | None) => text.parse(),
        };
        mask.map(Some).map_err(|_| {
            ShapeError::new(key, format!("`{text}` is neither a netmask nor its length"))
        })
    }
}

/// Returns the netmask of a prefix length.
pub(super) fn v4(length: u8) -> Ipv4Addr {
    let free = 32_u32.saturating_sub(length.into());
    Ipv4Addr::from_bits(u32::MAX.checked_shl(free).unwrap_or(0))
}

/// Returns the netmask of a prefix length.
pub(super) fn v6(length: u8) -> Ipv6Addr {
    let free = 128_u32.saturating_sub(length.into());
    Ipv6Addr::from_bits(u128::MAX.checked_shl(free).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Value, entries};

    fn read(address: Option<&str>, netmask: &str) -> Result<Option<String>, ShapeError> {
        let told = Value::Dict(entries([("netmask", Value::from(netmask))]));
        let mut fields = Fields::of_dict(told, "computer").unwrap();
        let mask = fields.netmask("netmask", address.map(|address| address.parse().unwrap()))?;
        Ok(mask.map(|mask| mask.to_string()))
    }

    #[test]
    fn a_netmask_is_an_address_or_a_length() {
        for (address, said, mask) in [
            (Some("fd00::1"), "48", "ffff:ffff:ffff::"),
            (Some("fd00::1"), "ffff:ffff:ffff::", "ffff:ffff:ffff::"),
            (Some("fd00::1"), "0", "::"),
            (Some("10.0.0.2"), "32", "255.255.255.255"),
            (Some("10.0.0.2"), "255.255.0.0", "255.255.0.0"),
            (None, "ffff::", "ffff::"),
        ] {
            assert_eq!(read(address, said).unwrap().as_deref(), Some(mask));
        }
        assert_eq!(read(None, "").unwrap(), None);
        for (address, said) in [
            (Some("10.0.0.2"), "33"),
            (Some("fd00::1"), "129"),
            (None, "48"),
            (Some("fd00::1"), "/48"),
        ] {
            read(address, said).unwrap_err();
        }
    }
}
