//! How many files a process may have open: every held poll is one, and the usual limit of 1,024 is for programs of another kind.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Takes as many open files as this process is allowed to take.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let all = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, all) {
        tracing::warn!(%error, "cannot have more files open");
    }
}
