//! `slapbox node console PARTITION`: reads and types at the serial console of the virtual machine in a partition. Its socket lies in a folder
//! whose user may put anything there: it is reached below that folder only, and through no link.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use super::must_be_root;
use crate::output;

/// Where instances that have a console have its socket, in the partition's directory.
const SOCKET: &str = "var/run/console";
/// Ctrl-], as with telnet.
const ESCAPE: u8 = 0x1d;

/// Connects this terminal until Ctrl-] is typed, or either end is gone.
pub(super) fn console(partition: u16) -> Result<()> {
    must_be_root()?;
    let folder = format!("/srv/slapgrid/slappart{partition}");
    let socket =
        find(&folder).with_context(|| format!("there is no console in slappart{partition}"))?;
    // What was opened, whatever has its name by now.
    let path = format!("/proc/self/fd/{}", socket.as_raw_fd());
    let stream = UnixStream::connect(path);
    let stream = stream.context("the console does not answer: its machine does not run")?;
    // Read as they come: what the library has read ahead nobody would wait for.
    let typed = io::stdin().as_fd().try_clone_to_owned();
    let typed = File::from(typed.context("failed to read what is typed")?);
    output::complain("connected to the console: Ctrl-] leaves it");
    let raw = Raw::begin().context("failed to prepare the terminal")?;
    let carried = carry(stream, typed, io::stdout());
    drop(raw);
    carried.context("the console is gone")
}

/// Opens the socket, for connecting only.
fn find(folder: &str) -> Result<OwnedFd> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let folder = openat(AT_FDCWD, folder, flags, Mode::empty())?;
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    let found = openat2(&folder, SOCKET, how)?;
    let kind = SFlag::from_bits_truncate(fstat(&found)?.st_mode) & SFlag::S_IFMT;
    if kind != SFlag::S_IFSOCK {
        bail!("`{SOCKET}` is no socket");
    }
    Ok(found)
}

/// Carries what is typed and what is said, until one of both ends.
fn carry(mut stream: UnixStream, mut typed: File, mut shown: impl Write) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let [keys, says] = readable([typed.as_fd(), stream.as_fd()])?;
        if says {
            let count = stream.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            shown.write_all(&buffer[..count])?;
            shown.flush()?;
        }
        if keys {
            let count = typed.read(&mut buffer)?;
            let keys = &buffer[..count];
            let end = keys.iter().position(|key| *key == ESCAPE);
            stream.write_all(&keys[..end.unwrap_or(count)])?;
            if count == 0 || end.is_some() {
                return Ok(());
            }
        }
    }
}

/// Waits until something can be read, and returns from where.
fn readable(from: [BorrowedFd<'_>; 2]) -> io::Result<[bool; 2]> {
    let mut all = from.map(|it| PollFd::new(it, PollFlags::POLLIN));
    match poll(&mut all, PollTimeout::NONE) {
        Err(Errno::EINTR) => Ok([false; 2]),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(all.map(|it| it.any().unwrap_or_default())),
    }
}

/// A terminal that gives every key as it is typed, until dropped.
struct Raw(Option<Termios>);

impl Raw {
    fn begin() -> io::Result<Self> {
        let terminal = io::stdin();
        if !terminal.is_terminal() {
            return Ok(Self(None));
        }
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&terminal, SetArg::TCSANOW, &raw)?;
        Ok(Self(Some(before)))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // A terminal that is gone needs nothing.
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_a_socket_of_the_partition_itself_is_a_console() {
        let keep = tempfile::tempdir().unwrap();
        let folder = keep.path().to_str().unwrap();
        assert!(find(folder).is_err());
        let run = keep.path().join("var/run");
        std::fs::create_dir_all(&run).unwrap();
        let elsewhere = keep.path().join("elsewhere");
        let _listener = UnixListener::bind(&elsewhere).unwrap();
        symlink(&elsewhere, run.join("console")).unwrap();
        assert!(find(folder).is_err());
        std::fs::remove_file(run.join("console")).unwrap();
        std::fs::File::create(run.join("console")).unwrap();
        let said = find(folder).unwrap_err().to_string();
        assert_eq!(said, "`var/run/console` is no socket");
        std::fs::remove_file(run.join("console")).unwrap();
        let _console = UnixListener::bind(run.join("console")).unwrap();
        assert!(find(folder).is_ok());
    }

    #[test]
    fn what_is_typed_before_the_escape_is_heard_and_what_is_said_is_shown() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"login: ").unwrap();
        let (typed, mut keys) = io::pipe().unwrap();
        let (mut screen, shown) = io::pipe().unwrap();
        let typed = File::from(OwnedFd::from(typed));
        let carried = std::thread::spawn(move || carry(ours, typed, shown));
        let mut said = [0; 7];
        screen.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"login: ");
        keys.write_all(b"root\r\x1dnever").unwrap();
        carried.join().unwrap().unwrap();
        let mut heard = Vec::new();
        theirs.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"root\r");
    }
}
