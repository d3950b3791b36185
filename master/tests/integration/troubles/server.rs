//! A PostgreSQL server of the test's own, which can be stopped, and can have a small disk. The one that other tests share must stay.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::process;

const USER: &str = "postgres";

pub(super) struct Server {
    child: Option<Child>,
    folder: tempfile::TempDir,
    /// How large the small disk is; none when it is empty.
    disk: &'static str,
}

/// How a server is stopped: it tells those who are connected, or it drops dead.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    Fast,
    Immediate,
}

/// Whether the tests are to run on PostgreSQL.
pub(super) fn is_wanted() -> bool {
    std::env::var_os(crate::database::SERVER).is_some()
}

fn programs() -> Utf8PathBuf {
    let versions = Utf8Path::new("/usr/lib/postgresql")
        .read_dir_utf8()
        .unwrap();
    let newest = versions
        .flatten()
        .max_by_key(|it| it.file_name().parse::<u32>().ok());
    newest.unwrap().path().join("bin")
}

/// The server refuses to run as root.
fn as_user(words: &str) -> String {
    if rustix::process::getuid().is_root() {
        format!("setpriv --reuid {USER} --regid {USER} --init-groups --pdeathsig KILL -- {words}")
    } else {
        words.to_owned()
    }
}

impl Server {
    pub(super) fn make(disk: &'static str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("slapbox-server-")
            .tempdir()
            .unwrap();
        let server = Self {
            child: None,
            folder,
            disk,
        };
        let make = format!(
            "mkdir {path}/disk; chmod 755 {path}; [ $(id -u) != 0 ] || chown -R {USER} {path}; {}",
            as_user(&format!(
                "{}/initdb --auth trust --username {USER} --no-sync --pgdata {}/data",
                programs(),
                server.path()
            )),
            path = server.path(),
        );
        let made = Command::new("sh").args(["-ec", &make]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        server
    }

    fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.folder.path()).unwrap()
    }

    pub(super) async fn start(&mut self) {
        let path = self.path();
        let mount = if self.disk.is_empty() {
            String::new()
        } else {
            format!(
                "mount -t tmpfs -o size={} none {path}/disk; chown {USER} {path}/disk; ",
                self.disk
            )
        };
        let serve = format!(
            "{mount}exec {}",
            as_user(&format!(
                "{}/postgres -D {path}/data -k {path} -c listen_addresses= -c fsync=off",
                programs()
            ))
        );
        let mut command = if self.disk.is_empty() {
            Command::new("sh")
        } else {
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh"]);
            command
        };
        let mut child = command
            .args(["-ec", &serve])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        self.child = Some(child);
        let heard = std::thread::spawn(move || {
            let mut ready = false;
            for line in said.by_ref().map_while(Result::ok) {
                if line.contains("ready to accept connections") {
                    ready = true;
                    break;
                }
            }
            (ready, said)
        });
        while !heard.is_finished() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (ready, rest) = heard.join().unwrap();
        assert!(ready, "PostgreSQL does not start");
        // What else it says is read, or it would wait.
        std::thread::spawn(move || rest.map_while(Result::ok).for_each(drop));
    }

    fn signal(&self, signal: rustix::process::Signal) {
        // The shells have become what they were told to run: it is one process.
        let child = self.child.as_ref().unwrap();
        let own = rustix::process::Pid::from_child(child);
        rustix::process::kill_process(own, signal).unwrap();
    }

    pub(super) async fn stop(&mut self, how: Stop) {
        self.signal(match how {
            Stop::Fast => rustix::process::Signal::INT,
            Stop::Immediate => rustix::process::Signal::QUIT,
        });
        let start = Instant::now();
        while self.child.as_mut().unwrap().try_wait().unwrap().is_none() {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "it does not stop"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.child = None;
    }

    pub(super) fn url(&self) -> String {
        format!("{}{}", self.base("postgres"), self.path())
    }

    fn base(&self, database: &str) -> String {
        format!("postgres://{USER}@localhost/{database}?host=")
    }

    /// Makes a database on the small disk.
    pub(super) async fn url_on_small_disk(&self) -> String {
        let mut connection = PgConnection::connect(&self.url()).await.unwrap();
        for statement in [
            format!("CREATE TABLESPACE small LOCATION '{}/disk'", self.path()),
            "CREATE DATABASE small TABLESPACE small TEMPLATE template0 LC_COLLATE 'C'".to_owned(),
        ] {
            connection
                .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statement)))
                .await
                .unwrap();
        }
        format!("{}{}", self.base("small"), self.path())
    }

    fn filler(&self) -> Utf8PathBuf {
        let own = self.child.as_ref().unwrap().id();
        Utf8PathBuf::from(format!("/proc/{own}/root{}/disk/filler", self.path()))
    }

    pub(super) fn fill(&self) {
        process::fill(&self.filler());
    }

    pub(super) fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let own = rustix::process::Pid::from_child(&child);
            // One that ended already cannot be told.
            let _ = rustix::process::kill_process(own, rustix::process::Signal::INT);
            let _ = child.wait();
        }
    }
}
