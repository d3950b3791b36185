//! The documents that computers were last told, kept in memory as they were sent. What is kept counts for one version of the
//! computer alone, and the version is the store's: another master may have moved it. Knows nothing of who may see what.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use slap::InstanceGuid;

use crate::identity::ComputerId;

/// How many bytes of documents are kept: those of ten computers with 50 busy partitions. Most polls are answered without one.
const MOST_BYTES: usize = 2 << 20;

/// Whose document of which computer: all of it, or what one instance sees of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct View {
    pub computer: ComputerId,
    pub instance: Option<InstanceGuid>,
}

/// The kept documents; those that were not asked for the longest go first.
#[derive(Debug)]
pub struct Documents {
    kept: Mutex<Kept>,
    most_bytes: usize,
}

#[derive(Debug, Default)]
struct Kept {
    documents: BTreeMap<View, Document>,
    by_use: BTreeMap<u64, View>,
    uses: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Document {
    version: u64,
    body: Bytes,
    used: u64,
}

impl Default for Documents {
    fn default() -> Self {
        Self::of(MOST_BYTES)
    }
}

impl Documents {
    fn of(most_bytes: usize) -> Self {
        Self {
            kept: Mutex::default(),
            most_bytes,
        }
    }

    /// Returns the document of this version, if it is kept.
    pub fn find(&self, view: &View, version: u64) -> Option<Bytes> {
        let mut kept = self.lock();
        kept.uses += 1;
        let now = kept.uses;
        let document = kept.documents.get_mut(view)?;
        if document.version != version {
            return None;
        }
        let before = std::mem::replace(&mut document.used, now);
        let body = document.body.clone();
        if let Some(view) = kept.by_use.remove(&before) {
            kept.by_use.insert(now, view);
        }
        Some(body)
    }

    /// Keeps a document, instead of the one of another version.
    pub fn keep(&self, view: View, version: u64, body: Bytes) {
        let mut kept = self.lock();
        kept.forget(&view);
        if body.len() > self.most_bytes {
            return;
        }
        kept.uses += 1;
        let used = kept.uses;
        kept.bytes += body.len();
        kept.by_use.insert(used, view.clone());
        let document = Document {
            version,
            body,
            used,
        };
        kept.documents.insert(view, document);
        while kept.bytes > self.most_bytes {
            let Some((_, oldest)) = kept.by_use.pop_first() else {
                return;
            };
            kept.forget(&oldest);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn forget(&mut self, view: &View) {
        if let Some(document) = self.documents.remove(view) {
            self.bytes -= document.body.len();
            self.by_use.remove(&document.used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(number: u64) -> View {
        View {
            computer: ComputerId::numbered(number),
            instance: None,
        }
    }

    #[test]
    fn a_document_counts_for_its_version_and_its_viewer_alone() {
        let documents = Documents::default();
        documents.keep(view(1), 7, Bytes::from_static(b"seven"));
        assert_eq!(documents.find(&view(1), 7).unwrap(), "seven");
        assert_eq!(documents.find(&view(1), 8), None);
        assert_eq!(documents.find(&view(2), 7), None);
        let own = View {
            instance: Some(InstanceGuid::numbered(1)),
            ..view(1)
        };
        assert_eq!(documents.find(&own, 7), None);
        documents.keep(view(1), 3, Bytes::from_static(b"three"));
        assert_eq!(documents.find(&view(1), 7), None);
        assert_eq!(documents.find(&view(1), 3).unwrap(), "three");
    }

    #[test]
    fn what_was_not_asked_for_the_longest_goes_first() {
        let documents = Documents::of(10);
        for number in 1..=3 {
            documents.keep(view(number), 1, Bytes::from_static(b"abc"));
        }
        documents.find(&view(1), 1).unwrap();
        documents.keep(view(4), 1, Bytes::from_static(b"abc"));
        let kept = [1, 2, 3, 4].map(|number| documents.find(&view(number), 1).is_some());
        assert_eq!(kept, [true, false, true, true]);
        documents.keep(view(4), 2, Bytes::from_static(b"far too long"));
        assert_eq!(documents.find(&view(4), 2), None);
        assert_eq!(documents.lock().bytes, 6);
    }
}
