//! What an enrolled box does all the time, side by side: the loop and what wakes it, reports, renewal, another document.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use slap::ComputerId;
use slap::v1::DayUsage;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::{End, Life, membership::Membership};
use crate::config::{Role, Settings};
use crate::control;
use crate::desired::SoftwareUrl;
use crate::enrol::{self, Renewal, Retry, renewal};
use crate::firewall::Kin;
use crate::identity::{self, Identity};
use crate::instances::answers::Asker;
use crate::instances::credentials::Issuer;
use crate::instances::limits::Most;
use crate::instances::profile::Origin;
use crate::master::{self, Master};
use crate::provision;
use crate::quotas::Quotas;
use crate::reconcile::{self, Upstream as _, Wake, Wanted};
use crate::report::{self, Facts, node_report};
use crate::roles::{self, Overlay, Services};
use crate::software::buildout::Workshop;
use crate::software::cache::{Cache, CacheMaster, Notes, Offers};
use crate::status::{Enrolment, Status};
use crate::systemd::Systemd;
use crate::usage::{Accounting, Troubles};
use crate::workload::{Fetcher, Paths, Steward, Terms, Workload};

const WAKES: usize = 16;
const REPORTS: usize = 64;
const TIME_WITHIN: Duration = Duration::from_secs(5);
/// What nodes build in, as `cargo image builder` calls it.
const BUILDER: &str = "builder.oci.tar";
const MINUTE: Duration = Duration::from_secs(60);

/// Does all duties until another document ends this life.
pub(super) async fn run(
    life: &Life,
    systemd: Systemd,
    settings: Settings,
    membership: Membership,
) -> anyhow::Result<End> {
    let (places, board) = (&life.places, &life.board);
    let reference = membership.reference()?;
    let master = master_of(life, &settings, &membership, &reference)?;
    if let Membership::Enrolled(_, overlay) = &membership {
        // WireGuard takes a clock that is set back for a replay: the time comes before the first handshake, if it can be had.
        let _ = tokio::time::timeout(TIME_WITHIN, master.keep_time()).await;
        bring_up(life, &systemd, *overlay).await;
    }
    let workload = workload(life, &master, &settings, systemd.clone(), reference.clone());
    let accounting = Accounting {
        systemd: systemd.clone(),
        paths: Paths::of(&settings),
        places,
        board,
        world: life.world,
        computer: reference.clone(),
        outbox: workload.outbox(),
        troubles: Troubles::default(),
        last_day: watch::Sender::new(None),
    };
    let (wake, wakes) = mpsc::channel(WAKES);
    let (report, reports) = mpsc::channel(REPORTS);
    let wanted = Wanted {
        partitions: settings.partitions,
        reference,
        prefix: membership.prefix(),
    };
    tokio::select! {
        () = reconcile::run(&workload, &*master, places, board, wanted, life.world, wakes, report.clone()) => {
            anyhow::bail!("the loop ended")
        }
        ended = workload.watch_units(&report) => {
            ended.context("systemd is not heard any more")?;
            anyhow::bail!("systemd is not heard any more")
        }
        () = reconcile::follow_requests(life.asked.clone(), wake.clone()) => anyhow::bail!("requests are not heard any more"),
        () = forever(answer_root(life, wake.clone(), &master, workload.steward())) => anyhow::bail!("unreachable"),
        () = reconcile::tick(wake.clone()) => anyhow::bail!("the timer ended"),
        () = forever(reconcile::follow_changes(&workload, wake.clone())) => anyhow::bail!("unreachable"),
        () = forever(reconcile::follow_overlay(places, wake.clone())) => anyhow::bail!("unreachable"),
        () = forever(reconcile::follow_master(&*master, wake, life.world.chance)) => anyhow::bail!("unreachable"),
        () = report::send(&*master, reports, board, life.world.chance) => anyhow::bail!("the reports ended"),
        () = accounting.run(&*master) => anyhow::bail!("the accounting ended"),
        () = report_node(life, &master, accounting.last_day.subscribe()) => anyhow::bail!("unreachable"),
        () = stay_enrolled(life, &systemd, &master, membership) => anyhow::bail!("unreachable"),
        () = follow_login(life, &settings) => anyhow::bail!("unreachable"),
        end = another_document(life, &settings) => end,
    }
}

/// Shows whose this box is, and returns the client that calls its master.
fn master_of(
    life: &Life,
    settings: &Settings,
    membership: &Membership,
    reference: &ComputerId,
) -> anyhow::Result<Arc<Master>> {
    let words = reference.to_string();
    life.board.update(|status| {
        status.enrolment = Enrolment::Enrolled { reference: words };
        status.notices.extend(membership.notice());
    });
    let client = membership.client(settings.proxy.as_deref());
    let places = life.places.clone();
    let master = Master::new(client, reference.clone(), places, life.world);
    let master = master.context("no client of the master can be made")?;
    Ok(Arc::new(master))
}

fn workload(
    life: &Life,
    master: &Arc<Master>,
    settings: &Settings,
    systemd: Systemd,
    computer: ComputerId,
) -> Workload {
    let paths = Paths::of(settings);
    let workshop = Workshop {
        systemd,
        etc: paths.etc.clone(),
        instances: paths.instances.clone(),
        run: paths.run.clone(),
        builder: builder(settings, master).map(SoftwareUrl::new),
        proxy: settings.proxy.clone(),
        clock: life.world.now,
        cache: cache(life, master, settings, &computer),
    };
    let url = master.settings().urls.into_iter().next();
    let origin = Origin {
        url: url.unwrap_or_default(),
        computer,
    };
    let issuer = origin.url.starts_with("https://").then(|| issuer(master));
    let terms = Terms {
        origin,
        issuer,
        asker: asker(master),
        kin: kin(master),
        most: most(life, settings, &paths),
    };
    Workload::new(paths, fetcher(master, settings), workshop, terms)
}

/// What a partition may use at most; what cannot be held is said.
fn most(life: &Life, settings: &Settings, paths: &Paths) -> Most {
    let quotas = Quotas::of(paths).are_on();
    if settings.limits.disk.is_some() && !quotas {
        let notice = "nothing is held to the `disk` of the document's `[limits]`: the disk that partitions are on has no quotas of users and projects";
        tracing::warn!("{notice}");
        let say = |status: &mut Status| status.notices.push(notice.to_owned());
        life.board.update(say);
    }
    settings
        .limits
        .of_node(identity::memory(&life.places), quotas)
}

/// The builder that the document names, or the one that our own masters publish for all their nodes.
fn builder(settings: &Settings, master: &Master) -> Option<String> {
    let of_master = || match settings.role {
        Role::Node(_) | Role::Master(_) => {
            let url = master.settings().urls.into_iter().next()?;
            Some(format!("{}/releases/{BUILDER}", url.trim_end_matches('/')))
        }
        Role::Slap(_) => None,
    };
    settings.builder.clone().or_else(of_master)
}

/// What others built is taken from the master, unless the document names a server; what this box builds is offered if it says so.
fn cache(life: &Life, master: &Arc<Master>, settings: &Settings, computer: &ComputerId) -> Cache {
    let said = settings.cache.clone();
    Cache {
        url: said.url,
        keys: said.keys,
        master: Some(CacheMaster::new(Arc::clone(master) as _)),
        offers: Offers {
            to_master: said.offer,
            folder: said.folder,
            key: life.places.state().join("cache"),
            computer: computer.to_string(),
        },
        notes: Notes::default(),
    }
}

/// Where there is TLS, instances are known by certificates.
fn issuer(master: &Arc<Master>) -> Issuer {
    let master = Arc::clone(master);
    Issuer::new(move |partition| {
        let master = Arc::clone(&master);
        async move { master.instance_certificate(partition).await }
    })
}

/// What instances request, they are asked for in their name.
fn asker(master: &Arc<Master>) -> Asker {
    let master = Arc::clone(master);
    Asker::new(move |asking| {
        let master = Arc::clone(&master);
        async move { master.request_all(asking).await }
    })
}

fn kin(master: &Arc<Master>) -> Kin {
    let master = Arc::clone(master);
    Kin::new(move |partition| {
        let master = Arc::clone(&master);
        async move { master.addresses_of_tree(partition).await }
    })
}

/// A source that has nothing more to say does not end the others.
async fn forever(source: impl Future<Output = ()>) {
    source.await;
    std::future::pending().await
}

/// Serves root at the socket; a node without it is a node nevertheless.
async fn answer_root(
    life: &Life,
    wakes: mpsc::Sender<Wake>,
    master: &Arc<Master>,
    steward: Steward,
) {
    let master = Arc::clone(master);
    let served = control::serve(&life.places, &life.board, wakes, master, steward).await;
    if let Err(error) = served {
        let why = format!("root cannot ask this agent for anything: {error:#}");
        tracing::error!("{why}");
        life.board.update(|status| status.notices.push(why));
    }
}

/// The master's releases are fetched as this box from whoever shows the master's CA, all others from whom the world trusts.
fn fetcher(master: &Arc<Master>, settings: &Settings) -> Fetcher {
    let master = Arc::clone(master);
    let mut own: Vec<reqwest::Url> = Vec::new();
    if let Role::Master(role) = &settings.role {
        own.extend(
            role.urls
                .iter()
                .filter_map(|url| reqwest::Url::parse(url).ok()),
        );
    }
    let proxy = settings.proxy.clone();
    let fetcher = Fetcher::new(move |url| {
        let client = if master.client().serves(url.as_str())
            || own.iter().any(|known| known.origin() == url.origin())
        {
            master::fetching(&master.settings())
        } else {
            master::fetching_from_anyone(proxy.as_deref())
        };
        client.unwrap_or_else(|error| {
            tracing::error!("the client for {url} cannot be made as it should: {error:#}");
            reqwest::Client::new()
        })
    });
    fetcher.believing(settings.image_keys.clone())
}

/// Tells the master each minute, and after changes, how the node is.
async fn report_node(life: &Life, master: &Master, last_day: watch::Receiver<Option<DayUsage>>) {
    let mut told_usage = None;
    let mut follow = life.board.follow();
    let mut retry = Retry::default();
    loop {
        let status = follow.borrow_and_update().clone();
        // What was used on a day is said once: the master keeps it.
        let usage = last_day.borrow().clone();
        let news = usage.clone().filter(|_| usage != told_usage);
        let report = node_report(&status, &Facts::read(&life.places), news);
        match master.node_report(&report).await {
            Ok(()) => {
                retry.succeeded();
                told_usage = usage;
            }
            Err(error) => {
                tracing::debug!("the node report is not taken: {error}");
                sleep(retry.failed((life.world.chance)())).await;
                continue;
            }
        }
        sleep(Duration::from_secs(2)).await;
        let told = (status.partitions, status.overlay, status.failures);
        let told_of_usage = status.usage_failures;
        let changed = follow.wait_for(|now| {
            told.0 != now.partitions
                || told.1 != now.overlay
                || told.2 != now.failures
                || told_of_usage != now.usage_failures
        });
        // Whether something changed or a minute is over: it is time again.
        let _ = tokio::time::timeout(MINUTE, changed).await;
    }
}

/// Keeps clock and certificate good, which only our own masters do for their nodes.
async fn stay_enrolled(
    life: &Life,
    services: &impl Services,
    master: &Master,
    membership: Membership,
) {
    match membership {
        Membership::Enrolled(identity, _) => {
            tokio::join!(
                renew(life, services, master, *identity),
                keep_time(life, master)
            );
        }
        Membership::Known(_) => std::future::pending().await,
    }
}

/// Compares the clock with the master's, once it answers and then each hour.
async fn keep_time(life: &Life, master: &Master) {
    let mut retry = Retry::default();
    loop {
        match master.keep_time().await {
            Ok(()) => {
                retry.succeeded();
                sleep(60 * MINUTE).await;
            }
            Err(error) => {
                tracing::debug!("the time is not known: {}", master::reason(&error));
                sleep(retry.failed((life.world.chance)())).await;
            }
        }
    }
}

/// Renews the certificate when half of its life is over, and has the overlay's daemon take the new one.
async fn renew(life: &Life, services: &impl Services, master: &Master, mut identity: Identity) {
    let mut retry = Retry::default();
    loop {
        let now = life.world.seconds();
        if renewal(&identity.certificate, now) == Renewal::NotYet {
            sleep(MINUTE).await;
            continue;
        }
        match renew_once(life, services, master, &identity).await {
            Ok(renewed) => {
                retry.succeeded();
                identity = renewed;
            }
            Err(error) => {
                tracing::error!("the certificate cannot be renewed: {error:#}");
                if renewal(&identity.certificate, now) == Renewal::Expired {
                    let why = format!(
                        "the certificate of this box has expired and cannot be renewed: {error:#}"
                    );
                    life.board.update(|status| status.notices = vec![why]);
                }
                sleep(retry.failed((life.world.chance)()) + Duration::from_secs(10)).await;
            }
        }
    }
}

async fn renew_once(
    life: &Life,
    services: &impl Services,
    master: &Master,
    identity: &Identity,
) -> anyhow::Result<Identity> {
    let renewed = enrol::renew(master, identity).await?;
    identity::store(&life.places.identity(), &renewed)?;
    master.renewed(&renewed)?;
    tracing::info!("the certificate is renewed");
    bring_up(life, services, Overlay::Restart).await;
    Ok(renewed)
}

/// Has the overlay's daemon run, or run anew where it would not notice that its files are others.
async fn bring_up(life: &Life, services: &impl Services, overlay: Overlay) {
    let done = match overlay {
        Overlay::Start => services.start(roles::OVERLAY).await,
        Overlay::Restart => services.restart(roles::OVERLAY).await,
    };
    if let Err(error) = done {
        let why = format!("{} cannot be started: {error:#}", roles::OVERLAY);
        tracing::error!("{why}");
        life.board.update(|status| status.notices.push(why));
    }
}

/// Shows how the first operator of a new master logs in, as long as nobody has.
async fn follow_login(life: &Life, settings: &Settings) {
    if !matches!(settings.role, Role::Master(_)) {
        return std::future::pending().await;
    }
    loop {
        let login = roles::login_line(&life.places);
        life.board.update(|status| status.login = login);
        sleep(Duration::from_secs(2)).await;
    }
}

/// A stick brings other settings, or a new token to a box that its master does not know any more: the next life has them.
async fn another_document(life: &Life, settings: &Settings) -> anyhow::Result<End> {
    let is_known = || !matches!(life.board.now().enrolment, Enrolment::Revoked { .. });
    let (provided, _) = provision::another(&life.places, &life.board, settings, is_known).await;
    tracing::info!("the configuration on {} is accepted", provided.channel);
    provision::accept(&life.places, &provided, is_known())?;
    if !is_known() {
        identity::set_aside(&life.places.identity())?;
    }
    Ok(End::OtherDocument)
}
