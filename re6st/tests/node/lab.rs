//! A registry on its socket, nodes on machines that do at once what they are told, and one way to wait.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use slapbox_overlay::babel::{self, Babel, Origin};
use slapbox_overlay::links::{self, Desired, Observed, ObservedPeer, ObservedWireGuard, Outcome};
use slapbox_re6st::node::{self, Ear, Machine, Master, Overlay, Places, Source, Status};
use slapbox_re6st::registry::{self, Moment, Registry, Settings};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A folder for everything of a test.
pub(crate) struct Lab {
    folder: TempDir,
    air: Air,
}

impl Lab {
    pub(crate) fn open() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self {
            folder: tempfile::tempdir().unwrap(),
            air: Air::default(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.folder.path()).unwrap().join(name)
    }

    /// Returns the registry of this lab; opened again, it has what it had.
    pub(crate) fn registry(&self) -> Arc<Registry> {
        let settings = Settings {
            state: self.path("registry"),
            socket: self.path("http.sock"),
            network: Some("fd12:3456:789a::/48".parse().unwrap()),
            host: Some("COMP-1".parse().unwrap()),
            domain: "cloud.example".parse().unwrap(),
            regions: BTreeMap::new(),
        };
        let moment = Moment {
            now: OffsetDateTime::now_utc(),
            serial: [7; 16],
        };
        Arc::new(Registry::open(&settings, [7; 5], moment).unwrap())
    }

    /// Serves the registry on its socket until dropped.
    pub(crate) fn serve(&self) -> Running {
        let (registry, socket) = (self.registry(), self.path("http.sock"));
        self.keep(async move { registry::serve(registry, &socket).await.unwrap() })
    }

    /// Keeps something running until dropped.
    #[expect(clippy::unused_self, reason = "what runs belongs to the lab")]
    pub(crate) fn keep(&self, run: impl Future<Output = ()> + Send + 'static) -> Running {
        Running(tokio::spawn(run))
    }

    /// Returns a source that calls the registry's socket as a computer whose master is here.
    pub(crate) fn source(&self, computer: &str) -> Source {
        let master = Master {
            urls: vec!["https://192.0.2.1:8443".to_owned()],
            reference: computer.parse().unwrap(),
            overlay: Overlay {
                port: 6326,
                endpoint: None,
            },
            proxy: None,
        };
        Source::Socket {
            socket: self.path("http.sock"),
            master,
        }
    }

    /// Returns a machine that the others of this lab hear.
    pub(crate) fn machine(&self) -> FakeMachine {
        FakeMachine {
            air: Arc::clone(&self.air),
            ..FakeMachine::default()
        }
    }

    /// Starts a node on a machine; started again, it has what it kept.
    pub(crate) fn start<M: Machine + Clone + Send + 'static>(
        &self,
        computer: &str,
        source: Source,
        machine: &M,
    ) -> Node {
        self.start_at((Ipv6Addr::LOCALHOST, 0).into(), computer, source, machine)
    }

    /// Starts a node that answers for names at an address.
    pub(crate) fn start_at<M: Machine + Clone + Send + 'static>(
        &self,
        names: SocketAddr,
        computer: &str,
        source: Source,
        machine: &M,
    ) -> Node {
        let places = Places {
            state: self.path(&format!("{computer}-state")),
            run: self.path(&format!("{computer}-run")),
            babel_socket: self.path(&format!("{computer}-babeld.sock")),
            names,
        };
        std::fs::create_dir_all(&places.run).unwrap();
        let _ = std::fs::remove_file(places.run.join("node.json"));
        let (kept, machine) = (places.clone(), machine.clone());
        let running = self.keep(async move { node::run(source, &places, machine).await.unwrap() });
        Node {
            places: kept,
            _running: running,
        }
    }
}

/// Something that ends when dropped.
pub(crate) struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A node that runs.
pub(crate) struct Node {
    places: Places,
    _running: Running,
}

impl Node {
    /// Returns what `node.json` says.
    pub(crate) fn status(&self) -> Option<Box<Status>> {
        let text = std::fs::read(self.places.run.join("node.json")).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }

    /// Returns what `metrics.prom` says.
    pub(crate) fn metrics(&self) -> String {
        std::fs::read_to_string(self.places.run.join("metrics.prom")).unwrap_or_default()
    }

    /// Returns what `names.env` says.
    pub(crate) fn names_env(&self) -> Option<String> {
        std::fs::read_to_string(self.places.run.join("names.env")).ok()
    }

    /// Returns what babeld would read.
    pub(crate) fn babeld_conf(&self) -> String {
        std::fs::read_to_string(self.places.run.join("babeld.conf")).unwrap_or_default()
    }
}

/// A machine whose links come up as soon as they are desired, and on which datagrams go to whoever listens in the same air.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeMachine {
    seen: Arc<Mutex<Seen>>,
    air: Air,
}

/// Where datagrams are: who listens at which link address.
pub(crate) type Air = Arc<Mutex<BTreeMap<Ipv6Addr, mpsc::UnboundedSender<(Ipv6Addr, Vec<u8>)>>>>;

/// Where a machine's datagrams arrive.
#[derive(Debug)]
pub(crate) struct FakeEar {
    at: Ipv6Addr,
    air: Air,
    arrived: tokio::sync::Mutex<mpsc::UnboundedReceiver<(Ipv6Addr, Vec<u8>)>>,
}

impl Ear for FakeEar {
    fn say(&self, to: Ipv6Addr, what: &[u8]) -> io::Result<()> {
        if let Some(there) = self.air.lock().unwrap().get(&to) {
            let _ = there.send((self.at, what.to_vec()));
        }
        Ok(())
    }

    async fn hear(&self, into: &mut [u8]) -> io::Result<(Ipv6Addr, usize)> {
        let Some((from, what)) = self.arrived.lock().await.recv().await else {
            return std::future::pending().await;
        };
        into[..what.len()].copy_from_slice(&what);
        Ok((from, what.len()))
    }
}

/// What a machine was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) desired: Option<Desired>,
    pub(crate) babel: Option<Babel>,
    pub(crate) babel_restarts: usize,
}

impl FakeMachine {
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

impl Machine for FakeMachine {
    async fn links(&self, desired: &Desired) -> Result<Outcome, links::Error> {
        let before = self.seen.lock().unwrap().desired.replace(desired.clone());
        let changed = usize::from(before.as_ref() != Some(desired));
        let mut observed = Observed::default();
        if let Some(before) = before {
            let alive = ObservedPeer {
                handshake_age: Some(Duration::from_secs(3)),
                ..ObservedPeer::default()
            };
            let peers = before
                .wireguard
                .peers
                .into_keys()
                .map(|key| (key, alive.clone()))
                .collect();
            observed.wireguard = Some(ObservedWireGuard {
                up: true,
                peers,
                ..ObservedWireGuard::default()
            });
            for number in 1..=9 {
                let prefix = format!("fd12:3456:789a:{number}::/64").parse().unwrap();
                observed.babel.insert(prefix, format!("slt{number}"));
            }
        }
        Ok(Outcome {
            changed,
            failures: Vec::new(),
            observed,
        })
    }

    async fn look_again(&self, seen: &Observed) -> Result<Observed, links::Error> {
        Ok(seen.clone())
    }

    async fn babel(&self, babel: &Babel) -> Result<bool, babel::Error> {
        self.seen.lock().unwrap().babel = Some(babel.clone());
        Ok(true)
    }

    async fn origins(&self, _: &Babel) -> Result<Vec<Origin>, babel::Error> {
        Ok(Vec::new())
    }

    async fn restart_babel(&self, _: &Babel) -> Result<(), babel::Error> {
        self.seen.lock().unwrap().babel_restarts += 1;
        Ok(())
    }

    type Ear = FakeEar;

    fn listen(&self, at: Ipv6Addr, _: Option<&str>) -> io::Result<FakeEar> {
        let (there, arrived) = mpsc::unbounded_channel();
        self.air.lock().unwrap().insert(at, there);
        Ok(FakeEar {
            at,
            air: Arc::clone(&self.air),
            arrived: tokio::sync::Mutex::new(arrived),
        })
    }

    fn addresses(&self) -> Vec<(String, IpAddr)> {
        Vec::new()
    }
}

/// Waits for a probe to return something; says what it was and what was seen last otherwise.
pub(crate) async fn eventually<T, S: std::fmt::Debug>(
    what: &str,
    mut probe: impl FnMut() -> Result<T, S>,
) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(40);
    loop {
        match probe() {
            Ok(seen) => return seen,
            Err(seen) => assert!(tokio::time::Instant::now() < deadline, "{what}: {seen:#?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until a node says that it is connected.
pub(crate) async fn connected(node: &Node) -> Box<Status> {
    eventually("the node is connected", || match node.status() {
        Some(status) if status.state == node::StatusState::Connected => Ok(status),
        other => Err(other),
    })
    .await
}
