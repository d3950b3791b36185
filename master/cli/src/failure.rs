//! What a failure is told as, and its exit status: 1 an error, 2 not there (yet), as the `slapos` command has it, 64 typed wrongly;
//! 5 not root, and what `slapbox node …` has in common with the original's node.

use std::process::ExitCode;

use slap::client::CallError;

use crate::output;

/// Asked for and not there, or not yet.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotReady(pub(crate) String);

/// A failure with an exit status of its own, as programs that ran the original's command know it.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub(crate) struct Stop {
    pub(crate) status: u8,
    pub(crate) words: String,
}

/// What only root may do, as the original's node tells it.
pub(crate) fn not_root() -> Stop {
    Stop {
        status: 5,
        words: "this is root's to do: run it as root, or behind `sudo`".to_owned(),
    }
}

/// Tells what is wrong with the arguments, or what `--help` was asked for.
pub(crate) fn of_arguments(stop: &clap::Error) -> ExitCode {
    // Where the text cannot be written there is nobody to tell.
    let _ = stop.print();
    if stop.use_stderr() {
        ExitCode::from(64)
    } else {
        ExitCode::SUCCESS
    }
}

/// Tells why a command failed.
pub(crate) fn of_command(error: &anyhow::Error) -> ExitCode {
    if output::is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    output::complain(&format!("slapbox: {error:#}"));
    ExitCode::from(status(error))
}

fn status(error: &anyhow::Error) -> u8 {
    if let Some(stop) = error.chain().find_map(|cause| cause.downcast_ref::<Stop>()) {
        return stop.status;
    }
    let is_not_ready = error.chain().any(|cause| {
        cause.is::<NotReady>()
            || matches!(
                cause.downcast_ref::<CallError>(),
                Some(CallError::NotReady(_))
            )
    });
    if is_not_ready { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn what_is_not_ready_has_a_status_of_its_own() {
        let late = Err::<(), _>(NotReady("no partition yet".into()))
            .context("cannot forward")
            .unwrap_err();
        assert_eq!(status(&late), 2);
        assert_eq!(status(&anyhow::anyhow!("no such file")), 1);
        let stopped = Err::<(), _>(not_root())
            .context("cannot register")
            .unwrap_err();
        assert_eq!(status(&stopped), 5);
    }
}
