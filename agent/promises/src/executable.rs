//! Runs a promise that is a program: its exit code tells whether it is kept, what it writes why not.

use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use camino::Utf8Path;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::promise::{Answer, Outcome, Promise};
use crate::words::LONGEST_MESSAGE;

/// How long one that is asked to end may take.
const GRACE: Duration = Duration::from_secs(1);
const MOST_OUTPUT: usize = 64 * 1024;

/// What a program that ran left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) output: Vec<u8>,
    pub(crate) end: End,
    pub(crate) took: Duration,
}

/// Where what a program writes to standard error goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errors {
    AreOutput,
    GoToTheJournal,
}

/// How a program ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Well,
    Badly,
    TooLate,
}

/// Looks whether the promise is kept.
pub fn look(promise: &Promise, folder: &Utf8Path, timeout: Duration) -> Outcome {
    let when = SystemTime::now();
    let mut command = Command::new(&promise.path);
    command.current_dir(folder);
    let (answer, took) = match run(command, b"", timeout, Errors::AreOutput, MOST_OUTPUT) {
        Err(error) => (
            Answer::Broken(format!("cannot be run: {error}")),
            Duration::ZERO,
        ),
        Ok(Ran { output, end, took }) => {
            let message = last(String::from_utf8_lossy(&output).trim());
            let answer = match end {
                End::Well => Answer::Kept(message),
                End::Badly => Answer::Broken(message),
                End::TooLate => Answer::Silent(timed_out(timeout)),
            };
            (answer, took)
        }
    };
    Outcome::new(answer, when, took)
}

/// What is said of a promise that takes too long, in the peer's words.
pub(crate) fn timed_out(timeout: Duration) -> String {
    format!(
        "Error: Promise timed out after {} seconds",
        timeout.as_secs()
    )
}

/// Returns the end of a message, where the cause mostly is.
pub(crate) fn last(message: &str) -> String {
    let count = message.chars().count();
    if count <= LONGEST_MESSAGE {
        return message.to_owned();
    }
    let end: String = message.chars().skip(count - LONGEST_MESSAGE).collect();
    format!("...{end}")
}

/// Runs a program to its end, or to ours; its children end with it. What it writes beyond `most` bytes is thrown away.
pub(crate) fn run(
    mut command: Command,
    input: &[u8],
    timeout: Duration,
    errors: Errors,
    most: usize,
) -> io::Result<Ran> {
    let begin = Instant::now();
    let (mut from, to) = io::pipe()?;
    command.stdin(if input.is_empty() {
        Stdio::null()
    } else {
        Stdio::piped()
    });
    if errors == Errors::AreOutput {
        command.stderr(to.try_clone()?);
    }
    let mut child = command.stdout(to).process_group(0).spawn()?;
    // Its ends of the pipe are the child's alone now.
    drop(command);
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read what it is given says so itself.
        let _ = io::Write::write_all(&mut stdin, input);
    }
    let mut output = Vec::new();
    let is_late = !read_until(&mut from, &mut output, most, begin + timeout)?;
    let end = if is_late {
        End::TooLate
    } else {
        wait_until(&mut child, begin + timeout)?
    };
    kill(&mut child)?;
    Ok(Ran {
        output,
        end,
        took: begin.elapsed(),
    })
}

/// Reads to the end; says whether that came in time.
fn read_until(
    from: &mut io::PipeReader,
    output: &mut Vec<u8>,
    most: usize,
    end: Instant,
) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    loop {
        let rest = end.saturating_duration_since(Instant::now());
        let wait = PollTimeout::try_from(rest).unwrap_or(PollTimeout::MAX);
        let ready = match poll(&mut [PollFd::new(from.as_fd(), PollFlags::POLLIN)], wait) {
            Err(Errno::EINTR) => continue,
            ready => ready?,
        };
        if ready == 0 {
            return Ok(false);
        }
        match from.read(&mut buffer)? {
            0 => return Ok(true),
            count => {
                let room = most.saturating_sub(output.len());
                output.extend_from_slice(&buffer[..count.min(room)]);
            }
        }
    }
}

/// Waits for a program that has closed its output: mostly it has ended by then.
fn wait_until(child: &mut Child, end: Instant) -> io::Result<End> {
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(if status.success() {
                End::Well
            } else {
                End::Badly
            });
        }
        if Instant::now() >= end {
            return Ok(End::TooLate);
        }
        std::thread::park_timeout(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Ends what is left of a program and of its children.
fn kill(child: &mut Child) -> io::Result<()> {
    let group = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    if child.try_wait()?.is_none() {
        let _ = killpg(group, Signal::SIGTERM);
        let _ = wait_until(child, Instant::now() + GRACE)?;
    }
    // A group that is gone needs no signal.
    let _ = killpg(group, Signal::SIGKILL);
    child.wait()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::promise::list;

    fn look_at(script: &str, timeout: Duration) -> Outcome {
        let keep = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(keep.path()).unwrap();
        let path = folder.join("etc/promise/web");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = fs::File::create(&path).unwrap();
        io::Write::write_all(&mut file, format!("#!/bin/sh\n{script}").as_bytes()).unwrap();
        drop(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        look(&list(folder).unwrap()[0], folder, timeout)
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn the_exit_code_tells_and_the_output_says_why() {
        let outcome = look_at("echo fine", LONG);
        assert_eq!(outcome.answer, Answer::Kept("fine".into()));
        let outcome = look_at("pwd >/dev/null; echo wrong >&2; exit 3", LONG);
        assert_eq!(outcome.answer, Answer::Broken("wrong".into()));
    }

    #[test]
    fn one_that_hangs_is_ended_with_its_children() {
        let outcome = look_at(
            "trap '' TERM; sleep 77.25 & sleep 77.25",
            Duration::from_secs(1),
        );
        let late = "Error: Promise timed out after 1 seconds";
        assert_eq!(outcome.answer, Answer::Silent(late.into()));
        let left = Command::new("pgrep")
            .args(["-f", "^sleep 77.25$"])
            .output()
            .unwrap();
        assert!(left.stdout.is_empty(), "{left:?}");
    }

    #[test]
    fn very_much_output_neither_blocks_nor_is_kept() {
        let outcome = look_at("head -c 3000000 /dev/zero | tr '\\0' x; exit 1", LONG);
        let Answer::Broken(message) = outcome.answer else {
            panic!("{outcome:?}");
        };
        assert_eq!(message.len(), 3 + LONGEST_MESSAGE);
    }

    #[test]
    fn what_cannot_be_run_is_broken_in_words() {
        let keep = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(keep.path()).unwrap();
        fs::create_dir_all(folder.join("etc/promise")).unwrap();
        fs::File::create(folder.join("etc/promise/web")).unwrap();
        let outcome = look(&list(folder).unwrap()[0], folder, LONG);
        let Answer::Broken(message) = outcome.answer else {
            panic!("{outcome:?}");
        };
        assert!(
            message.starts_with("cannot be run: Permission denied"),
            "{message}"
        );
    }
}
