//! Whether a stock image with a network of its own can be reached: it has the partition's IPv6, and many programs listen on IPv4 only.
//! Each exposed port of TCP at which that is so gets a bridge, inside of its network, from the IPv6 to the loopback's IPv4.
//!
//! Which ones these are can only be seen: what listens on both, or on IPv6 alone, would be disturbed by a bridge. So who is young is
//! left alone, and who listens nowhere yet is looked at again. What is spoken to by UDP or SCTP gets none: systemd has no bridge for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};

use super::{PID_FILE, bundle};
use crate::desired::{Fingerprint, PartitionName};
use crate::instances::bridges::{Bridge, BridgeError};
use crate::instances::confinement::Place;
use crate::instances::listening::listened;
use crate::instances::units::UnitName;
use crate::observe::MAIN;
use crate::observed::{ProgramName, Unit};
use crate::software::{Port, Transport};

/// What is known of how an image can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The bridges that it needs.
    pub bridges: BTreeMap<ProgramName, Fingerprint>,
    /// When that may be another answer, if it listens nowhere yet.
    pub again: Option<Duration>,
}

/// Who listens on IPv4 may be about to listen on IPv6, too.
const YOUNG: Duration = Duration::from_secs(3);
const SOON: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_secs(60);

/// Looks at a container that runs; `open` are the bridges that are there.
pub fn look(
    partition: PartitionName,
    ports: &BTreeSet<Port>,
    open: &BTreeMap<ProgramName, Unit>,
    now: SystemTime,
) -> io::Result<Reach> {
    let Some((process, since)) = process(partition)? else {
        return Ok(Reach::default());
    };
    let read = |name| Ok::<_, io::Error>(text_of(&process.join(name))?.unwrap_or_default());
    let (ipv4, ipv6) = (listened(&read("net/tcp")?), listened(&read("net/tcp6")?));
    let age = now.duration_since(since).unwrap_or_default();
    let mut reach = Reach::default();
    for port in ports.iter().filter(|port| port.transport == Transport::Tcp) {
        let name = name_of(port.number);
        let on_ipv4 = [Ipv4Addr::UNSPECIFIED, Ipv4Addr::LOCALHOST].map(IpAddr::from);
        let on_ipv4 = on_ipv4.map(|address| SocketAddr::new(address, port.number));
        let on_ipv4 = on_ipv4.iter().any(|end| ipv4.contains(end));
        // Where a bridge is open it is that which listens.
        let on_ipv6 = ipv6.iter().any(|end| end.port() == port.number);
        let on_ipv6 = on_ipv6 && !open.contains_key(&name);
        if on_ipv4 && !on_ipv6 && age >= YOUNG {
            let what = format!("{process} {since:?} {}", port.number);
            reach.bridges.insert(name, Fingerprint::of(what.as_bytes()));
        } else if !on_ipv6 {
            reach.again = Some((age / 2).clamp(SOON, LATE));
        }
    }
    Ok(reach)
}

/// Returns what a bridge of an image is.
pub fn bridge(place: &Place, name: &ProgramName) -> Result<Bridge, BridgeError> {
    let ipv6 = place.ipv6.ok_or(BridgeError::NoAddress("IPv6"))?;
    let path = bundle(place.partition).join(PID_FILE);
    let gone = || BridgeError::Gone(path.clone());
    let found = process(place.partition);
    let found = found.map_err(|source| BridgeError::Read {
        path: path.clone(),
        source,
    })?;
    let (process, _) = found.ok_or_else(gone)?;
    let port = number_of(name).ok_or_else(gone)?;
    Ok(Bridge {
        listen: SocketAddrV6::new(ipv6, port, 0, 0),
        to: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port),
        tls: None,
        network: Some(process.join("ns/net")),
    })
}

/// Finds the first process of a container, and since when it is there. One that has ended may have left its number to another process:
/// whose it is tells its control group.
fn process(partition: PartitionName) -> io::Result<Option<(Utf8PathBuf, SystemTime)>> {
    let path = bundle(partition).join(PID_FILE);
    let Some(text) = text_of(&path)? else {
        return Ok(None);
    };
    let since = fs::metadata(&path)?.modified()?;
    let pid: u32 = text.trim().parse().map_err(io::Error::other)?;
    let process = Utf8Path::new("/proc").join(pid.to_string());
    let main = ProgramName::new(MAIN).expect("a name of letters");
    let unit = format!("/{}", UnitName::Program(partition, main));
    let group = text_of(&process.join("cgroup"))?.unwrap_or_default();
    let is_its = group.lines().any(|line| line.trim_end().ends_with(&unit));
    Ok(is_its.then_some((process, since)))
}

/// Reads a file; nothing if it is not there, or no more.
fn text_of(path: &Utf8Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        text => text.map(Some),
    }
}

fn name_of(port: u16) -> ProgramName {
    ProgramName::new(&format!("port-{port}")).expect("letters and digits")
}

fn number_of(name: &ProgramName) -> Option<u16> {
    name.as_str().strip_prefix("port-")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_is_named_by_its_port() {
        assert_eq!(number_of(&name_of(80)), Some(80));
        assert_eq!(number_of(&ProgramName::new("web").unwrap()), None);
    }
}
