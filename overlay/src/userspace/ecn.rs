//! Congestion marks on both headers of a tunnel, as RFC 6040 asks. Pure.

/// Explicit congestion notification of a packet: the lowest two bits of its traffic class (RFC 3168, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ecn {
    /// Its ends do not understand marks.
    NotCapable,
    /// Capable, the second way to say so.
    Capable1,
    /// Capable.
    Capable0,
    /// Congestion was met.
    Congested,
}

impl Ecn {
    /// Reads the lowest two bits.
    pub(super) fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0b00 => Self::NotCapable,
            0b01 => Self::Capable1,
            0b10 => Self::Capable0,
            _ => Self::Congested,
        }
    }

    /// Returns the two bits.
    pub(super) fn bits(self) -> u8 {
        match self {
            Self::NotCapable => 0b00,
            Self::Capable1 => 0b01,
            Self::Capable0 => 0b10,
            Self::Congested => 0b11,
        }
    }

    /// Returns what an inner packet is marked with when its outer header goes, or nothing where it must be dropped
    /// (RFC 6040, section 4.2).
    pub(super) fn leaving(self, inner: Self) -> Option<Self> {
        match (inner, self) {
            (Self::NotCapable, Self::Congested) => None,
            (Self::Capable0 | Self::Capable1, Self::Congested) => Some(Self::Congested),
            (Self::Capable0, Self::Capable1) => Some(Self::Capable1),
            (inner, _) => Some(inner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_rfc_6040() {
        use Ecn::{Capable0, Capable1, Congested, NotCapable};
        let table = [
            (
                NotCapable,
                [Some(NotCapable), Some(NotCapable), Some(NotCapable), None],
            ),
            (
                Capable0,
                [
                    Some(Capable0),
                    Some(Capable0),
                    Some(Capable1),
                    Some(Congested),
                ],
            ),
            (
                Capable1,
                [
                    Some(Capable1),
                    Some(Capable1),
                    Some(Capable1),
                    Some(Congested),
                ],
            ),
            (Congested, [Some(Congested); 4]),
        ];
        for (inner, results) in table {
            for (outer, result) in [NotCapable, Capable0, Capable1, Congested]
                .into_iter()
                .zip(results)
            {
                assert_eq!(outer.leaving(inner), result, "{inner:?} in {outer:?}");
            }
        }
    }

    #[test]
    fn bits_are_read_as_they_are_written() {
        for bits in 0..4 {
            assert_eq!(Ecn::from_bits(bits).bits(), bits);
        }
    }
}
