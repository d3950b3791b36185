//! Namespaces to test in: each is a thread that left the machine's network and does what it is asked to.

use std::process::{Command, Stdio};
use std::sync::mpsc;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Pid, Uid, gettid};

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace, gone when dropped.
#[derive(Debug)]
pub(crate) struct Namespace {
    jobs: mpsc::Sender<Job>,
    thread: Pid,
}

impl Namespace {
    /// Makes a namespace with `lo` up; prints why and returns nothing where that is not allowed.
    pub(crate) fn open() -> Option<Self> {
        if !Uid::effective().is_root() {
            skip("needs root");
            return None;
        }
        let (jobs, queue) = mpsc::channel::<Job>();
        let (ready, started) = mpsc::channel();
        std::thread::spawn(move || {
            ready
                .send(unshare(CloneFlags::CLONE_NEWNET).map(|()| gettid()))
                .unwrap();
            queue.into_iter().for_each(|job| job());
        });
        match started.recv().unwrap() {
            Ok(thread) => {
                let namespace = Self { jobs, thread };
                namespace.ip("link set lo up");
                Some(namespace)
            }
            Err(err) => {
                skip(&format!("cannot make a network namespace: {err}"));
                None
            }
        }
    }

    /// Runs `job` on the namespace's thread.
    pub(crate) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, result) = mpsc::channel();
        self.jobs
            .send(Box::new(move || drop(answer.send(job()))))
            .unwrap();
        result.recv().expect("the job did not panic")
    }

    /// Runs a future on the namespace's thread.
    pub(crate) fn run_async<F, T>(&self, job: F) -> T
    where
        F: AsyncFnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(job())
        })
    }

    /// Runs a command to its end, which must be good, and returns what it printed.
    pub(crate) fn command(&self, line: &str) -> String {
        self.attempt(line)
            .unwrap_or_else(|err| panic!("`{line}`: {err}"))
    }

    /// Runs a command to its end and returns what it printed, or what it complained of.
    pub(crate) fn attempt(&self, line: &str) -> Result<String, String> {
        let line = line.to_owned();
        self.run(move || {
            let mut words = line.split_whitespace();
            let output = Command::new(words.next().unwrap())
                .args(words)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            if output.status.success() {
                Ok(text(&output.stdout))
            } else {
                Err(text(&output.stderr))
            }
        })
    }

    /// Runs `ip` with these arguments.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        self.command(&format!("ip {arguments}"))
    }

    /// Lays a cable to another namespace; the ends are named `here` and `there`.
    #[allow(dead_code, reason = "not every test has two namespaces")]
    pub(crate) fn connect(&self, here: &str, other: &Self, there: &str) {
        self.ip(&format!(
            "link add {here} type veth peer name {there} netns {}",
            other.thread
        ));
        for (namespace, end, number) in [(self, here, 1), (other, there, 2)] {
            // As on our tunnels: a link-local address by hand, usable at once, and whatever is sent arrives at the other end, whose address
            // on the cable nobody asks for.
            namespace.ip(&format!("link set {end} addrgenmode none"));
            namespace.ip(&format!("link set {end} arp off address 02:00:00:00:00:01"));
            namespace.ip(&format!("link set {end} up"));
            namespace.ip(&format!("-6 address add fe80::{number}/64 dev {end} nodad"));
        }
    }
}

/// Says why a test proves nothing here.
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
pub(crate) fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
}
