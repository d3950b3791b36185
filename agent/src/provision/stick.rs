//! The medium labelled SLAPBOX: mounted for as long as it takes to read or rewrite one file, in a place of our own.

use std::fs;
use std::io;
use std::io::Read as _;

use anyhow::Context as _;
use camino::{Utf8Path, Utf8PathBuf};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::disk;
use crate::places::Places;

const LABEL: &str = "dev/disk/by-label/SLAPBOX";
const DOCUMENT: &str = "slapbox.toml";
const FILE_SYSTEMS: [&str; 3] = ["vfat", "iso9660", "ext4"];
/// A document is small; what is larger is none.
const MOST_BYTES: u64 = 64 * 1024;

/// Tells one stick from the next, and the same one plugged in again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Stick(Option<(Utf8PathBuf, String)>);

/// Which stick is plugged in, if any. Cheap: asked every other second.
pub(super) fn presence(places: &Places) -> Stick {
    let Ok(device) = places.at(LABEL).canonicalize_utf8() else {
        return Stick(None);
    };
    let node = device.file_name().unwrap_or_default();
    let sequence = places.at("sys/class/block").join(node).join("diskseq");
    let parent = places.at("sys/class/block").join(node).join("../diskseq");
    let number = fs::read_to_string(sequence).or_else(|_| fs::read_to_string(parent));
    Stick(Some((device, number.unwrap_or_default())))
}

/// Reads the document from the stick, if one is plugged in and has one.
pub(super) fn read(places: &Places) -> anyhow::Result<Option<Vec<u8>>> {
    if presence(places) == Stick(None) {
        return Ok(None);
    }
    let mounted = Mounted::open(places, MsFlags::MS_RDONLY)?;
    let path = mounted.folder.join(DOCUMENT);
    let file = match fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context(format!("failed to open {DOCUMENT} on the stick")),
    };
    let mut document = Vec::new();
    file.take(MOST_BYTES)
        .read_to_end(&mut document)
        .context("failed to read the stick")?;
    Ok(Some(document))
}

/// Writes over the document on the stick with one of the same length.
pub(super) fn overwrite(places: &Places, document: &[u8]) -> anyhow::Result<()> {
    let mounted = Mounted::open(places, MsFlags::empty())?;
    Ok(disk::overwrite(&mounted.folder.join(DOCUMENT), document)?)
}

/// A mount that ends when it is dropped.
struct Mounted {
    folder: Utf8PathBuf,
}

impl Mounted {
    fn open(places: &Places, access: MsFlags) -> anyhow::Result<Self> {
        let folder = places.run().join("medium");
        disk::private_folder(&folder)?;
        let device = places.at(LABEL);
        let flags = access | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID;
        let mut tried = Vec::new();
        for kind in FILE_SYSTEMS {
            match try_mount(&device, &folder, kind, flags) {
                Ok(()) => return Ok(Self { folder }),
                Err(error) => tried.push(format!("{kind}: {error}")),
            }
        }
        anyhow::bail!("the stick cannot be mounted ({})", tried.join(", "))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = umount2(self.folder.as_std_path(), MntFlags::MNT_DETACH) {
            tracing::warn!("cannot unmount the stick: {error}");
        }
    }
}

fn try_mount(device: &Utf8Path, folder: &Utf8Path, kind: &str, flags: MsFlags) -> nix::Result<()> {
    mount(
        Some(device.as_std_path()),
        folder.as_std_path(),
        Some(kind),
        flags,
        None::<&str>,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// An ext4 file system on a loop device.
    struct Loop(String);

    impl Loop {
        fn with(file: &Utf8Path, document: &str) -> Option<Self> {
            let folder = file.with_extension("content");
            fs::create_dir(&folder).unwrap();
            disk::replace(&folder.join(DOCUMENT), document.as_bytes()).unwrap();
            fs::File::create(file).unwrap().set_len(4 << 20).unwrap();
            run(
                "mkfs.ext4",
                &["-q", "-d", folder.as_str(), "-L", "SLAPBOX", file.as_str()],
            )?;
            let device = run("losetup", &["--find", "--show", file.as_str()])?;
            Some(Self(device.trim().to_owned()))
        }
    }

    impl Drop for Loop {
        fn drop(&mut self) {
            run("losetup", &["--detach", &self.0]);
        }
    }

    fn run(program: &str, arguments: &[&str]) -> Option<String> {
        let output = Command::new(program).args(arguments).output().ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn skip(why: &str) {
        use std::io::Write as _;
        writeln!(io::stderr(), "skipped: {why}").unwrap();
    }

    #[test]
    fn a_stick_is_read_and_its_document_overwritten_in_place() {
        if !nix::unistd::geteuid().is_root() {
            return skip("only root mounts");
        }
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        let places = Places::under(&root);
        assert_eq!(read(&places).unwrap(), None);
        let Some(stick) = Loop::with(&root.join("image"), "join = \"secret\"\n") else {
            return skip("mkfs.ext4 or a loop device is missing");
        };
        fs::create_dir_all(places.at("dev/disk/by-label")).unwrap();
        std::os::unix::fs::symlink(&stick.0, places.at(LABEL)).unwrap();
        assert_ne!(presence(&places), Stick::default());
        assert_eq!(read(&places).unwrap().unwrap(), b"join = \"secret\"\n");
        overwrite(&places, b"# blank          \n").unwrap();
        assert_eq!(read(&places).unwrap().unwrap(), b"# blank          \n");
        let raw = fs::read(root.join("image")).unwrap();
        assert!(
            !raw.windows(6).any(|six| six == b"secret"),
            "the secret is still on the medium"
        );
        assert!(
            fs::read_dir(places.run().join("medium"))
                .unwrap()
                .next()
                .is_none(),
            "still mounted"
        );
    }
}
