//! What came of what an instance requested: asked in its name, kept in a file of root's in its partition, and told to it in
//! the document that it is made from. The calls themselves are made by whoever speaks to the master.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use slap::RequestedState;
use slap::client::Identity;

use super::wishes::Wish;
use crate::desired::{Fingerprint, Instance, PartitionName, SoftwareUrl};
use crate::inside::{Inside, Ownership};

/// What an instance is told of what it requested, by title.
pub type Told = BTreeMap<String, Answer>;

/// What the master says of an instance that another one requested.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether there is such an instance, in a partition.
    pub ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What it shall be; some masters do not say it of shared instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<RequestedState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub computer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// What it publishes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub connection: BTreeMap<String, String>,
}

/// Why a request has no answer; in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such instance, yet or any more.
    NotReady(String),
    /// Nobody knows: the master is away, or refuses.
    Unknown(String),
}

/// What is asked in the name of an instance.
#[derive(Debug)]
pub struct Asking {
    pub partition: PartitionName,
    /// By what its master knows it, if by anything.
    pub identity: Option<Identity>,
    /// Its own release.
    pub software: SoftwareUrl,
    pub wishes: Vec<Wish>,
}

/// Asks the master for what instances request: an answer or a refusal for each, in the same order.
#[derive(Clone)]
pub struct Asker(Arc<Ask>);

type Ask = dyn Fn(Asking) -> Asked + Send + Sync;
type Asked = Pin<Box<dyn Future<Output = Vec<Result<Answer, Refusal>>> + Send>>;

impl Asker {
    /// Calls `ask` for each instance that requests something.
    pub fn new<F>(ask: impl Fn(Asking) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Vec<Result<Answer, Refusal>>> + Send + 'static,
    {
        Self(Arc::new(move |asking| Box::pin(ask(asking))))
    }

    /// Asks for all of it.
    pub async fn ask(&self, asking: Asking) -> Vec<Result<Answer, Refusal>> {
        (self.0)(asking).await
    }
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asker")
    }
}

/// What an instance requests, and what came of it when it was last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    pub wishes: Vec<Wish>,
    pub told: Told,
    /// What is not as it was requested, and why.
    troubles: BTreeMap<String, String>,
    /// What was asked, and when, in seconds since 1970.
    asked: Option<Fingerprint>,
    asked_at: i64,
}

const RECORD: &str = ".slapgrid/requested.json";
/// What all that is requested may say together.
const LONGEST: u64 = 2 * 1024 * 1024;
/// Seconds until what was not ready is asked for again.
const AGAIN_AFTER: i64 = 30;

impl Requested {
    /// Reads the record. One that is not root's, or cannot be read, is none: the instance is then made anew.
    pub fn read(inside: &Inside) -> Self {
        let found = inside.read_owned(RECORD, LONGEST);
        let Ok(Some((text, Ownership { uid: 0, .. }))) = found else {
            return Self::default();
        };
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Keeps the record; an empty one is no file.
    pub fn write(&self, inside: &Inside) -> io::Result<()> {
        if *self == Self::default() {
            return inside.remove(RECORD);
        }
        let text = serde_json::to_vec(self).map_err(io::Error::other)?;
        if text.len() as u64 > LONGEST {
            return Err(io::Error::other(format!(
                "what it requested publishes more than {LONGEST} bytes together"
            )));
        }
        inside.replace(RECORD, &text, Ownership::of_root(0o600))
    }

    /// Takes up what the instance requests from now on.
    pub fn adopt(&mut self, wishes: Vec<Wish>) {
        self.wishes = wishes;
        if self.wishes.is_empty() {
            *self = Self::default();
        }
    }

    /// Returns what to ask for now, if anything: what was not asked for this order, or was not ready for a while.
    pub fn due(&self, instance: &Instance, now: i64) -> Option<Fingerprint> {
        if self.wishes.is_empty() {
            return None;
        }
        let subject = self.subject(instance);
        let rests = (self.asked_at..self.asked_at + AGAIN_AFTER).contains(&now);
        let is_new = self.asked.as_ref() != Some(&subject);
        (is_new || !self.troubles.is_empty() && !rests).then_some(subject)
    }

    /// Who publishes something has its requester's timestamp moved.
    fn subject(&self, instance: &Instance) -> Fingerprint {
        let wishes = serde_json::to_string(&self.wishes).expect("texts become JSON");
        let (software, timestamp) = (&instance.software, &instance.timestamp);
        Fingerprint::of(format!("{software}\0{timestamp}\0{wishes}").as_bytes())
    }

    /// Notes what came of asking. What is not known now is as it was.
    pub fn hear(&mut self, subject: Fingerprint, answers: Vec<Result<Answer, Refusal>>, now: i64) {
        let mut before = std::mem::take(&mut self.told);
        self.troubles.clear();
        for (wish, answer) in self.wishes.iter().zip(answers) {
            let title = wish.title.to_string();
            let is_leaving = wish.state == RequestedState::Destroyed;
            let answer = match answer {
                Ok(answer) => answer,
                Err(Refusal::NotReady(_)) if is_leaving => Answer::default(),
                Err(Refusal::NotReady(why)) => {
                    self.troubles.insert(title.clone(), why);
                    Answer::default()
                }
                Err(Refusal::Unknown(why)) => {
                    self.troubles.insert(title.clone(), why);
                    before.remove(&title).unwrap_or_default()
                }
            };
            self.told.insert(title, answer);
        }
        self.asked = Some(subject);
        self.asked_at = now;
    }

    /// Returns what is not as it was requested, in words, if something is not.
    pub fn trouble(&self) -> Option<String> {
        let troubles = self.troubles.iter();
        let troubles: Vec<_> = troubles
            .map(|(title, why)| format!("`{title}`: {why}"))
            .collect();
        (!troubles.is_empty())
            .then(|| format!("it waits for what it requested: {}", troubles.join("; ")))
    }

    /// Returns what it requests, by title.
    pub fn titles(&self) -> Vec<String> {
        self.wishes
            .iter()
            .map(|wish| wish.title.to_string())
            .collect()
    }
}

#[cfg(test)]
mod tests;
