//! Who may reach a partition, whom its IPv4 may reach, and in whose name it may speak: a table of nftables that is ours alone, replaced whole.
//!
//! What holds is noted, so that it holds again from a boot's first moment, and a restart of this program changes nothing. What
//! cannot be understood, or is not taken by the kernel, leaves in force what was.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::process::Stdio;

use camino::Utf8PathBuf;
use ipnet::{IpNet, Ipv6Net};
use slapbox_overlay::partitions::network_of;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::config;
use crate::desired::{Fingerprint, PartitionName};
use crate::disk;
use crate::inside::Inside;
use crate::instances::container::Mapping;
use crate::partitions::users::{Accounts, Ids};
use crate::workload::Paths;

pub mod kin;
mod rules;
mod wishes;

pub use kin::Kin;
pub use rules::{Access, Guard};
pub use wishes::{FILE, WishError, Wishes};

/// The firewall is not as it shall be.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    #[error("failed to note who may reach which partition")]
    Notes(#[source] disk::Error),
    #[error("this node has no `{NFT}`, which sets its firewall: it is in the package `nftables`")]
    NoNft,
    #[error("failed to run `{NFT}`")]
    Run(#[source] io::Error),
    #[error("the kernel does not take the rules of the firewall: {0}")]
    Refused(String),
}

const LONGEST: u64 = 64 * 1024;
const NFT: &str = "/usr/sbin/nft";

/// Returns the text of a partition's file about whom it reaches, if it has one.
pub fn whitelist(inside: &Inside) -> io::Result<Option<Vec<u8>>> {
    inside.read(FILE, LONGEST)
}

/// Returns the ranges whose addresses are all a partition's.
pub fn ranges(prefix: Ipv6Net, partition: PartitionName, ids: Ids) -> [IpNet; 2] {
    let network = network_of(prefix, partition.index(), ids.uid);
    [network.ipv6_range.into(), network.tap.range.into()]
}

/// Returns the users of the partitions of this node that have addresses in these networks.
pub fn users_in(
    prefix: Ipv6Net,
    nets: &BTreeSet<IpNet>,
    accounts: &Accounts,
) -> BTreeSet<(u32, u32)> {
    let users = accounts.partitions().filter(|(partition, ids)| {
        let network = network_of(prefix, partition.index(), ids.uid);
        let own = [IpAddr::from(network.ipv6), IpAddr::from(network.ipv4)];
        nets.iter().any(|net| own.iter().any(|it| net.contains(it)))
    });
    users
        .flat_map(|(partition, ids)| Mapping::of(partition, ids).users())
        .collect()
}

/// The firewall of a node.
#[derive(Debug)]
pub struct Firewall {
    /// What the document says, if it wants all routed addresses protected.
    settings: Option<config::Firewall>,
    notes: Utf8PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    guards: Option<BTreeMap<PartitionName, Guard>>,
    /// The rules that are in force since this program runs.
    applied: Option<String>,
}

impl Firewall {
    /// Takes what the document says, and where it is noted what holds.
    pub fn of(paths: &Paths) -> Self {
        Self {
            settings: paths.firewall.clone(),
            notes: paths.guards.clone(),
            state: Mutex::default(),
        }
    }

    /// Returns what the document says, if it wants all routed addresses protected.
    pub fn settings(&self) -> Option<&config::Firewall> {
        self.settings.as_ref()
    }

    /// Has hold what was noted before this program ran.
    pub async fn restore(&self) -> Result<(), FirewallError> {
        let mut state = self.state.lock().await;
        if state.applied.is_some() {
            return Ok(());
        }
        let guards = self.guards(&mut state)?.clone();
        apply(&mut state, &guards).await
    }

    /// Returns what the guards that hold were made for.
    pub async fn made_for(&self) -> BTreeMap<PartitionName, Fingerprint> {
        let state = self.state.lock().await;
        // What was noted holds once the kernel has taken it.
        let guards = state.guards.iter().filter(|_| state.applied.is_some());
        let guards = guards.flatten();
        guards
            .map(|(name, guard)| (*name, guard.made_for.clone()))
            .collect()
    }

    /// Has a guard hold for a partition, or none any more.
    pub async fn set(
        &self,
        partition: PartitionName,
        guard: Option<Guard>,
    ) -> Result<(), FirewallError> {
        let mut state = self.state.lock().await;
        let mut guards = self.guards(&mut state)?.clone();
        match guard {
            Some(guard) => guards.insert(partition, guard),
            None => guards.remove(&partition),
        };
        if Some(&guards) == state.guards.as_ref() {
            return Ok(());
        }
        apply(&mut state, &guards).await?;
        let text = serde_json::to_vec_pretty(&guards).expect("texts become JSON");
        disk::replace_private(&self.notes, &text).map_err(FirewallError::Notes)?;
        state.guards = Some(guards);
        Ok(())
    }

    fn guards<'a>(
        &self,
        state: &'a mut State,
    ) -> Result<&'a BTreeMap<PartitionName, Guard>, FirewallError> {
        if state.guards.is_none() {
            let text = disk::read(&self.notes).map_err(FirewallError::Notes)?;
            let guards = text.map(|text| serde_json::from_slice(&text));
            if let Some(Err(error)) = &guards {
                // All are made anew, each before anything of its partition starts.
                let aside = disk::set_aside(&self.notes).map_err(FirewallError::Notes)?;
                tracing::error!("who may reach which partition is not known, see {aside}: {error}");
            }
            state.guards = guards.and_then(Result::ok);
        }
        Ok(state.guards.get_or_insert_default())
    }
}

/// Replaces our table. Where nobody is guarded there need not be a firewall at all.
async fn apply(
    state: &mut State,
    guards: &BTreeMap<PartitionName, Guard>,
) -> Result<(), FirewallError> {
    let text = rules::rules(guards.values());
    if state.applied.as_ref() == Some(&text) {
        return Ok(());
    }
    let mut nft = Command::new(NFT);
    nft.args(["--file", "-"]).stdin(Stdio::piped());
    nft.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match nft.kill_on_drop(true).spawn() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if guards.is_empty() {
                state.applied = Some(text);
                return Ok(());
            }
            return Err(FirewallError::NoNft);
        }
        child => child.map_err(FirewallError::Run)?,
    };
    if let Some(mut stdin) = child.stdin.take() {
        let whole = format!("{}{text}", rules::CLEAR);
        let written = stdin.write_all(whole.as_bytes()).await;
        written.map_err(FirewallError::Run)?;
    }
    let ended = child.wait_with_output().await.map_err(FirewallError::Run)?;
    if !ended.status.success() {
        let complaint = String::from_utf8_lossy(&ended.stderr);
        let first = complaint.lines().next().unwrap_or_default();
        return Err(FirewallError::Refused(first.to_owned()));
    }
    state.applied = Some(text);
    Ok(())
}

#[cfg(test)]
mod tests;
