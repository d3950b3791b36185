//! The disk of a small guest for tests: the product's own kernel with busybox, started by systemd-boot, which takes its address from its
//! seed as cloud-init would. Boots in seconds where machines are emulated, too.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};

use crate::cell::Cell;
use crate::files::{empty_folder, put};
use crate::product::{Product, Tools};
use crate::story::act;

const INIT: &str = include_str!("guest/init.sh");
/// What the kernel loads for its disks, their files, its card and its button, in this order.
const MODULES: [&str; 10] = [
    "drivers/block/virtio_blk",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
    "fs/nls/nls_ascii",
    "fs/nls/nls_cp437",
    "fs/fat/fat",
    "fs/fat/vfat",
    "drivers/input/evdev",
    "drivers/acpi/button",
];
const BOOT: &str = "usr/lib/systemd/boot/efi/systemd-bootx64.efi";
const LOADER: &str = "timeout 0\ndefault guest.conf\n";
const ENTRY: &str = "title guest\nlinux /kernel\ninitrd /initrd\noptions console=ttyS0 quiet panic=-1 no_timer_check\n";
/// 64 MB, in sectors.
const SIZE: &str = "131072";

/// The disk of a guest.
#[derive(Debug)]
pub struct Guest {
    /// Of its image, in hexadecimal.
    pub sha256: String,
}

impl Guest {
    /// Makes the disk's image; modules are taken from a box that runs.
    pub fn make(
        product: &Product,
        cell: &Cell,
        folder: &Utf8Path,
        image: &Utf8Path,
    ) -> Result<Self> {
        act("make the disk of a guest");
        let (root, tools) = (folder.join("initrd"), &product.tools);
        for part in ["bin", "modules"] {
            empty_folder(&root.join(part))?;
        }
        put(&root.join("init"), INIT)?;
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(root.join("init"), executable).context("cannot make it executable")?;
        copy_busybox(&root.join("bin/busybox"))?;
        copy_modules(tools, cell, &root.join("modules"))?;
        let initrd = pack(tools, &root)?;
        let (kernel, loader, entry) = (
            folder.join("kernel"),
            folder.join("loader.conf"),
            folder.join("guest.conf"),
        );
        let uki = product.usr.with_file_name("slapbox.efi");
        let uki = fs::read(&uki).with_context(|| format!("cannot read {uki}"))?;
        put(
            &kernel,
            section(&uki, b".linux").context("an image without a kernel")?,
        )?;
        put(&loader, LOADER)?;
        put(&entry, ENTRY)?;
        let _ = fs::remove_file(image);
        mtool(
            tools,
            image,
            "mformat",
            &["-C", "-T", SIZE, "-h", "2", "-s", "32", "::"],
        )?;
        let folders = ["::EFI", "::EFI/BOOT", "::loader", "::loader/entries"];
        mtool(tools, image, "mmd", &folders)?;
        for (from, to) in [
            (&tools.file(BOOT), "::EFI/BOOT/BOOTX64.EFI"),
            (&loader, "::loader/loader.conf"),
            (&entry, "::loader/entries/guest.conf"),
            (&kernel, "::kernel"),
            (&initrd, "::initrd"),
        ] {
            mtool(tools, image, "mcopy", &[from.as_str(), to])?;
        }
        let content = fs::read(image).with_context(|| format!("cannot read {image}"))?;
        let digest = Sha256::digest(content);
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { sha256 })
    }
}

fn copy_busybox(to: &Utf8Path) -> Result<()> {
    let found = ["/bin/busybox", "/usr/bin/busybox"].map(Utf8Path::new);
    let found = found.into_iter().find(|path| path.exists());
    let found = found.context("busybox is missing: it is in the package busybox-static")?;
    let program = fs::read(found).with_context(|| format!("cannot read {found}"))?;
    let needs_libraries = program
        .windows(13)
        .take(4096)
        .any(|it| it == b"/lib64/ld-lin");
    ensure!(
        !needs_libraries,
        "{found} needs libraries: busybox-static has one that does not"
    );
    fs::copy(found, to).with_context(|| format!("cannot copy {found}"))?;
    Ok(())
}

fn copy_modules(tools: &Tools, cell: &Cell, to: &Utf8Path) -> Result<()> {
    let all = Utf8PathBuf::from(format!("{}/usr/lib/modules", cell.namespace().root()?));
    let mut kernels = all
        .read_dir_utf8()
        .with_context(|| format!("cannot list {all}"))?;
    let kernel = kernels.next().context("the box has no modules")??;
    for (number, module) in MODULES.iter().enumerate() {
        let from = kernel.path().join(format!("kernel/{module}.ko.xz"));
        let from = File::open(&from).with_context(|| format!("cannot open {from}"))?;
        let name = module.rsplit('/').next().unwrap_or(module);
        let into = to.join(format!("{number:02}-{name}.ko"));
        let into = File::create(&into).with_context(|| format!("cannot create {into}"))?;
        let mut unpack = tools.command("xz");
        unpack
            .args(["--decompress", "--stdout"])
            .stdin(from)
            .stdout(into);
        let status = unpack.status().context("cannot run xz")?;
        ensure!(status.success(), "the module {module} cannot be unpacked");
    }
    Ok(())
}

/// Packs a folder as the kernel takes it.
fn pack(tools: &Tools, root: &Utf8Path) -> Result<Utf8PathBuf> {
    let packed = root.with_extension("cpio");
    let file = File::create(&packed).with_context(|| format!("cannot create {packed}"))?;
    let mut cpio = tools.command("cpio");
    cpio.args(["--create", "--quiet", "--format=newc", "--owner=+0:+0"]);
    cpio.current_dir(root).stdin(Stdio::piped()).stdout(file);
    let mut child = cpio.spawn().context("cannot run cpio")?;
    let mut names = vec!["init".to_owned()];
    for folder in ["bin", "modules"] {
        names.push(folder.to_owned());
        let entries = root
            .join(folder)
            .read_dir_utf8()
            .context("cannot list an initrd")?;
        for entry in entries {
            names.push(format!("{folder}/{}", entry?.file_name()));
        }
    }
    let mut input = child.stdin.take().context("cpio has an input")?;
    std::io::Write::write_all(&mut input, (names.join("\n") + "\n").as_bytes())?;
    drop(input);
    ensure!(child.wait()?.success(), "an initrd cannot be packed");
    Ok(packed)
}

/// Finds a section of a program for EFI. Source: Microsoft's specification of the PE format.
fn section<'a>(program: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let number = |at: usize, length: usize| {
        let bytes = program.get(at..at + length)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        )
    };
    let header = number(0x3c, 4)?;
    let (count, optional) = (number(header + 6, 2)?, number(header + 20, 2)?);
    let mut sections = (0..count).map(|index| header + 24 + optional + index * 40);
    let found = sections.find(|at| program.get(*at..*at + name.len()) == Some(name))?;
    let (length, at) = (number(found + 8, 4)?, number(found + 20, 4)?);
    program.get(at..at + length)
}

fn mtool(tools: &Tools, image: &Utf8Path, program: &str, arguments: &[&str]) -> Result<()> {
    let mut command = tools.command(program);
    command.args(["-i", image.as_str()]).args(arguments);
    let output = command
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{program} failed: {}",
        complaint.trim()
    );
    Ok(())
}
