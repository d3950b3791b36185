//! The kernel's automatic groups of tasks (sched(7)), which are off while a node is measured. On a box systemd has a controller of the
//! processors, and there are none; where namespaces have no controller, nice levels stand for its weights, and they count between units
//! only if each unit is not a group of its own.

use std::fs;
use std::io::Write as _;

const SWITCH: &str = "/proc/sys/kernel/sched_autogroup_enabled";

/// As long as it lives they are off; then they are as they were.
#[derive(Debug)]
pub(super) struct Off(Option<Vec<u8>>);

impl Off {
    /// Switches them off, where the kernel has them.
    pub(super) fn now() -> Self {
        let before = fs::read(SWITCH).ok();
        let switched = before.filter(|_| set(b"0").is_ok());
        Self(switched)
    }
}

impl Drop for Off {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // Nobody is left to hear that it failed.
            let _ = set(before);
        }
    }
}

/// Not replaced but written: it is the kernel's.
fn set(value: &[u8]) -> std::io::Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .open(SWITCH)?
        .write_all(value)
}
