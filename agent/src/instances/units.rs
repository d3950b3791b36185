//! Names of the units of partitions, both ways. Pure.

use crate::desired::PartitionName;
use crate::observed::ProgramName;

/// Patterns of all units that belong to partitions.
pub const PATTERNS: [&str; 7] = [
    "slappart*-*.service",
    "slappart*.slice",
    "slapinstantiate-slappart*.service",
    "slappromises-slappart*.service",
    "slapredirect-slappart*.service",
    "slapredirect-slappart*.socket",
    "slapbridge-slappart*.socket",
];

/// A unit of a partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnitName {
    Program(PartitionName, ProgramName),
    Slice(PartitionName),
    Instantiate(PartitionName),
    /// What checks its promises.
    Promises(PartitionName),
    /// What carries a redirection, and the socket before it where there is one.
    Redirect(PartitionName, ProgramName),
    RedirectSocket(PartitionName, ProgramName),
    /// What listens for a bridge, and what carries its connections.
    Bridge(PartitionName, ProgramName),
    BridgeService(PartitionName, ProgramName),
}

impl UnitName {
    /// Returns whose unit it is.
    pub fn partition(&self) -> PartitionName {
        match self {
            Self::Program(partition, _)
            | Self::Slice(partition)
            | Self::Instantiate(partition)
            | Self::Promises(partition)
            | Self::Redirect(partition, _)
            | Self::RedirectSocket(partition, _)
            | Self::Bridge(partition, _)
            | Self::BridgeService(partition, _) => *partition,
        }
    }

    /// Reads the name of a unit; nothing if it is none of ours.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(partition) = name.strip_suffix(".slice") {
            return Some(Self::Slice(partition.parse().ok()?));
        }
        if let Some(socket) = name.strip_suffix(".socket") {
            if let Some(bridge) = socket.strip_prefix("slapbridge-") {
                let (partition, bridge) = named(bridge)?;
                return Some(Self::Bridge(partition, bridge));
            }
            let (partition, name) = named(socket.strip_prefix("slapredirect-")?)?;
            return Some(Self::RedirectSocket(partition, name));
        }
        let service = name.strip_suffix(".service")?;
        if let Some(bridge) = service.strip_prefix("slapbridge-") {
            let (partition, bridge) = named(bridge)?;
            return Some(Self::BridgeService(partition, bridge));
        }
        if let Some(redirect) = service.strip_prefix("slapredirect-") {
            let (partition, name) = named(redirect)?;
            return Some(Self::Redirect(partition, name));
        }
        if let Some(partition) = service.strip_prefix("slapinstantiate-") {
            return Some(Self::Instantiate(partition.parse().ok()?));
        }
        if let Some(partition) = service.strip_prefix("slappromises-") {
            return Some(Self::Promises(partition.parse().ok()?));
        }
        let (partition, program) = named(service)?;
        Some(Self::Program(partition, program))
    }
}

/// Reads `PARTITION-NAME`.
fn named(text: &str) -> Option<(PartitionName, ProgramName)> {
    let (partition, name) = text.split_once('-')?;
    Some((partition.parse().ok()?, ProgramName::new(name).ok()?))
}

impl std::fmt::Display for UnitName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Program(partition, program) => write!(f, "{partition}-{program}.service"),
            Self::Slice(partition) => write!(f, "{partition}.slice"),
            Self::Instantiate(partition) => write!(f, "slapinstantiate-{partition}.service"),
            Self::Promises(partition) => write!(f, "slappromises-{partition}.service"),
            Self::Bridge(partition, name) => write!(f, "slapbridge-{partition}-{name}.socket"),
            Self::BridgeService(partition, name) => {
                write!(f, "slapbridge-{partition}-{name}.service")
            }
            Self::Redirect(partition, name) => write!(f, "slapredirect-{partition}-{name}.service"),
            Self::RedirectSocket(partition, name) => {
                write!(f, "slapredirect-{partition}-{name}.socket")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_known_by_its_name_and_no_other_is() {
        for name in [
            "slappart0-nginx.service",
            "slappart17-a-b.c_d.service",
            "slappart3.slice",
            "slapinstantiate-slappart3.service",
            "slappromises-slappart3.service",
            "slapredirect-slappart3-tcp-80-00.socket",
            "slapredirect-slappart3-udp-53-00.service",
            "slapbridge-slappart3-web.socket",
            "slapbridge-slappart3-web.service",
        ] {
            let unit = UnitName::parse(name).unwrap();
            assert_eq!(unit.to_string(), name);
        }
        for name in [
            "slappart0.service",
            "slappart-x.service",
            "slappart01-x.service",
            "slappart0-.service",
            "slappart.slice",
            "slapbox-agent.service",
            "slappart0-x@y.service",
            "slappart0-x.socket",
            "slapredirect-tcp.socket",
            "slapbridge-web.socket",
        ] {
            assert_eq!(UnitName::parse(name), None, "{name}");
        }
    }
}
