//! One machine: a QEMU process over a disk that starts as the product's image and stays from boot to boot.
//! The image itself is never written; a power cut is SIGKILL, without a word to the guest.

pub mod arguments;
mod monitor;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camino::{Utf8Path, Utf8PathBuf};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

use crate::accelerator::Accelerator;
use crate::child::Child;
use crate::console::Console;
use crate::eventually::{eventually, seconds};
use crate::files;
use crate::product::{Product, Tools};
use crate::seed::Seed;
use crate::stick::Stick;
use crate::story::act;

use self::arguments::{Files, Hardware, arguments};
use self::monitor::Monitor;

const DISK_SIZE: &str = "8G";
const FIRMWARE: &str = "usr/share/OVMF/OVMF_CODE_4M.fd";
const FIRMWARE_VARIABLES: &str = "usr/share/OVMF/OVMF_VARS_4M.fd";

/// A machine, switched on or off.
#[derive(Debug)]
pub struct Machine {
    name: String,
    folder: Utf8PathBuf,
    hardware: Hardware,
    tools: Tools,
    image: Utf8PathBuf,
    boots: u32,
    told: bool,
    // A socket's path must be short, the lab's folder may not be.
    sockets: tempfile::TempDir,
    qemu: Option<Child>,
}

impl Machine {
    /// Makes a machine, switched off, in `folder`. It reads `seed` at every boot, as from an SMBIOS credential.
    pub fn make(
        name: &str,
        folder: &Utf8Path,
        hardware: Hardware,
        product: &Product,
        seed: Option<&Seed>,
    ) -> Result<Self> {
        files::empty_folder(folder)?;
        let machine = Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            hardware,
            tools: product.tools.clone(),
            image: product.image.clone(),
            boots: 0,
            told: seed.is_some(),
            sockets: tempfile::Builder::new()
                .prefix("slapbox-")
                .tempdir()
                .context("cannot make a folder for sockets")?,
            qemu: None,
        };
        if let Some(seed) = seed {
            let document = STANDARD.encode(seed.text());
            files::put(
                &machine.credential(),
                format!("io.systemd.credential.binary:slapbox.configuration={document}"),
            )?;
        }
        let variables = product.tools.file(FIRMWARE_VARIABLES);
        std::fs::copy(&variables, machine.file("firmware"))
            .with_context(|| format!("cannot copy {variables}"))?;
        machine.lay_disk_over(&product.image)?;
        Ok(machine)
    }

    /// Switches the machine on.
    pub async fn boot(&mut self) -> Result<()> {
        let accelerator = Accelerator::choose(&self.tools).await;
        ensure!(self.qemu.is_none(), "{} is on already", self.name);
        self.boots += 1;
        act(format_args!(
            "switch on {} ({} MiB, {accelerator})",
            self.name, self.hardware.memory
        ));
        let credential = self.credential();
        let monitor = self.monitor_socket()?;
        let keyboard = self.keyboard_socket()?;
        for socket in [&monitor, &keyboard] {
            let _ = std::fs::remove_file(socket);
        }
        let files = Files {
            disk: &self.file("disk.qcow2"),
            firmware: &self.tools.file(FIRMWARE),
            variables: &self.file("firmware"),
            credential: self.told.then_some(credential.as_path()),
            console: &self.console_log(),
            monitor: &monitor,
            keyboard: &keyboard,
        };
        let mut qemu = self.tools.qemu();
        qemu.args(arguments(accelerator, &self.hardware, &files));
        let log = self.file(&format!("qemu-{}.log", self.boots));
        self.qemu = Some(Child::start(
            &format!("the QEMU of {}", self.name),
            &qemu,
            &log,
        )?);
        let awake = eventually(format!("{} has power", self.name), async || {
            self.monitor().await
        });
        awake.within(seconds(20)).await.map(drop)
    }

    /// Takes the power away.
    pub fn cut_power(&mut self) {
        act(format_args!("cut the power of {}", self.name));
        self.qemu = None;
    }

    /// Changes one byte of the disk, while the machine is off.
    pub fn alter_byte(&mut self, offset: u64) -> Result<()> {
        ensure!(self.qemu.is_none(), "{} is on", self.name);
        act(format_args!(
            "alter one byte of the disk of {}, at {offset}",
            self.name
        ));
        let disk = self.file("disk.qcow2");
        let mut byte = [0];
        File::open(&self.image)
            .and_then(|image| image.read_exact_at(&mut byte, offset))
            .context("cannot read the image")?;
        let write = format!("write -P {} {offset} 1", byte[0] ^ 0xff);
        run(
            self.tools
                .command("qemu-io")
                .args(["-f", "qcow2", "-c", &write, disk.as_str()]),
            "qemu-io",
        )
    }

    /// Plugs a stick in.
    pub async fn plug(&mut self, stick: &Stick) -> Result<()> {
        act(format_args!("plug a stick into {}", self.name));
        self.monitor()
            .await?
            .plug_stick(&stick_name(stick), stick.path())
            .await
    }

    /// Pulls a stick out.
    pub async fn pull(&mut self, stick: &Stick) -> Result<()> {
        act(format_args!("pull the stick out of {}", self.name));
        self.monitor().await?.pull_stick(&stick_name(stick)).await
    }

    /// The console since the machine was last switched on.
    pub fn console(&self) -> Console {
        Console::at(&self.console_log())
    }

    /// Where the console is logged.
    pub fn console_log(&self) -> Utf8PathBuf {
        self.file(&format!("console-{}.log", self.boots))
    }

    /// The image its disk began as.
    pub fn image(&self) -> &Utf8Path {
        &self.image
    }

    /// The machine's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Refuses, for good, when the machine is off or QEMU has ended.
    pub fn must_run(&mut self) -> Result<()> {
        self.qemu
            .as_mut()
            .with_context(|| format!("{} is off", self.name))?
            .must_live()
    }

    /// How many of the host's processors the machine uses, over two seconds.
    pub async fn load(&self) -> Result<f64> {
        let qemu = self.qemu.as_ref();
        let id = qemu.with_context(|| format!("{} is off", self.name))?.id();
        let clock = clock_getcpuclockid(Pid::from_raw(id.try_into()?))
            .context("cannot find the processor time of QEMU")?;
        let used = || -> Result<Duration> { Ok(clock.now()?.into()) };
        let before = used()?;
        let start = Instant::now();
        tokio::time::sleep(seconds(2)).await;
        Ok((used()?.saturating_sub(before)).as_secs_f64() / start.elapsed().as_secs_f64())
    }

    async fn monitor(&mut self) -> Result<Monitor> {
        self.must_run()?;
        Monitor::connect(&self.monitor_socket()?).await
    }

    fn lay_disk_over(&self, image: &Utf8Path) -> Result<()> {
        let image = image
            .canonicalize_utf8()
            .with_context(|| format!("{image} is not there"))?;
        let mut command = self.tools.command("qemu-img");
        command.args([
            "create",
            "-q",
            "-f",
            "qcow2",
            "-F",
            "raw",
            "-b",
            image.as_str(),
        ]);
        run(
            command.args([self.file("disk.qcow2").as_str(), DISK_SIZE]),
            "qemu-img",
        )
    }

    fn monitor_socket(&self) -> Result<Utf8PathBuf> {
        files::utf8(self.sockets.path().join("monitor"))
    }

    /// Where its keyboard is, if it has one.
    pub fn keyboard_socket(&self) -> Result<Utf8PathBuf> {
        files::utf8(self.sockets.path().join("keyboard"))
    }

    fn credential(&self) -> Utf8PathBuf {
        self.file("credential")
    }

    fn file(&self, name: &str) -> Utf8PathBuf {
        self.folder.join(name)
    }
}

fn stick_name(stick: &Stick) -> String {
    stick.path().file_stem().unwrap_or("stick").to_owned()
}

fn run(command: &mut std::process::Command, name: &str) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    ensure!(
        output.status.success(),
        "{name} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::detail;

    /// A product without a system on its disk: enough to try the machine itself.
    fn hollow_product(folder: &Utf8Path) -> Option<Product> {
        let tools = Tools::find().unwrap();
        if !tools.exist() {
            detail("not tried: there is no tools tree, `cargo image tools` makes it");
            return None;
        }
        let image = folder.join("image.raw");
        files::put(&image, vec![7; 1 << 20]).unwrap();
        Some(Product {
            image,
            usr: folder.join("usr"),
            demo: folder.join("demo"),
            builder: folder.join("builder"),
            tools,
        })
    }

    #[tokio::test]
    async fn a_machine_is_switched_on_gets_a_stick_and_loses_its_power() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = files::utf8(scratch.path().to_owned()).unwrap();
        let Some(product) = hollow_product(&folder) else {
            return;
        };
        let seed = Seed::malformed();
        let mut machine = Machine::make(
            "box",
            &folder.join("box"),
            Hardware {
                takes_sticks: true,
                ..Hardware::small(2)
            },
            &product,
            Some(&seed),
        )
        .unwrap();
        machine.alter_byte(4711).unwrap();
        machine.boot().await.unwrap();
        let stick = Stick::with(&seed, &folder.join("told.stick"), &product.tools).unwrap();
        machine.plug(&stick).await.unwrap();
        machine.pull(&stick).await.unwrap();
        assert_eq!(stick.document(&product.tools).unwrap(), seed.text());
        machine.must_run().unwrap();
        machine.cut_power();
        assert!(machine.must_run().is_err());
        machine.boot().await.unwrap();
        machine.must_run().unwrap();
    }
}
