//! A machine as QEMU's command line. No file, no clock, no process.

use camino::{Utf8Path, Utf8PathBuf};

use crate::accelerator::Accelerator;
use crate::network::Forward;

/// Set by somebody who looks for a fault: boxes log to their consoles.
const TALKATIVE: &str = "SLAPBOX_QA_TALKATIVE";
const TALK: &str = "systemd.journald.forward_to_console=1 systemd.journald.max_level_console=info systemd.show_status=1 loglevel=6";
/// A root shell without a login, from systemd itself, on a console that no login takes from it.
const SHELL: &str = "systemd.debug_shell=hvc0 systemd.mask=serial-getty@hvc0.service";

/// What a machine is made of.
#[derive(Debug, Clone)]
pub struct Hardware {
    /// Memory in MiB.
    pub memory: u32,
    /// Processors.
    pub processors: u32,
    /// What its clock says when it is switched on: `utc`, or a date such as `1970-01-01T00:01:00`.
    pub clock: String,
    /// Ports of the host that lead into it.
    pub forwards: Vec<Forward>,
    /// Whether sticks can be plugged in.
    pub takes_sticks: bool,
    /// A medium in its drive, which it only reads.
    pub medium: Option<Utf8PathBuf>,
    /// Whether somebody sits at its keyboard: systemd is asked for a shell there.
    pub has_keyboard: bool,
    /// Whether its system shall log to the console, for somebody who looks for a fault.
    pub talkative: bool,
    /// Distinguishes it from the lab's other machines.
    pub number: u8,
}

impl Hardware {
    /// The smallest box that is promised to work.
    pub fn small(number: u8) -> Self {
        Self {
            memory: 512,
            processors: 2,
            clock: "utc".to_owned(),
            forwards: Vec::new(),
            takes_sticks: false,
            medium: None,
            has_keyboard: false,
            talkative: std::env::var_os(TALKATIVE).is_some(),
            number,
        }
    }
}

/// The files of one boot.
#[derive(Debug)]
pub struct Files<'a> {
    /// The disk, qcow2.
    pub disk: &'a Utf8Path,
    /// The firmware's code.
    pub firmware: &'a Utf8Path,
    /// The firmware's variables.
    pub variables: &'a Utf8Path,
    /// A file with the systemd credential for SMBIOS, if the machine is told who it is.
    pub credential: Option<&'a Utf8Path>,
    /// Where the serial console is logged.
    pub console: &'a Utf8Path,
    /// The monitor's socket.
    pub monitor: &'a Utf8Path,
    /// The keyboard's socket.
    pub keyboard: &'a Utf8Path,
}

/// QEMU's arguments.
pub fn arguments(accelerator: Accelerator, hardware: &Hardware, files: &Files<'_>) -> Vec<String> {
    let mut line = Line::default();
    line.option("-machine", "q35,smm=off,vmport=off");
    line.option("-accel", accelerator.argument());
    line.option("-cpu", "max");
    line.option("-smp", hardware.processors);
    line.option("-m", hardware.memory);
    line.option(
        "-uuid",
        format_args!("5b0c0000-0000-4000-8000-0000000000{:02x}", hardware.number),
    );
    line.option("-rtc", format_args!("base={}", hardware.clock));
    line.flag("-nodefaults");
    line.flag("-no-user-config");
    line.option("-display", "none");
    line.option("-vga", "none");
    drives(&mut line, hardware, files);
    line.option("-device", "virtio-rng-pci");
    if hardware.takes_sticks {
        // Debian's kernel for virtual machines has no USB: a removable SCSI disk is its stick.
        line.option("-device", "virtio-scsi-pci,id=slot");
    }
    line.option("-nic", nic(hardware));
    line.option(
        "-qmp",
        format_args!("unix:{},server=on,wait=off", files.monitor),
    );
    consoles(&mut line, hardware, files);
    line.0
}

fn drives(line: &mut Line, hardware: &Hardware, files: &Files<'_>) {
    line.option(
        "-drive",
        format_args!(
            "if=pflash,unit=0,format=raw,readonly=on,file={}",
            files.firmware
        ),
    );
    line.option(
        "-drive",
        format_args!("if=pflash,unit=1,format=raw,file={}", files.variables),
    );
    line.option(
        "-drive",
        format_args!(
            "if=none,id=disk,format=qcow2,cache=writeback,discard=unmap,file={}",
            files.disk
        ),
    );
    line.option("-device", "virtio-blk-pci,drive=disk,bootindex=1");
    if let Some(medium) = &hardware.medium {
        line.option(
            "-drive",
            format_args!("if=none,id=medium,format=raw,readonly=on,file={medium}"),
        );
        line.option("-device", "virtio-blk-pci,drive=medium");
    }
}

/// What the machine says, is told and is asked.
fn consoles(line: &mut Line, hardware: &Hardware, files: &Files<'_>) {
    line.option(
        "-chardev",
        format_args!("file,id=console,path={}", files.console),
    );
    line.option("-serial", "chardev:console");
    if let Some(credential) = files.credential {
        line.option("-smbios", format_args!("type=11,path={credential}"));
    }
    let mut more = Vec::new();
    if hardware.talkative {
        more.push(TALK);
    }
    if hardware.has_keyboard {
        line.option("-device", "virtio-serial-pci");
        line.option(
            "-chardev",
            format_args!(
                "socket,id=keyboard,path={},server=on,wait=off",
                files.keyboard
            ),
        );
        line.option("-device", "virtconsole,chardev=keyboard");
        more.push(SHELL);
    }
    if !more.is_empty() {
        let more = more.join(" ");
        line.option(
            "-smbios",
            format_args!("type=11,value=io.systemd.stub.kernel-cmdline-extra={more}"),
        );
    }
}

fn nic(hardware: &Hardware) -> String {
    // The host's IPv6 must not matter to a scenario: the overlay brings its own.
    let mut nic = format!(
        "user,model=virtio-net-pci,ipv6=off,mac=52:54:00:5b:00:{:02x}",
        hardware.number
    );
    for Forward { protocol, from, to } in &hardware.forwards {
        nic.push_str(&format!(",hostfwd={protocol}:127.0.0.1:{from}-:{to}"));
    }
    nic
}

#[derive(Default)]
struct Line(Vec<String>);

impl Line {
    fn flag(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    fn option(&mut self, name: &str, value: impl ToString) {
        self.0.extend([name.to_owned(), value.to_string()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::MasterAddress;

    fn line(hardware: &Hardware, credential: Option<&Utf8Path>) -> String {
        let path = Utf8Path::new("lab/file");
        let files = Files {
            disk: path,
            firmware: path,
            variables: path,
            credential,
            console: path,
            monitor: path,
            keyboard: path,
        };
        arguments(Accelerator::Tcg, hardware, &files).join(" ")
    }

    #[test]
    fn a_small_box_has_512_mib_and_no_port_open() {
        let line = line(&Hardware::small(2), None);
        assert!(
            line.contains("-m 512 ") && line.contains("base=utc"),
            "{line}"
        );
        assert!(
            !line.contains("hostfwd") && !line.contains("-smbios"),
            "{line}"
        );
    }

    #[test]
    fn whoever_sits_at_a_keyboard_has_a_shell_behind_it() {
        let hardware = Hardware {
            medium: Some("lab/medium".into()),
            has_keyboard: true,
            ..Hardware::small(3)
        };
        let line = line(&hardware, None);
        for part in [
            "id=medium,format=raw,readonly=on,file=lab/medium",
            "virtconsole,chardev=keyboard",
            "kernel-cmdline-extra=systemd.debug_shell=hvc0",
        ] {
            assert!(line.contains(part), "{line}");
        }
    }

    #[test]
    fn only_loopback_ports_lead_into_a_master() {
        let address = MasterAddress {
            tls: 4430,
            overlay: 6330,
        };
        let hardware = Hardware {
            forwards: address.forwards(),
            ..Hardware::small(1)
        };
        let line = line(&hardware, Some(Utf8Path::new("lab/credential")));
        assert!(
            line.contains("hostfwd=tcp:127.0.0.1:4430-:443,hostfwd=udp:127.0.0.1:6330-:6326"),
            "{line}"
        );
        assert!(
            line.contains("-smbios type=11,path=lab/credential"),
            "{line}"
        );
    }
}
