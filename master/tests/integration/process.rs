//! An open master in a process of its own, whose data may lie on a small disk of its own.

use std::fs::File;
use std::io::Write;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

pub(crate) struct Process {
    // Dropped first: it is killed.
    child: Child,
    url: String,
    client: reqwest::Client,
    said: Arc<Mutex<Vec<String>>>,
    data: Utf8PathBuf,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

/// A poll that is held.
pub(crate) struct Polling(JoinHandle<Answer>);

impl Polling {
    pub(crate) async fn must_be_woken(self) {
        let woken = tokio::time::timeout(Duration::from_secs(10), self.0).await;
        let answer = woken.expect("it is woken").unwrap();
        assert!([200, 503].contains(&answer.status), "{answer:?}");
    }
}

/// Whether a disk can be made here. Where it cannot, the test has nothing to see.
pub(crate) fn may_mount() -> bool {
    let may = std::process::Command::new("unshare")
        .args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"])
        .output()
        .is_ok_and(|it| it.status.success());
    if !may {
        let _ = writeln!(
            std::io::stderr(),
            "no disk can be mounted here: this needs root"
        );
    }
    may
}

fn plain_client() -> reqwest::Client {
    // One that is there already serves as well. It is asked for though there is no TLS.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Gives a master the CA of another.
pub(crate) fn share_ca(from: &Utf8Path, to: &Utf8Path) {
    std::fs::create_dir_all(to.join("ca")).unwrap();
    for file in ["ca/key.pem", "ca/ca.pem"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

/// Fills a disk to its last byte with a file.
pub(crate) fn fill(file: &Utf8Path) {
    let mut file = File::create(file).unwrap();
    let mut size = 64 * 1024;
    while size > 0 {
        if file.write_all(&vec![0; size]).is_err() {
            size /= 2;
        }
    }
}

impl Process {
    /// Starts a master that asks nobody who they are; with `disk`, its data lies on one of that size.
    pub(crate) async fn start(data: &Utf8Path, database: Option<&str>, disk: Option<&str>) -> Self {
        std::fs::create_dir_all(data).unwrap();
        let master = [
            env!("CARGO_BIN_EXE_slapbox-master"),
            "--insecure-http",
            "127.0.0.1:0",
            "--data",
            data.as_str(),
        ];
        let mut command = match disk {
            None => Command::new(master[0]),
            Some(size) => {
                let mut command = Command::new("unshare");
                let script = r#"mount -t tmpfs -o "size=$1" none "$2" && shift 2 && exec "$@""#;
                command.args(["--mount", "sh", "-ec", script, "sh", size, data.as_str()]);
                command.arg(master[0]);
                command
            }
        };
        command.args(&master[1..]);
        if let Some(url) = database {
            command.env("SLAPBOX_DATABASE", url);
        }
        let mut child = command
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let said = Arc::<Mutex<Vec<String>>>::default();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = loop {
            let line = lines.next_line().await.unwrap();
            let line = line.unwrap_or_else(|| panic!("it ends: {:?}", said.lock().unwrap()));
            if let Some((_, address)) = line.split_once("the master is ready address=") {
                break format!("http://{}", address.trim());
            }
            said.lock().unwrap().push(line);
        };
        let log = Arc::clone(&said);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                log.lock().unwrap().push(line);
            }
        });
        Self {
            child,
            url,
            client: plain_client(),
            said,
            data: data.to_owned(),
        }
    }

    async fn sent(request: reqwest::RequestBuilder) -> Answer {
        let answer = request.send().await.unwrap();
        Answer {
            status: answer.status().as_u16(),
            text: answer.text().await.unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Self::sent(self.client.get(format!("{}/{path}", self.url))).await
    }

    pub(crate) async fn post(&self, path: &str, pairs: &[(&str, String)]) -> Answer {
        Self::sent(self.client.post(format!("{}/{path}", self.url)).form(pairs)).await
    }

    pub(crate) async fn json(&self, path: &str, body: &str) -> Answer {
        let request = self
            .client
            .post(format!("{}/{path}", self.url))
            .header("content-type", "application/json")
            .body(body.to_owned());
        Self::sent(request).await
    }

    /// Holds a poll at a computer's present state.
    pub(crate) async fn watching(&self, computer: &str) -> Polling {
        let url = format!("{}/v1/watch?computer_id={computer}&since=", self.url);
        let now = Self::sent(self.client.get(format!("{url}0")))
            .await
            .expect(200);
        let now: serde_json::Value = serde_json::from_str(&now.text).unwrap();
        let request = self.client.get(format!("{url}{}", now["generation"]));
        let held = tokio::spawn(Self::sent(request));
        // Until it is there. Nothing outside shows it.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!held.is_finished(), "the poll is not held");
        Polling(held)
    }

    /// Waits for a line of the log that has both texts.
    pub(crate) async fn must_have_said(&self, what: &str, cause: &str) {
        let start = Instant::now();
        loop {
            let said = self.said.lock().unwrap().clone();
            if said
                .iter()
                .any(|it| it.contains(what) && it.contains(cause))
            {
                return;
            }
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "no line has `{what}` and `{cause}`:\n{}",
                said.join("\n")
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops it where it is, in the middle of whatever it does.
    pub(crate) fn freeze(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let own = i32::try_from(self.child.id().unwrap()).unwrap();
        let own = rustix::process::Pid::from_raw(own).unwrap();
        rustix::process::kill_process(own, signal).unwrap();
    }

    /// The file that takes the room, as this process sees the other's disk.
    fn filler(&self) -> Utf8PathBuf {
        let own = self.child.id().unwrap();
        Utf8PathBuf::from(format!("/proc/{own}/root{}/filler", self.data))
    }

    pub(crate) fn fill(&self) {
        fill(&self.filler());
    }

    pub(crate) fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}
