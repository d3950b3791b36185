//! Starting and stopping: opens everything in order, serves, and lets held requests end before it goes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::sync::Arc;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::ca::{Authority, CaError};
use crate::clock::{Clock, Entropy, Moment};
use crate::config::{Listen, Settings};
use crate::contacts::Contacts;
use crate::documents::Documents;
use crate::held::Polls;
use crate::listener::{Peer, TlsListener};
use crate::master::{Master, Open};
use crate::refusals::Refusals;
use crate::store::{Location, Store, StoreError};
use crate::tls::{ServerIdentity, TlsError};
use crate::welcome::{self, WelcomeError};
use crate::{api, chores};

/// How long requests that are under way may take when the master stops.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Why the master does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the data folder `{path}` cannot be used: it must belong to this user and be writable")]
    BadData {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the CA cannot be used")]
    Ca(#[from] CaError),
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
    #[error(
        "the database belongs to masters with another CA: copy the folder `ca` of one of them to `{folder}`"
    )]
    OtherAuthority { folder: Utf8PathBuf },
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    #[error(
        "port {port} is in use by another program: stop that one, or give another address by `--listen`"
    )]
    PortInUse { port: u16 },
    #[error(
        "port {port} needs root or CAP_NET_BIND_SERVICE: give another address by `--listen`, or the capability"
    )]
    PortForbidden { port: u16 },
    #[error("cannot listen on {address}")]
    FailedListen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("the words for the first operator cannot be given")]
    Welcome(#[from] WelcomeError),
}

/// A master that runs.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    pub master: Arc<Master>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<io::Result<()>>,
    holding: TaskTracker,
    chores: JoinSet<()>,
}

/// What differs between a real master and one in a test.
#[derive(Clone, Debug)]
pub struct World {
    pub clock: Clock,
    pub entropy: Entropy,
    pub may_dial: fn(&IpAddr) -> bool,
}

/// Starts a master. When it returns, the master answers.
pub async fn start(settings: Settings, world: World) -> Result<Server, StartError> {
    let (releases, cache) = make_folders(&settings.data)?;
    let authority = Arc::new(Authority::open_or_create(&settings.ca())?);
    let open = match &settings.listen {
        Listen::Openly(_, open) => Some(open.clone()),
        Listen::At(_) | Listen::Everywhere => None,
    };
    let store = open_store(&settings, &authority, open.as_ref(), world.clock.now()).await?;
    let identity = ServerIdentity::new(
        Arc::clone(&authority),
        settings.hosts(),
        world.clock.clone(),
        world.entropy.clone(),
    )?;
    let acceptor = TlsAcceptor::from(Arc::new(identity.config()?));
    let listener = listen(&settings.listen).await?;
    let urls = match (&open, listener.local_addr()) {
        (Some(_), Ok(address)) => vec![format!("http://{address}")],
        (Some(_), Err(_)) | (None, _) => settings.urls,
    };
    let (stop, stopping) = watch::channel(false);
    let master = Arc::new(Master {
        store,
        open,
        run_id: run_id(&world.entropy),
        authority,
        clock: world.clock,
        entropy: world.entropy,
        urls,
        releases,
        cache,
        cache_room: settings.cache_bytes,
        publishing: Mutex::new(()),
        registry: settings.registry_socket,
        may_dial: world.may_dial,
        refusals: Refusals::default(),
        contacts: Contacts::default(),
        documents: Documents::default(),
        operator_enrolled: Notify::new(),
        stopping,
    });
    if let Err(error) = api::sweep(&master).await {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "what nobody has stays in the cache"
        );
    }
    let given = match &master.open {
        Some(_) => None,
        None => welcome::greet(&master, settings.welcome.as_deref()).await?,
    };
    let mut chores = JoinSet::new();
    chores.spawn(identity.keep_fresh());
    chores.spawn(chores::keep_contacts(Arc::clone(&master)));
    chores.spawn(master.store.clone().hear_others(settings.database));
    chores.spawn(welcome::keep(Arc::clone(&master), settings.welcome, given));
    serve(listener, acceptor, master, stop, chores)
}

fn bad_data(path: &Utf8Path, source: io::Error) -> StartError {
    StartError::BadData {
        path: path.to_owned(),
        source,
    }
}

/// Makes what is not there yet, and returns where releases are, and what is cached.
fn make_folders(data: &Utf8Path) -> Result<(Utf8PathBuf, Utf8PathBuf), StartError> {
    let (releases, cache) = (data.join("releases"), data.join("cache"));
    make_folder(data).map_err(|err| bad_data(data, err))?;
    for folder in [&releases, &cache] {
        make_folder(folder).map_err(|err| bad_data(folder, err))?;
    }
    check_writable(data).map_err(|err| bad_data(data, err))?;
    api::remove_leftovers(releases.as_std_path()).map_err(|err| bad_data(&releases, err))?;
    Ok((releases, cache))
}

async fn open_store(
    settings: &Settings,
    authority: &Authority,
    open: Option<&Open>,
    now: Moment,
) -> Result<Store, StartError> {
    if let Location::File(file) = &settings.database {
        make_private(file).map_err(|err| bad_data(file, err))?;
    }
    let store = Store::open(&settings.database).await?;
    let mut writing = store.write("master", now).await?;
    writing.set_urls(&settings.urls).await?;
    let previous = authority.previous_pin().map(|it| it.to_string());
    let pin = authority.pin().to_string();
    if !writing.belongs_to(&pin, previous.as_deref()).await? {
        return Err(StartError::OtherAuthority {
            folder: settings.ca(),
        });
    }
    if let Some(computer) = open.and_then(|it| it.default_computer.as_ref()) {
        writing.add_named_computer(computer).await?;
    }
    writing.commit().await?;
    Ok(store)
}

fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    master: Arc<Master>,
    stop: watch::Sender<bool>,
    chores: JoinSet<()>,
) -> Result<Server, StartError> {
    let failed = |source| StartError::FailedListen {
        address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        source,
    };
    let address = listener.local_addr().map_err(failed)?;
    let router = api::router(Arc::clone(&master));
    let polls = Polls {
        router: router.clone(),
        stopping: master.stopping.clone(),
    };
    let holding = TaskTracker::new();
    let service = router.into_make_service_with_connect_info::<Peer>();
    let mut stopping = master.stopping.clone();
    let stopped = async move {
        // An error means that the server itself is gone: time to stop as well.
        let _gone = stopping.wait_for(|&it| it).await;
    };
    let serving = if master.open.is_some() {
        tracing::warn!(%address, "this master is open: anyone on this machine may do everything");
        let server = axum::serve(listener, service).with_graceful_shutdown(stopped);
        tokio::spawn(async move { server.await })
    } else {
        let listener =
            TlsListener::new(listener, acceptor, polls, holding.clone()).map_err(failed)?;
        let server = axum::serve(listener, service).with_graceful_shutdown(stopped);
        tokio::spawn(async move { server.await })
    };
    Ok(Server {
        address,
        master,
        stop,
        serving,
        holding,
        chores,
    })
}

impl Server {
    /// Stops: no new connections, held polls are answered, the rest may end.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        self.holding.close();
        let ended = async {
            self.holding.wait().await;
            // It was asked to stop; how it did so changes nothing.
            let _stopped = (&mut self.serving).await;
        };
        if tokio::time::timeout(STOP_LIMIT, ended).await.is_err() {
            tracing::warn!("some requests took too long to end");
            self.serving.abort();
        }
        self.chores.shutdown().await;
        chores::write_contacts(&self.master).await;
        self.master.store.close().await;
    }
}

fn run_id(entropy: &Entropy) -> String {
    let bytes: [u8; 16] = entropy.bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The folder is this user's alone: it holds the CA's key.
fn make_folder(folder: &Utf8Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// SQLite takes the mode of its other files from the database's own.
fn make_private(file: &Utf8Path) -> io::Result<()> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(file)
        .map(drop)
}

fn check_writable(folder: &Utf8Path) -> io::Result<()> {
    let probe = folder.join(".writable");
    std::fs::File::create(&probe)?;
    std::fs::remove_file(probe)
}

async fn listen(listen: &Listen) -> Result<TcpListener, StartError> {
    let everywhere: SocketAddr = crate::config::DEFAULT_LISTEN
        .parse()
        .expect("a constant that is an address");
    let address = match listen {
        Listen::At(address) | Listen::Openly(address, _) => *address,
        Listen::Everywhere => everywhere,
    };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(err) if *listen == Listen::Everywhere && has_no_ipv6(&err) => {
            let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            TcpListener::bind(address)
                .await
                .map_err(|err| refused(address, err))
        }
        Err(err) => Err(refused(address, err)),
    }
}

fn has_no_ipv6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.kind() == io::ErrorKind::Unsupported
        || error.to_string().contains("Address family not supported")
}

fn refused(address: SocketAddr, source: io::Error) -> StartError {
    let port = address.port();
    #[expect(clippy::wildcard_enum_match_arm, reason = "io::ErrorKind has many")]
    match source.kind() {
        io::ErrorKind::AddrInUse => StartError::PortInUse { port },
        io::ErrorKind::PermissionDenied => StartError::PortForbidden { port },
        _ => StartError::FailedListen { address, source },
    }
}
