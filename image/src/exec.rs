//! Running other programs: their output goes to a log, whose end is shown when they fail.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, ExitStatus};

use camino::{Utf8Path, Utf8PathBuf};
use thiserror::Error;

/// Why another program's work is not done.
#[derive(Debug, Error)]
pub(crate) enum ExecError {
    #[error("cannot start `{program}`")]
    Start {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot write the log `{log}`")]
    Log {
        log: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{program}` failed ({status}); all it said is in `{log}`, which ends with\n{tail}")]
    Failed {
        program: String,
        status: ExitStatus,
        log: Utf8PathBuf,
        tail: String,
    },
    #[error("`{program}` failed ({status}): {said}")]
    Refused {
        program: String,
        status: ExitStatus,
        said: String,
    },
}

/// Runs a program to its end, its output into `log`, each line also to `watch`.
pub(crate) fn run(
    command: &mut Command,
    log: &Utf8Path,
    mut watch: impl FnMut(&str),
) -> Result<(), ExecError> {
    let program = name(command);
    let in_log = |source| ExecError::Log {
        log: log.to_owned(),
        source,
    };
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).map_err(in_log)?;
    }
    let mut file = File::create(log).map_err(in_log)?;
    let start = |source| ExecError::Start {
        program: program.clone(),
        source,
    };
    let (reader, writer) = io::pipe().map_err(start)?;
    command.stdin(std::process::Stdio::null());
    command
        .stdout(writer.try_clone().map_err(start)?)
        .stderr(writer);
    let mut child = command.spawn().map_err(start)?;
    // The ends of the pipe that `command` holds would keep it open for ever.
    command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.map_err(in_log)?;
        file.write_all(&line)
            .and_then(|()| file.write_all(b"\n"))
            .map_err(in_log)?;
        watch(&String::from_utf8_lossy(&line));
    }
    let status = child.wait().map_err(start)?;
    if status.success() {
        return Ok(());
    }
    let tail = tail(&fs::read(log).map_err(in_log)?);
    Err(ExecError::Failed {
        program,
        status,
        log: log.to_owned(),
        tail,
    })
}

/// Runs a program whose answer is short, and returns what it printed.
pub(crate) fn ask(command: &mut Command) -> Result<String, ExecError> {
    let program = name(command);
    let output = command
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|source| ExecError::Start {
            program: program.clone(),
            source,
        })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ExecError::Refused {
        program,
        status: output.status,
        said,
    })
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn tail(log: &[u8]) -> String {
    let text = String::from_utf8_lossy(log);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(25)..];
    last.iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_program_shows_the_end_of_its_log() {
        let scratch = tempfile::tempdir().unwrap();
        let log = Utf8Path::from_path(scratch.path()).unwrap().join("log");
        let mut seen = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "seq 1 100; echo the disk is full >&2; exit 3"]);
        let error = run(&mut command, &log, |line| seen.push(line.to_owned())).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("exit status: 3") && text.ends_with("    the disk is full"),
            "{text}"
        );
        assert!(!text.contains("    50\n"), "{text}");
        assert_eq!(seen.len(), 101);
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = ask(&mut Command::new("no-such-program")).unwrap_err();
        assert_eq!(error.to_string(), "cannot start `no-such-program`");
    }
}
