//! Lifetimes as people write them.

use std::time::Duration;

/// Parses a number and a unit.
pub(crate) fn parse_lifetime(text: &str) -> Result<Duration, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86400)];
    let seconds = units.into_iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(seconds).filter(|seconds| *seconds > 0)
    });
    match seconds {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => Err("a lifetime is a number and a unit: 90s, 10m, 24h, 7d".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_has_a_unit() {
        assert_eq!(parse_lifetime("90s").unwrap().as_secs(), 90);
        assert_eq!(parse_lifetime("7d").unwrap().as_secs(), 604_800);
        for bad in [
            "",
            "h",
            "1",
            "0h",
            "-1h",
            "1.5h",
            "1w",
            "99999999999999999999d",
            "9999999999999999d",
        ] {
            assert!(parse_lifetime(bad).is_err(), "{bad}");
        }
    }
}
