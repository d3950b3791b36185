//! Another implementation of WireGuard talks to the data plane of this process: wireguard-go, where it is installed.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::lab::{Namespace, skip};
use crate::member::{
    PORT, desired, link_address, private_key_text, public_key, settled, userspace_plane,
};
use crate::node::eventually;

/// Its interface; its socket has this name, too, in a folder that all namespaces share.
const INTERFACE: &str = "slapgo0";

fn is_installed(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !found {
        skip(&format!("{program} is not installed"));
    }
    found
}

#[test]
fn wireguard_go_and_our_plane_understand_each_other() {
    if !is_installed("wireguard-go") || !is_installed("wg") {
        return;
    }
    let (Some(ours), Some(other)) = (Namespace::open(), Namespace::open()) else {
        return;
    };
    ours.connect("cable", &other, "cable");
    ours.ip("address add 192.0.2.1/32 peer 192.0.2.2 dev cable");
    other.ip("address add 192.0.2.2/32 peer 192.0.2.1 dev cable");
    let plane = userspace_plane(&ours);
    settled(&ours, &plane, &desired(1, &[2], None));

    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("wg.conf");
    let text = format!(
        "[Interface]\nPrivateKey = {}\nListenPort = {PORT}\n[Peer]\nPublicKey = {}\nAllowedIPs = {}/128\nEndpoint = 192.0.2.1:{PORT}\n",
        private_key_text(2),
        public_key(1),
        link_address(1)
    );
    std::fs::write(&config, text).unwrap();
    other.command(&format!("wireguard-go {INTERFACE}"));
    let socket = Path::new("/var/run/wireguard").join(format!("{INTERFACE}.sock"));
    eventually("wireguard-go listens", || match socket.exists() {
        true => Ok(String::new()),
        false => Err(format!("{socket:?} is missing")),
    });
    other.command(&format!("wg setconf {INTERFACE} {}", config.display()));
    other.ip(&format!(
        "-6 address add {}/64 dev {INTERFACE} nodad",
        link_address(2)
    ));
    other.ip(&format!("link set {INTERFACE} mtu 1420 up"));

    eventually("it reaches us", || {
        other.attempt(&format!("ping -c 1 -W 1 {}", link_address(1)))
    });
    // 1420 bytes less the headers of IPv6 and of ICMP.
    other.command(&format!("ping -c 1 -W 2 -M do -s 1372 {}", link_address(1)));
    ours.command(&format!("ping -c 1 -W 2 -M do -s 1372 {}", link_address(2)));
    // It ends with its interface.
    other.ip(&format!("link delete {INTERFACE}"));
    eventually("wireguard-go ends", || match socket.exists() {
        false => Ok(String::new()),
        true => Err(format!("{socket:?} is still there")),
    });
}
