//! Makes persistent taps: the one place that needs ioctls of the tun device, and so `unsafe`.
//!
//! Netlink cannot make a tap, and no well-kept crate makes one that stays after its file is closed and belongs to a
//! user. The three calls take numbers and one structure that lives longer than the call.
#![expect(
    unsafe_code,
    reason = "the tun device is driven by ioctls; each call site says why it is sound"
)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;

use nix::net::if_::if_nametoindex;

nix::ioctl_write_ptr_bad!(set_interface, libc::TUNSETIFF, libc::ifreq);
nix::ioctl_write_int_bad!(set_owner, libc::TUNSETOWNER);
nix::ioctl_write_int_bad!(set_persistent, libc::TUNSETPERSIST);

/// Makes a persistent tap of a user, or gives an existing one to that user; returns the interface's number.
pub(crate) fn make(name: &str, owner: u32) -> io::Result<u32> {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")?;
    attach(&device, name)?;
    let owner = i32::try_from(owner).map_err(io::Error::other)?;
    // SAFETY: both calls take a number, and the file is open.
    unsafe {
        set_owner(device.as_raw_fd(), owner)?;
        set_persistent(device.as_raw_fd(), 1)?;
    }
    Ok(if_nametoindex(name)?)
}

fn attach(device: &File, name: &str) -> io::Result<()> {
    // SAFETY: all zeros is a valid `ifreq`: numbers, arrays of numbers and null pointers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (slot, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *slot = byte.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the pointer is to a live, initialised `ifreq`, which the kernel reads and writes back in place.
    unsafe { set_interface(device.as_raw_fd(), &raw const request)? };
    Ok(())
}
