//! Whether machines are virtualised or emulated, and how much patience that takes.
//! Never infers KVM from the device file: hosts exist that create a machine and fail on its first instruction.

use std::fmt;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use crate::child::dying_with_the_bench;
use crate::files;
use crate::product::Tools;

/// How QEMU runs a guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor runs them.
    Kvm,
    /// QEMU translates them.
    Tcg,
}

static CHOSEN: OnceLock<Accelerator> = OnceLock::new();
const EMULATION_TAKES: u32 = 4;
const PROBE: Duration = Duration::from_secs(10);

impl Accelerator {
    /// Finds out once, by asking a probe guest, what this machine can do.
    pub async fn choose(tools: &Tools) -> Self {
        if let Some(chosen) = CHOSEN.get() {
            return *chosen;
        }
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let works = has_virtualisation(&cpuinfo) && a_probe_guest_answers(tools).await;
        *CHOSEN.get_or_init(|| if works { Self::Kvm } else { Self::Tcg })
    }

    /// The value of QEMU's `-accel`.
    pub fn argument(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg,thread=multi",
        }
    }
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Tcg => "emulation (TCG)",
        })
    }
}

/// How many times longer everything may take than with hardware virtualisation.
pub fn patience() -> u32 {
    match CHOSEN.get() {
        Some(Accelerator::Tcg) => EMULATION_TAKES,
        Some(Accelerator::Kvm) | None => 1,
    }
}

fn has_virtualisation(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter_map(|line| line.strip_prefix("flags"))
        .flat_map(str::split_whitespace)
        .any(|flag| flag == "vmx" || flag == "svm")
}

/// Runs a guest whose whole disk is a boot sector that leaves through `isa-debug-exit`.
async fn a_probe_guest_answers(tools: &Tools) -> bool {
    probe(tools).await.unwrap_or(false)
}

async fn probe(tools: &Tools) -> anyhow::Result<bool> {
    const LEFT_AS_ASKED: i32 = (0x2a << 1) | 1;
    // mov al, 0x2a; out 0xf4, al; hlt
    let mut sector = vec![0xb0, 0x2a, 0xe6, 0xf4, 0xf4];
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    let folder = tempfile::tempdir()?;
    let disk = files::utf8(folder.path().join("sector"))?;
    files::put(&disk, sector)?;
    let mut qemu = tools.qemu();
    qemu.args([
        "-accel",
        "kvm",
        "-cpu",
        "max",
        "-m",
        "16",
        "-nodefaults",
        "-display",
        "none",
    ])
    .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=1"])
    .args(["-drive", &format!("file={disk},format=raw,if=ide")]);
    let mut command = tokio::process::Command::from(dying_with_the_bench(&qemu));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    let ended = tokio::time::timeout(PROBE, child.wait()).await;
    Ok(matches!(ended, Ok(Ok(status)) if status.code() == Some(LEFT_AS_ASKED)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_processors_flags_tell_of_virtualisation() {
        assert!(has_virtualisation("flags\t\t: fpu vmx sse\n"));
        assert!(has_virtualisation("flags\t\t: fpu svm sse\n"));
        assert!(!has_virtualisation(
            "model name\t: vmx\nflags\t\t: fpu sse svm_lock\n"
        ));
    }
}
