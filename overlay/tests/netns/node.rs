//! A node of the overlay in a namespace, with the real babeld; and the one way to wait.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use slapbox_overlay::babel::{self, Babel};
use tempfile::TempDir;

use crate::lab::{Namespace, skip};

/// A node: a namespace, and a babeld on some tunnels.
pub(crate) struct Node {
    pub(crate) namespace: Namespace,
    pub(crate) folder: TempDir,
    pub(crate) babel: Babel,
    pub(crate) babeld: Option<Child>,
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(babeld) = &mut self.babeld {
            let _ = babeld.kill();
            let _ = babeld.wait();
        }
    }
}

impl Node {
    /// Makes a node that forwards; prints why and returns nothing where that cannot be.
    pub(crate) fn open(index: u16) -> Option<Self> {
        if Command::new("babeld")
            .arg("-V")
            .stderr(Stdio::null())
            .status()
            .is_err()
        {
            skip("babeld is not installed");
            return None;
        }
        let namespace = Namespace::open()?;
        let folder = tempfile::tempdir().unwrap();
        let babel = Babel {
            network: "fd12:3456:789a::/48".parse().unwrap(),
            prefix: format!("fd12:3456:789a:{index:x}::/64").parse().unwrap(),
            address: format!("fd12:3456:789a:{index:x}::1").parse().unwrap(),
            link_network: "fd12:3456:789a:ffff::/64".parse().unwrap(),
            interfaces: BTreeSet::new(),
            socket: folder
                .path()
                .join("babeld.sock")
                .to_str()
                .unwrap()
                .to_owned(),
        };
        namespace.command("sysctl -q -w net.ipv6.conf.all.forwarding=1");
        Some(Self {
            namespace,
            folder,
            babel,
            babeld: None,
        })
    }

    /// Starts babeld with what is known by then.
    pub(crate) fn start_babeld(&mut self) {
        let path = self.folder.path().join("babeld.conf");
        std::fs::write(&path, self.babel.render()).unwrap();
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let child = self.namespace.run(move || {
            let arguments = ["-I", "", "-c", path.to_str().unwrap()];
            Command::new("babeld")
                .args(arguments)
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap()
        });
        self.babeld = Some(child);
    }

    /// Returns what babeld complained of.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Tells the running babeld what it shall speak on.
    pub(crate) fn reconcile(&self) -> Option<usize> {
        let babel = self.babel.clone();
        self.namespace
            .run_async(async move || babel::reconcile(&babel).await.unwrap())
    }

    /// Asks another node's address, from whichever address the kernel chooses.
    pub(crate) fn reaches(&self, other: u16) -> Result<String, String> {
        let command = format!("ping -c 1 -W 1 fd12:3456:789a:{other:x}::1");
        self.namespace.attempt(&command)
    }
}

/// Waits for a probe to be good; says what it was and what was seen last otherwise.
pub(crate) fn eventually(what: &str, mut probe: impl FnMut() -> Result<String, String>) -> String {
    let start = Instant::now();
    loop {
        match probe() {
            Ok(seen) => return seen,
            Err(seen) => assert!(start.elapsed() < Duration::from_secs(60), "{what}: {seen}"),
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
}
