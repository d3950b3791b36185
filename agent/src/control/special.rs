//! What may be asked beside a plain look, as of the original's node: to do again what is done already, to hear of some alone, to
//! remove what nobody needs.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use tokio::sync::mpsc;

use super::words::{Said, status};
use super::{Alarm, Ask, Desk, Outcome};
use crate::causes::in_one_line;
use crate::desired::{PartitionName, SoftwareUrl};
use crate::software::installer::PruneError;
use crate::software::{Engine, ReleaseId};
use crate::status::Status;

/// What the node does for whoever asks, and not by itself; or not yet.
pub trait Chores: Sync {
    /// Has instances be processed again at the next look, whatever they are.
    fn process_again(&self, partitions: &[PartitionName]);

    /// Builds a release again; returns when that is done, or why it was not.
    fn build_again(&self, release: &SoftwareUrl)
    -> impl Future<Output = Result<(), String>> + Send;

    /// Has the releases go that nobody needs, at the next look that hears the master.
    fn collect(&self);

    /// Returns the releases that went after that when they are gone, or why one did not; those that have not begun to go do not.
    fn collected(&self) -> impl Future<Output = Result<Vec<ReleaseId>, String>> + Send;

    /// Removes the shared parts that no release has, nor one in `more` folders of releases, or only says which they are.
    fn prune(
        &self,
        dry_run: bool,
        more: Vec<Utf8PathBuf>,
    ) -> impl Future<Output = Result<Vec<String>, PruneError>> + Send;
}

/// A look, and what else is asked.
#[derive(Debug)]
pub(super) struct Special {
    pub(super) what: Ask,
    pub(super) force: bool,
    pub(super) only: Vec<String>,
    pub(super) collect: bool,
}

impl Special {
    /// Why nobody can mean it.
    fn refusal(&self) -> Option<&'static str> {
        let is_more = self.force || !self.only.is_empty();
        match self.what {
            Ask::Software | Ask::Instance if self.collect && self.what != Ask::Software => {
                Some("only releases can be collected")
            }
            Ask::Software if self.collect && is_more => {
                Some("releases are collected by themselves: ask for anything else another time")
            }
            Ask::Software | Ask::Instance => None,
            Ask::Promise | Ask::Report | Ask::Format => (is_more || self.collect)
                .then_some("only releases and instances can be named or done again"),
        }
    }
}

impl<A: Alarm, C: Chores> Desk<A, C> {
    /// Does what is asked, and says what came of it.
    pub(super) async fn special(&self, asked: Special, said: &mpsc::Sender<Said>) -> Outcome {
        if let Some(why) = asked.refusal() {
            return Outcome::new(status::MISTYPED, why);
        }
        match asked.what {
            Ask::Software if asked.collect => self.collect(said).await,
            Ask::Software => self.software(asked, said).await,
            Ask::Instance => self.instance(asked, said).await,
            Ask::Promise | Ask::Report | Ask::Format => self.look(asked.what, &[], said).await,
        }
    }

    async fn instance(&self, asked: Special, said: &mpsc::Sender<Said>) -> Outcome {
        let count = self.board.now().partitions.wanted;
        let partitions = match partitions(&asked.only, count) {
            Ok(partitions) => partitions,
            Err(why) => return Outcome::new(status::FAILED, why),
        };
        if asked.force {
            self.chores.process_again(&partitions);
        }
        self.look(asked.what, &asked.only, said).await
    }

    async fn software(&self, asked: Special, said: &mpsc::Sender<Said>) -> Outcome {
        if asked.only.is_empty() && !asked.force {
            return self.look(asked.what, &[], said).await;
        }
        if let Err(outcome) = self.look_once().await {
            return outcome;
        }
        let now = self.board.now();
        let releases = match releases(&asked.only, &now) {
            Ok(releases) => releases,
            Err(why) => return Outcome::new(status::FAILED, why),
        };
        if asked.force && now.master_away.is_none() {
            return self.build_again(&releases, said).await;
        }
        let only: Vec<String> = releases.iter().map(ToString::to_string).collect();
        self.follow(asked.what, &only, said).await
    }

    /// Builds them one after the other; one that fails does not keep the others from it.
    async fn build_again(
        &self,
        releases: &BTreeSet<SoftwareUrl>,
        said: &mpsc::Sender<Said>,
    ) -> Outcome {
        let mut failures = Vec::new();
        for url in releases {
            let _ = said
                .send(Said::Progress(format!("building {url} again")))
                .await;
            if let Err(why) = self.chores.build_again(url).await {
                failures.push(format!("{url}: {why}"));
            }
        }
        if failures.is_empty() {
            let words = format!("{} releases are built again", releases.len());
            return Outcome::new(status::DONE, words);
        }
        Outcome::new(status::FAILED, failures.join("\n"))
    }

    async fn collect(&self, said: &mpsc::Sender<Said>) -> Outcome {
        self.chores.collect();
        let looked = self.look_once().await;
        // Whatever came of it: it is not to happen later, when nobody thinks of it any more.
        let collected = self.chores.collected().await;
        if let Err(outcome) = looked {
            return outcome;
        }
        let outcome = self.follow(Ask::Software, &[], said).await;
        let words = match collected {
            Err(why) => return Outcome::new(status::FAILED, why),
            Ok(gone) if gone.is_empty() => "no release is there that nobody needs".to_owned(),
            Ok(gone) => {
                let lines: Vec<String> = gone.iter().map(|id| format!("removed {id}")).collect();
                lines.join("\n")
            }
        };
        Outcome::new(outcome.status, format!("{}\n{words}", outcome.message))
    }
}

/// Removes what nobody has, and says what that was.
pub(super) async fn prune(chores: &impl Chores, dry_run: bool, more: Vec<Utf8PathBuf>) -> Outcome {
    match chores.prune(dry_run, more).await {
        Ok(parts) if parts.is_empty() => {
            Outcome::new(status::DONE, "every shared part has a release")
        }
        Ok(parts) => {
            let did = if dry_run { "no release has" } else { "removed" };
            let lines: Vec<String> = parts.iter().map(|part| format!("{did} {part}")).collect();
            Outcome::new(status::DONE, lines.join("\n"))
        }
        Err(error @ PruneError::Building) => Outcome::new(status::BUILDING, in_one_line(&error)),
        Err(error @ (PruneError::Look(_) | PruneError::Parts(_))) => {
            Outcome::new(status::FAILED, in_one_line(&error))
        }
    }
}

/// The partitions that are named, or all.
fn partitions(only: &[String], count: u16) -> Result<Vec<PartitionName>, String> {
    if only.is_empty() {
        return Ok((0..count).map(PartitionName::new).collect());
    }
    let named = only.iter().map(|name| {
        let partition = name.parse::<PartitionName>().ok();
        let partition = partition.filter(|partition| partition.index() < count);
        partition.ok_or_else(|| {
            format!("`{name}` is not a partition of this node (it has {count}, from slappart0 on)")
        })
    });
    named.collect()
}

/// The releases that are named, by URL or MD5, or all that can be built again.
fn releases(only: &[String], now: &Status) -> Result<BTreeSet<SoftwareUrl>, String> {
    let urls = now.software.keys().map(SoftwareUrl::new);
    if only.is_empty() {
        let built = urls.filter(|url| Engine::of(url) == Some(Engine::Buildout));
        return Ok(built.collect());
    }
    let by_id: BTreeMap<String, SoftwareUrl> = urls
        .map(|url| (ReleaseId::of(&url).to_string(), url))
        .collect();
    let named = only.iter().map(|name| {
        let id = ReleaseId::of(&SoftwareUrl::new(name)).to_string();
        let found = by_id.get(name).or_else(|| by_id.get(&id));
        found
            .cloned()
            .ok_or_else(|| format!("`{name}` is no release that is supplied on this node"))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_those_of_this_node() {
        let names = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
            partitions(&only, 3)
        };
        let numbered = |indexes: &[u16]| -> Vec<PartitionName> {
            indexes.iter().copied().map(PartitionName::new).collect()
        };
        assert_eq!(names(&[]), Ok(numbered(&[0, 1, 2])));
        assert_eq!(names(&["slappart2", "slappart0"]), Ok(numbered(&[2, 0])));
        for odd in ["slappart3", "2", "slapuser0", ""] {
            let said = names(&["slappart0", odd]).unwrap_err();
            assert!(
                said.contains(&format!("`{odd}` is not a partition")),
                "{said}"
            );
        }
    }

    #[test]
    fn releases_are_named_by_url_or_md5() {
        let (built, image) = ("https://m/a.cfg", "https://m/b.oci.tar");
        let mut now = Status::default();
        for url in [built, image] {
            now.software.insert(url.to_owned(), "available");
        }
        let found = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
            releases(&only, &now)
        };
        let one = |url: &str| Ok(BTreeSet::from([SoftwareUrl::new(url)]));
        assert_eq!(found(&[]), one(built));
        assert_eq!(found(&[image]), one(image));
        let id = ReleaseId::of(&SoftwareUrl::new(built)).to_string();
        assert_eq!(found(&[&id]), one(built));
        let said = found(&[built, "https://m/c.cfg"]).unwrap_err();
        assert!(
            said.starts_with("`https://m/c.cfg` is no release"),
            "{said}"
        );
    }

    #[test]
    fn what_nobody_can_mean_is_refused() {
        let asked = |what, force, only: &[&str], collect| {
            let only = only.iter().map(|name| (*name).to_owned()).collect();
            let special = Special {
                what,
                force,
                only,
                collect,
            };
            special.refusal().is_some()
        };
        assert!(!asked(Ask::Software, true, &["x"], false));
        assert!(!asked(Ask::Instance, true, &[], false));
        assert!(!asked(Ask::Software, false, &[], true));
        assert!(!asked(Ask::Promise, false, &[], false));
        assert!(asked(Ask::Instance, false, &[], true));
        assert!(asked(Ask::Software, true, &[], true));
        assert!(asked(Ask::Promise, true, &[], false));
        assert!(asked(Ask::Format, false, &["slappart0"], false));
        assert!(asked(Ask::Report, false, &[], true));
    }
}
