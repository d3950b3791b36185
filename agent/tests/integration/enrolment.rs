//! How a box enrols, and what it says while it cannot.

use std::time::Duration;

use camino::Utf8PathBuf;
use slap::JoinBlob;
use slap::join::CaPin;
use slap::v1::Inventory;
use slapbox_agent::enrol::{Admitted, Applicant, Outcome, enrol, renew};
use slapbox_agent::identity::{self, Key, MasterFile, OverlayFile};
use slapbox_agent::master::{Master, TimeSource};
use slapbox_agent::places::Places;
use slapbox_agent::status::{Board, Enrolment, Status};
use slapbox_agent::world::World;

use crate::master::{Mood, TestMaster, token};

/// A box that has nothing but a key, in a folder.
pub(crate) struct Box {
    folder: tempfile::TempDir,
    pub(crate) board: Board,
    key: Key,
}

impl Box {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity =
            Utf8PathBuf::from_path_buf(folder.path().join("var/lib/slapbox/identity")).unwrap();
        let key = identity::load_or_make_key(&identity).unwrap();
        Self {
            folder,
            board: Board::new(Status::default()),
            key,
        }
    }

    pub(crate) fn places(&self) -> Places {
        Places::under(&Utf8PathBuf::from_path_buf(self.folder.path().to_owned()).unwrap())
    }

    pub(crate) fn world() -> World {
        let set_clock = |seconds| panic!("nobody sets this machine's clock to {seconds}");
        // Without chance the box waits as short as it ever does.
        World {
            chance: || 0.0,
            set_clock,
            ..World::real()
        }
    }

    pub(crate) async fn enrol(&self, join: &JoinBlob) -> Outcome {
        let places = self.places();
        let applicant = Applicant {
            places: &places,
            board: &self.board,
            key: &self.key,
            join,
            proxy: None,
            inventory: Inventory::default(),
            world: Self::world(),
        };
        enrol(&applicant).await
    }

    /// Lets the box try until it shows a state that `is` the one, and returns its reason.
    async fn reason_while_enrolling(
        &self,
        join: &JoinBlob,
        is: impl Fn(&Enrolment) -> bool,
    ) -> String {
        let mut follow = self.board.follow();
        let shown = tokio::select! {
            outcome = self.enrol(join) => panic!("{outcome:?}"),
            shown = tokio::time::timeout(Duration::from_secs(20), follow.wait_for(|now| is(&now.enrolment))) => shown,
        };
        shown
            .expect("no such state in time")
            .unwrap()
            .enrolment
            .reason()
            .unwrap_or_default()
            .to_owned()
    }

    pub(crate) fn identity(&self, admitted: Admitted, join: &JoinBlob) -> identity::Identity {
        let master = MasterFile {
            urls: join.urls.clone(),
            reference: admitted.reference,
            overlay: OverlayFile {
                port: 6326,
                endpoint: None,
            },
            proxy: None,
        };
        identity::assemble(self.key.clone(), admitted.certificate, admitted.ca, master).unwrap()
    }
}

pub(crate) fn admitted(outcome: Outcome) -> Admitted {
    let Outcome::Admitted(admitted) = outcome else {
        panic!("{outcome:?}")
    };
    admitted
}

fn has_reason(enrolment: &Enrolment) -> bool {
    matches!(enrolment, Enrolment::Enrolling { reason: Some(_) })
}

#[tokio::test]
async fn a_box_takes_the_time_shows_its_token_and_gets_its_certificate() {
    let master = TestMaster::start(Mood::Admit, -1, 90).await;
    let the = Box::new();
    let admitted = admitted(the.enrol(&master.join()).await);
    assert_eq!(admitted.reference, "COMP-2");
    let asked = format!("enrol {} {}", the.key.code(), token().id());
    assert_eq!(master.seen(), ["time".to_owned(), asked]);
    let identity = the.identity(admitted, &master.join());
    assert_eq!(identity.pins, [master.join().ca]);
}

#[tokio::test]
async fn a_refused_token_is_said_in_words() {
    for (code, words, reason) in [
        (
            "token_refused",
            "the token is unknown, expired or used up",
            "the master refused the token: it is unknown, expired or used",
        ),
        (
            "token_of_other_kind",
            "the token is a user's",
            "the master says: the token is a user's",
        ),
    ] {
        let master = TestMaster::start(Mood::Refuse(code, words), -1, 90).await;
        let the = Box::new();
        assert_eq!(the.enrol(&master.join()).await, Outcome::Refused);
        let reason = reason.to_owned();
        assert_eq!(the.board.now().enrolment, Enrolment::Refused { reason });
    }
}

#[tokio::test]
async fn a_pending_box_waits_for_its_approval() {
    let master = TestMaster::start(Mood::Pend(2), -1, 90).await;
    let the = Box::new();
    let join = master.join();
    the.reason_while_enrolling(&join, |now| *now == Enrolment::Pending)
        .await;
    assert_eq!(admitted(the.enrol(&join).await).reference, "COMP-2");
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_key_and_token() {
    let master = TestMaster::start(Mood::LoseAnswers(2), -1, 90).await;
    let the = Box::new();
    assert_eq!(
        admitted(the.enrol(&master.join()).await).reference,
        "COMP-2"
    );
    let seen: Vec<_> = master
        .seen()
        .into_iter()
        .filter(|what| what.starts_with("enrol"))
        .collect();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|what| *what == seen[0]), "{seen:?}");
}

#[tokio::test]
async fn a_foreign_master_gets_no_token() {
    let master = TestMaster::start(Mood::Admit, -1, 90).await;
    let join = JoinBlob {
        ca: CaPin::of_spki(b"another"),
        ..master.join()
    };
    let reason = Box::new().reason_while_enrolling(&join, has_reason).await;
    let host = master.address;
    assert_eq!(
        reason,
        format!(
            "{host} is not the master of the join blob: its certificate is not signed by the expected CA"
        )
    );
    assert_eq!(master.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn a_master_that_is_not_there_is_said_to_be_silent() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let there = TestMaster::start(Mood::Admit, -1, 90).await.join();
    let join = JoinBlob {
        urls: vec![format!("https://{gone}")],
        ..there.clone()
    };
    let reason = Box::new().reason_while_enrolling(&join, has_reason).await;
    assert_eq!(
        reason,
        format!("the master at {gone} does not answer: the connection is refused")
    );
    let join = JoinBlob {
        urls: vec!["https://no-such-host.invalid".into()],
        ..there
    };
    let reason = Box::new().reason_while_enrolling(&join, has_reason).await;
    let expected = "the master at no-such-host.invalid cannot be found: its name is not known here";
    assert_eq!(reason, expected);
}

#[tokio::test]
async fn a_certificate_that_does_not_count_today_makes_the_box_doubt_its_clock_first() {
    for (from, to, words) in [(-90, -1, "expired"), (1, 90, "not valid yet")] {
        let master = TestMaster::start(Mood::Admit, from, to).await;
        let reason = Box::new()
            .reason_while_enrolling(&master.join(), has_reason)
            .await;
        assert!(reason.contains(words), "{reason}");
        // The clock was right, as the time signed by the CA says twice: nothing was set and nobody let in.
        assert_eq!(master.seen(), ["time", "time"]);
    }
}

#[tokio::test]
async fn a_certificate_is_renewed_for_the_same_key_with_the_one_before() {
    let master = TestMaster::start(Mood::Admit, -1, 90).await;
    let the = Box::new();
    let identity = the.identity(admitted(the.enrol(&master.join()).await), &master.join());
    let computer = identity.master.reference.parse().unwrap();
    let client = Master::new(
        slapbox_agent::master::settings(&identity),
        computer,
        the.places(),
        Box::world(),
    )
    .unwrap();
    let renewed = renew(&client, &identity).await.unwrap();
    assert!(renewed.certificate.not_after > identity.certificate.not_after);
    assert_eq!(
        renewed.certificate.public_key,
        identity.certificate.public_key
    );
    client.renewed(&renewed).unwrap();
    client.keep_time().await.unwrap();
    assert_eq!(master.seen().last().unwrap(), "time");
}

#[tokio::test]
async fn a_clock_that_nobody_has_set_is_set_to_the_signed_time() {
    use std::sync::atomic::{AtomicI64, Ordering};
    static SET_TO: AtomicI64 = AtomicI64::new(0);
    let master = TestMaster::start(Mood::Admit, -1, 90).await;
    let the = Box::new();
    let settings = slap::client::Settings::joining(&master.join());
    let real = World::real().seconds();
    for now in [
        || std::time::UNIX_EPOCH,
        || std::time::UNIX_EPOCH + Duration::from_secs(4_085_000_000),
    ] {
        let set_clock = |seconds| {
            SET_TO.store(seconds, Ordering::SeqCst);
            Ok(())
        };
        let world = World {
            now,
            set_clock,
            ..World::real()
        };
        TimeSource::new(&settings, the.places(), world)
            .unwrap()
            .keep()
            .await
            .unwrap();
        assert!((SET_TO.swap(0, Ordering::SeqCst) - real).abs() < 60);
    }
}
