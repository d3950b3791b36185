//! What the kernel is asked: the one place that needs `unsafe`.
//!
//! `quotactl_fd(2)` takes the file system by a descriptor, so that nobody has to find the device below it. Numbers and structures are those of
//! `linux/quota.h`, `linux/dqblk_xfs.h` and `linux/fs.h`.
#![expect(
    unsafe_code,
    reason = "quotas are a system call and ioctls; each call site says why it is sound"
)]

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use super::Owner;

const USERS: c_int = 0;
const PROJECTS: c_int = 2;
const GET_QUOTA: c_int = libc::Q_GETQUOTA;
const SET_QUOTA: c_int = libc::Q_SETQUOTA;
/// `Q_XGETQSTAT`: which quotas a file system counts and holds. It is XFS's, and the kernel answers it for all.
const GET_STATE: c_int = (b'X' as c_int) << 8 | 5;
/// `FS_QUOTA_UDQ_ENFD` and `FS_QUOTA_PDQ_ENFD`: what users and projects may use is held.
const BOTH_HELD: u16 = 1 << 1 | 1 << 5;
/// `FS_XFLAG_PROJINHERIT`: what is made in the folder belongs to its project.
const INHERITED: u32 = 0x200;

/// `struct fs_quota_stat`.
#[repr(C)]
struct State {
    version: i8,
    flags: u16,
    rest: [u8; 76],
}

/// `struct fsxattr`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Attributes {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    copy_extent_size: u32,
    padding: [u8; 8],
}

nix::ioctl_read!(get_attributes, b'X', 31, Attributes);
nix::ioctl_write_ptr!(set_attributes, b'X', 32, Attributes);

/// Whether what users and what projects may use is held.
pub(crate) fn holds_quotas(file: BorrowedFd<'_>) -> io::Result<bool> {
    let mut state = State {
        version: 0,
        flags: 0,
        rest: [0; 76],
    };
    // SAFETY: the kernel writes one `fs_quota_stat`, and `State` is as large (checked below) and lives on.
    match unsafe { call(file, GET_STATE, USERS, 0, (&raw mut state).cast()) } {
        Ok(()) => Ok(state.flags & BOTH_HELD == BOTH_HELD),
        Err(error) => match error.raw_os_error() {
            // The kernel or the file system has none, or a container may not ask.
            Some(libc::ENOSYS | libc::ENOTTY | libc::EOPNOTSUPP | libc::EINVAL | libc::EPERM) => {
                Ok(false)
            }
            _ => Err(error),
        },
    }
}

const _: () = assert!(size_of::<State>() == 80 && size_of::<Attributes>() == 28);

/// Returns what the kernel knows of an owner; of one that it never heard of nothing is used.
pub(crate) fn quota(file: BorrowedFd<'_>, owner: Owner) -> io::Result<libc::dqblk> {
    let (kind, id) = kind_and_id(owner);
    let mut found = nothing();
    // SAFETY: the kernel writes one `if_dqblk`, which `dqblk` is, and it lives on.
    match unsafe { call(file, GET_QUOTA, kind, id, (&raw mut found).cast()) } {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(nothing()),
        Err(error) => Err(error),
        Ok(()) => Ok(found),
    }
}

/// Lets an owner use so many blocks, none being no limit.
pub(crate) fn limit(file: BorrowedFd<'_>, owner: Owner, blocks: u64) -> io::Result<()> {
    let (kind, id) = kind_and_id(owner);
    let mut wanted = libc::dqblk {
        dqb_bhardlimit: blocks,
        dqb_valid: libc::QIF_BLIMITS,
        ..nothing()
    };
    // SAFETY: the kernel reads one `if_dqblk`, which `dqblk` is, and it lives on.
    unsafe { call(file, SET_QUOTA, kind, id, (&raw mut wanted).cast()) }
}

/// Puts a folder into a project.
pub(crate) fn put_into_project(folder: BorrowedFd<'_>, project: u32) -> io::Result<()> {
    let mut attributes = Attributes::default();
    // SAFETY: the kernel writes one `fsxattr`, and `Attributes` is as large (checked above) and lives on.
    unsafe { get_attributes(folder.as_raw_fd(), &raw mut attributes)? };
    if attributes.project == project && attributes.flags & INHERITED != 0 {
        return Ok(());
    }
    attributes.project = project;
    attributes.flags |= INHERITED;
    // SAFETY: the kernel reads one `fsxattr`, and `Attributes` is as large and lives on.
    unsafe { set_attributes(folder.as_raw_fd(), &raw const attributes)? };
    Ok(())
}

fn kind_and_id(owner: Owner) -> (c_int, u32) {
    match owner {
        Owner::User(id) => (USERS, id),
        Owner::Project(id) => (PROJECTS, id),
    }
}

fn nothing() -> libc::dqblk {
    // SAFETY: all zeros is a valid `dqblk`: it is made of numbers.
    unsafe { std::mem::zeroed() }
}

/// # Safety
///
/// `about` must point to what the command reads or writes.
unsafe fn call(
    file: BorrowedFd<'_>,
    command: c_int,
    kind: c_int,
    id: u32,
    about: *mut c_void,
) -> io::Result<()> {
    // SAFETY: the caller answers for the pointer; the rest are numbers, and the file is open.
    let done = unsafe {
        libc::syscall(
            libc::SYS_quotactl_fd,
            file.as_raw_fd(),
            libc::QCMD(command, kind),
            id,
            about,
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
