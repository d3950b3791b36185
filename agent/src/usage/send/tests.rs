//! What masters answer, and what follows.

use std::cell::RefCell;

use camino::Utf8PathBuf;

use super::*;
use crate::reconcile::Kind;
use crate::usage::outbox::{Entry, Told};
use crate::workload::Paths;

/// A master that keeps what it takes.
#[derive(Default)]
struct Master {
    heard: RefCell<Vec<String>>,
    /// What it answers to a document that contains these words.
    moods: Vec<(&'static str, Kind)>,
}

impl Master {
    async fn sends(&self, outbox: &Outbox) -> Sent {
        send_each(outbox, async |document| {
            self.heard.borrow_mut().push(document.to_owned());
            let mut moods = self.moods.iter();
            match moods.find(|(words, _)| document.contains(words)) {
                None => Ok(()),
                Some((words, kind)) => Err(UpstreamError {
                    reason: format!("no {words}"),
                    kind: *kind,
                }),
            }
        })
        .await
        .unwrap()
    }

    fn heard(&self) -> Vec<String> {
        self.heard.take()
    }
}

fn outbox(documents: &[&str]) -> (tempfile::TempDir, Outbox) {
    let keep = tempfile::tempdir().unwrap();
    let folder = Utf8PathBuf::from_path_buf(keep.path().join("outbox")).unwrap();
    let outbox = Outbox::new(folder, Paths::default());
    for document in documents {
        let entry = Entry::new((*document).to_owned(), [].into(), Told::default());
        outbox.put(&entry).unwrap();
    }
    (keep, outbox)
}

#[tokio::test]
async fn documents_are_sent_in_order_and_once() {
    let (_keep, outbox) = outbox(&["one", "two"]);
    let master = Master::default();
    assert_eq!(master.sends(&outbox).await.taken, 2);
    assert_eq!(master.heard(), ["one", "two"]);
    assert_eq!(master.sends(&outbox).await, Sent::default());
    assert_eq!(master.heard(), [""; 0]);
}

#[tokio::test]
async fn what_was_taken_is_not_sent_again_although_its_files_are_not_removed_yet() {
    let (_keep, outbox) = outbox(&["one"]);
    let entry = outbox.entry(1).unwrap().unwrap();
    // Killed here.
    outbox.taken(1, entry).unwrap();
    let master = Master::default();
    assert_eq!(master.sends(&outbox).await, Sent::default());
    assert_eq!(master.heard(), [""; 0]);
    assert_eq!(outbox.numbers().unwrap(), [0_u64; 0]);
}

#[tokio::test]
async fn a_master_that_is_away_gets_the_same_later() {
    let (_keep, outbox) = outbox(&["one", "two"]);
    let master = Master {
        moods: vec![("one", Kind::Later)],
        ..Master::default()
    };
    let sent = master.sends(&outbox).await;
    assert_eq!(sent.away.as_deref(), Some("no one"));
    assert_eq!(master.heard(), ["one"]);
    assert_eq!(failures(&Ok(sent)), []);
    let back = Master::default();
    assert_eq!(back.sends(&outbox).await.taken, 2);
    assert_eq!(back.heard(), ["one", "two"]);
}

#[tokio::test]
async fn what_the_master_refuses_stays_and_holds_up_nothing_else() {
    let (_keep, outbox) = outbox(&["one", "two", "three"]);
    let master = Master {
        moods: vec![("one", Kind::Never), ("three", Kind::Never)],
        ..Master::default()
    };
    let sent = master.sends(&outbox).await;
    assert_eq!((sent.taken, sent.refused.len()), (1, 2));
    assert_eq!(outbox.numbers().unwrap(), [1, 3]);
    let [failure] = &failures(&Ok(sent))[..] else {
        panic!("one is enough")
    };
    assert_eq!(
        failure.message,
        "the master does not take what was used: no one"
    );
}
