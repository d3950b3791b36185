//! Emptying a partition, however its user filled it: links are removed and never followed, folders with very many
//! entries are read in parts, and a tree deeper than descriptors or stack allow is made flat while it goes.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// Folders below this depth are moved to the top before they are emptied.
const DEEPEST: usize = 32;
/// How many entries are read before they are removed.
const PART: usize = 1024;

/// Removes everything in the folder.
pub(crate) fn wipe(root: &OwnedFd) -> io::Result<()> {
    empty(root, root, 0, &mut 0)
}

/// Removes a folder with everything in it.
pub(crate) fn remove_folder(parent: &OwnedFd, name: &Path) -> io::Result<()> {
    let name = CString::new(name.as_os_str().as_bytes())?;
    wipe(&open_folder(parent, &name)?)?;
    unlink(parent, &name, UnlinkatFlags::RemoveDir)
}

fn empty(root: &OwnedFd, folder: &OwnedFd, depth: usize, moved: &mut u64) -> io::Result<()> {
    loop {
        let entries = some_entries(folder)?;
        if entries.is_empty() {
            return Ok(());
        }
        for (name, is_folder) in entries {
            if !is_folder {
                unlink(folder, &name, UnlinkatFlags::NoRemoveDir)?;
            } else if depth == DEEPEST {
                move_to_top(root, folder, &name, moved)?;
            } else {
                empty(root, &open_folder(folder, &name)?, depth + 1, moved)?;
                unlink(folder, &name, UnlinkatFlags::RemoveDir)?;
            }
        }
    }
}

fn move_to_top(
    root: &OwnedFd,
    folder: &OwnedFd,
    name: &CString,
    moved: &mut u64,
) -> io::Result<()> {
    loop {
        *moved += 1;
        let target = format!(".slapbox-deep-{moved}");
        match renameat(folder, name.as_c_str(), root, target.as_str()) {
            // The partition has something of that name itself.
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => {}
            Err(error) => return Err(error.into()),
            Ok(()) => return Ok(()),
        }
    }
}

fn some_entries(folder: &OwnedFd) -> io::Result<Vec<(CString, bool)>> {
    // A descriptor of its own, so that reading starts at the beginning.
    let mut reader = Dir::from_fd(open_folder(folder, c".")?)?;
    let mut found = Vec::new();
    for entry in reader.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let is_folder = match entry.file_type() {
            Some(kind) => kind == Type::Directory,
            None => {
                let stat = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
                SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR
            }
        };
        found.push((name.to_owned(), is_folder));
        if found.len() == PART {
            break;
        }
    }
    Ok(found)
}

fn open_folder(folder: &OwnedFd, name: &std::ffi::CStr) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(folder, name, flags, Mode::empty())?)
}

fn unlink(folder: &OwnedFd, name: &CString, how: UnlinkatFlags) -> io::Result<()> {
    match unlinkat(folder, name.as_c_str(), how) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
