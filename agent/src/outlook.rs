//! `slapbox-agent plan`: what the next pass of the loop would do, without doing it and without asking the master.

use std::time::SystemTime;

use anyhow::Context as _;
use tokio::time::Instant;

use crate::config::Settings;
use crate::desired::Desired;
use crate::devices::Devices;
use crate::instances::limits::Most;
use crate::instances::units::PATTERNS;
use crate::memory::Memory;
use crate::observe::{self, Sight};
use crate::observed::{Collection, Observed, Software};
use crate::partitions::homes::Homes;
use crate::partitions::users;
use crate::places::Places;
use crate::plan::{Action, Step, plan};
use crate::quotas::Quotas;
use crate::reconcile::last_desired;
use crate::software;
use crate::systemd::Systemd;
use crate::workload::{Paths, leftovers};
use crate::{config, disk, identity};

/// The plan in words, an action a line.
pub async fn outlook(places: &Places) -> anyhow::Result<String> {
    let desired = last_desired(places)?;
    let desired = desired.context("the master has told this box nothing yet: is it enrolled?")?;
    let bus = zbus::Connection::system()
        .await
        .context("the system bus does not answer")?;
    let settings = settings(places)?;
    let paths = Paths::of(&settings);
    let quotas = Quotas::of(&paths);
    let most = settings
        .limits
        .of_node(identity::memory(places), quotas.are_on());
    let world = (&Systemd::new(bus), &quotas);
    let observed = look(&paths, world, &desired, &most).await?;
    let mut actions = plan(&desired, &observed);
    // What is watched is the daemon's affair, and not to be seen from here.
    actions.retain(|action| !matches!(action, Action::Partition(_, Step::Watch(_))));
    if actions.is_empty() {
        return Ok("nothing is to be done\n".to_owned());
    }
    Ok(actions.iter().map(|action| format!("{action}\n")).collect())
}

/// What the accepted document says.
fn settings(places: &Places) -> anyhow::Result<Settings> {
    let text = disk::read_text(&places.configuration())?;
    let text = text.context("this box has accepted no configuration yet")?;
    config::parse_kept(&text).context("the accepted configuration is wrong")
}

async fn look(
    paths: &Paths,
    (systemd, quotas): (&Systemd, &Quotas),
    desired: &Desired,
    most: &Most,
) -> anyhow::Result<Observed> {
    let mut observed = Observed::default();
    for url in desired.software.keys() {
        let installed = software::is_installed(&paths.software, url);
        let found = if installed {
            Software::Available
        } else {
            Software::Absent
        };
        observed.software.insert(url.clone(), found);
    }
    observed.leftovers = leftovers::from_outside(paths, desired)?;
    observed.collection = Collection::Idle;
    let accounts = users::observe(&paths.etc)?;
    let units = observe::units(&systemd.list(&PATTERNS).await?);
    let sight = Sight {
        paths,
        accounts: &accounts,
        homes: Homes::open(&paths.homes),
        devices: &Devices::of(paths),
        quotas,
        // The firewall is the daemon's affair, too.
        guards: None,
        prefix: None,
        units,
        watches: None,
        now: Instant::now(),
        date: SystemTime::now(),
        certifies: false,
        most,
    };
    let mut memory = Memory::default();
    for (name, instance) in &desired.partitions {
        let release = software::read(&paths.software, &instance.software).ok();
        let remembered = memory.of(*name);
        let found = sight.partition(*name, instance, release.as_ref(), remembered);
        observed.partitions.insert(
            *name,
            found.with_context(|| format!("{name} cannot be looked at"))?,
        );
    }
    Ok(observed)
}
