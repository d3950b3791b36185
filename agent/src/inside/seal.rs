//! Gives a folder that somebody filled to root, with everything in it.

use std::io;
use std::os::fd::OwnedFd;

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstatat};
use nix::unistd::{Uid, fchown, fchownat};

use super::{Inside, open_below};

/// Deeper trees than any software has would need more descriptors than we may have.
const DEEPEST: usize = 128;

impl Inside {
    /// Opens a folder below as one that nothing reaches out of.
    pub fn below(&self, path: &str) -> io::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let root = open_below(&self.root, path, flags, Mode::empty())?;
        Ok(Self { root })
    }

    /// Makes root the owner of everything in the folder and, last, of the folder itself, so that whoever finds it root's finds all of
    /// it so. Groups and modes stay, but that the kernel takes set-user-ID bits away.
    pub fn seal(&self) -> io::Result<()> {
        seal(&self.root, 0)?;
        Ok(fchown(&self.root, Some(Uid::from_raw(0)), None)?)
    }
}

fn seal(folder: &OwnedFd, depth: usize) -> io::Result<()> {
    if depth == DEEPEST {
        return Err(io::Error::other("its folders are too deep"));
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    // A descriptor of its own, so that reading starts at the beginning.
    let here = openat(folder, ".", flags, Mode::empty())?;
    for entry in Dir::from_fd(here)?.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR {
            seal(&openat(folder, name, flags, Mode::empty())?, depth + 1)?;
        }
        let root = Some(Uid::from_raw(0));
        fchownat(folder, name, root, None, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}
