//! The loop between a fake node and a fake master, in a time that does not pass by itself.

mod fakes;

use std::sync::Arc;

use camino::Utf8PathBuf;
use tokio::time::sleep;

use self::fakes::{FakeMaster, FakeNode, desired};
use super::*;
use crate::report;
use crate::status::{Part, Status};

/// A box in a folder, with its loop running.
struct Box {
    _folder: tempfile::TempDir,
    places: Places,
    board: Board,
    node: Arc<FakeNode>,
    master: Arc<FakeMaster>,
}

const PREFIX: &str = "fd12:3456:789a:2::/64";

impl Box {
    fn new(master: FakeMaster) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        let places = Places::under(&root);
        std::fs::create_dir_all(places.state()).unwrap();
        std::fs::create_dir_all(places.at("run/slapbox-re6st")).unwrap();
        let board = Board::new(Status::default());
        Self {
            _folder: folder,
            places,
            board,
            node: Arc::default(),
            master: Arc::new(master),
        }
    }

    fn overlay_says(&self, prefix: &str) {
        let json = format!(r#"{{"prefix":"{prefix}","state":"connected","links":[]}}"#);
        let path = self.places.at("run/slapbox-re6st/node.json");
        crate::disk::replace(&path, json.as_bytes()).unwrap();
    }

    /// Starts the loop and everything that wakes it.
    fn start(&self) {
        let (wake, wakes) = mpsc::channel(16);
        let (report, reports) = mpsc::channel(64);
        let (node, master) = (Arc::clone(&self.node), Arc::clone(&self.master));
        let (places, board) = (self.places.clone(), self.board.clone());
        let wanted = Wanted {
            prefix: None,
            partitions: 200,
            reference: "COMP-2".parse().unwrap(),
        };
        tokio::spawn(async move {
            let now = || std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(7);
            let set_clock = |_| panic!("nobody sets this clock");
            let world = World {
                now,
                set_clock,
                ..World::real()
            };
            tokio::join!(
                run(
                    &*node, &*master, &places, &board, wanted, world, wakes, report
                ),
                tick(wake.clone()),
                follow_changes(&*node, wake.clone()),
                follow_overlay(&places, wake.clone()),
                follow_master(&*master, wake.clone(), || 0.5),
                report::send(&*master, reports, &board, || 0.5),
            );
        });
    }

    /// What the node was asked since the last time.
    fn node_was_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.node.asked.lock().unwrap())
    }

    fn master_was_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.master.asked.lock().unwrap())
    }
}

/// Long enough for everything that is to be done at once.
async fn a_moment() {
    sleep(Duration::from_millis(100)).await;
}

#[tokio::test(start_paused = true)]
async fn a_box_makes_its_partitions_tells_them_and_converges() {
    let the = Box::new(FakeMaster::wanting("https://m/a.oci.tar"));
    the.overlay_says(PREFIX);
    the.start();
    a_moment().await;
    let asked = the.node_was_asked();
    assert_eq!(asked[0], format!("make 200 under {PREFIX}"));
    assert_eq!(asked.last().unwrap(), "converge https://m/a.oci.tar");
    let told = the.master_was_asked();
    assert_eq!(
        told.iter()
            .filter(|what| *what == "announce COMP-2")
            .count(),
        1,
        "{told:?}"
    );
    assert!(
        told.contains(&"report software https://m/a.oci.tar".to_owned()),
        "{told:?}"
    );
    let status = the.board.now();
    assert_eq!(status.last_contact, Some(7));
    assert_eq!(status.software["https://m/a.oci.tar"], "available");
}

#[tokio::test(start_paused = true)]
async fn a_box_waits_for_its_prefix_before_it_touches_anything() {
    let the = Box::new(FakeMaster::wanting("https://m/a.oci.tar"));
    the.start();
    sleep(Duration::from_secs(290)).await;
    assert_eq!(the.node_was_asked(), Vec::<String>::new());
    the.overlay_says(PREFIX);
    sleep(Duration::from_secs(2)).await;
    let expected = [
        format!("make 200 under {PREFIX}"),
        "converge https://m/a.oci.tar".into(),
    ];
    assert_eq!(the.node_was_asked(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_wish_of_the_master_is_acted_on_at_once() {
    let the = Box::new(FakeMaster::wanting("https://m/a.oci.tar"));
    the.overlay_says(PREFIX);
    the.start();
    a_moment().await;
    the.node_was_asked();
    the.master.want("https://m/b.oci.tar");
    the.master.want("https://m/b.oci.tar");
    the.master.desired.lock().unwrap().pop_front();
    the.master
        .generation
        .send_modify(|generation| *generation += 1);
    a_moment().await;
    assert_eq!(the.node_was_asked(), ["converge https://m/b.oci.tar"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_on_the_node_is_looked_at_without_asking_the_master() {
    let the = Box::new(FakeMaster::wanting("https://m/a.oci.tar"));
    the.overlay_says(PREFIX);
    the.start();
    a_moment().await;
    the.node_was_asked();
    the.master_was_asked();
    the.node.changes.send_modify(|count| *count += 1);
    a_moment().await;
    assert_eq!(the.node_was_asked(), ["converge https://m/a.oci.tar"]);
    assert!(!the.master_was_asked().contains(&"desired".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_plain_master_is_asked_each_minute_and_partitions_are_checked_with_it() {
    let master = FakeMaster {
        is_plain: true,
        ..FakeMaster::wanting("https://m/a.oci.tar")
    };
    let the = Box::new(master);
    the.overlay_says(PREFIX);
    the.start();
    a_moment().await;
    the.node_was_asked();
    the.master_was_asked();
    sleep(Duration::from_secs(59)).await;
    assert_eq!(the.node_was_asked(), Vec::<String>::new());
    sleep(Duration::from_secs(2)).await;
    let expected = [
        format!("make 200 under {PREFIX}"),
        "converge https://m/a.oci.tar".into(),
    ];
    assert_eq!(the.node_was_asked(), expected);
    assert!(the.master_was_asked().contains(&"desired".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_wants_another_gets_it_in_time() {
    let the = Box::new(FakeMaster::wanting("https://m/a.oci.tar"));
    the.overlay_says(PREFIX);
    let soon = Converged {
        next_wake: Some(Duration::from_secs(5)),
        ..Converged::default()
    };
    the.node
        .converged
        .lock()
        .unwrap()
        .extend([Converged::default(), soon]);
    the.start();
    a_moment().await;
    the.node.changes.send_modify(|count| *count += 1);
    a_moment().await;
    the.node_was_asked();
    sleep(Duration::from_secs(6)).await;
    assert!(!the.node_was_asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_restarted_box_starts_its_services_without_its_master() {
    let the = Box::new(FakeMaster::default());
    *the.master.away.lock().unwrap() = true;
    kept::keep_desired(&the.places, &desired("https://m/a.oci.tar")).unwrap();
    kept::keep_prefix(&the.places, PREFIX.parse().unwrap()).unwrap();
    the.start();
    a_moment().await;
    let expected = [
        format!("make 200 under {PREFIX}"),
        "converge https://m/a.oci.tar".into(),
    ];
    assert_eq!(the.node_was_asked(), expected);
    assert_eq!(*the.node.heard.lock().unwrap(), [Heard::Before]);
    let status = the.board.now();
    assert_eq!(
        status.master_away.as_deref(),
        Some("the master does not answer")
    );
    assert!(
        status
            .failures
            .iter()
            .any(|f| f.message.contains("cannot be announced"))
    );
    *the.master.away.lock().unwrap() = false;
    the.master.want("https://m/a.oci.tar");
    sleep(Duration::from_secs(61)).await;
    let told = the.master_was_asked();
    assert!(told.contains(&"announce COMP-2".to_owned()), "{told:?}");
    assert!(
        told.contains(&"report software https://m/a.oci.tar".to_owned()),
        "{told:?}"
    );
    assert_eq!(the.board.now().master_away, None);
    assert_eq!(the.board.now().failures, []);
    let heard = the.node.heard.lock().unwrap().clone();
    assert_eq!(heard, [Heard::Before, Heard::Now]);
    the.node.changes.send_modify(|count| *count += 1);
    sleep(Duration::from_secs(5)).await;
    // What changed on the node says nothing of what the master wants.
    assert_eq!(the.node.heard.lock().unwrap().last(), Some(&Heard::Before));
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_shown_until_it_no_longer_does() {
    let the = Box::new(FakeMaster::wanting("https://m/a.oci.tar"));
    the.overlay_says(PREFIX);
    let failures = [(PartitionName::new(3), "no".to_owned())].into();
    let failed = Converged {
        failures,
        ..Converged::default()
    };
    the.node.converged.lock().unwrap().push_back(failed);
    the.start();
    a_moment().await;
    let expected = Failure {
        part: Part::Converge,
        subject: Some("slappart3".into()),
        message: "no".into(),
    };
    assert_eq!(the.board.now().failures, [expected]);
    sleep(Duration::from_secs(61)).await;
    assert_eq!(the.board.now().failures, []);
}

#[tokio::test(start_paused = true)]
async fn what_exists_is_looked_after_although_partitions_cannot_be_made() {
    let mut the = Box::new(FakeMaster::wanting("https://m/a.oci.tar"));
    the.node = Arc::new(FakeNode {
        refuses_partitions: true,
        ..FakeNode::default()
    });
    the.overlay_says(PREFIX);
    the.start();
    a_moment().await;
    assert!(
        the.node_was_asked()
            .contains(&"converge https://m/a.oci.tar".to_owned())
    );
    let failures = the.board.now().failures;
    assert!(
        failures[0].part == Part::Partitions && failures[0].message.contains("slappart7 is in use"),
        "{failures:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn reasons_that_come_together_are_one() {
    let (wake, mut wakes) = mpsc::channel(16);
    for reason in [
        Wake::UnitChanged,
        Wake::Timer,
        Wake::UnitChanged,
        Wake::DesiredChanged,
    ] {
        wake.send(reason).await.unwrap();
    }
    let now = Instant::now();
    assert_eq!(wake::next(&mut wakes, None, now).await, Some(Wake::Timer));
    let soon = Some(now + Duration::from_secs(1));
    assert_eq!(wake::next(&mut wakes, soon, now).await, Some(Wake::Again));
    drop(wake);
    assert_eq!(wake::next(&mut wakes, None, now).await, None);
}

#[tokio::test(start_paused = true)]
async fn changes_wait_for_the_rest_after_a_pass_and_nothing_else_does() {
    let (wake, mut wakes) = mpsc::channel(16);
    let begun = Instant::now();
    let rested = begun + Duration::from_millis(400);
    wake.send(Wake::UnitChanged).await.unwrap();
    let woken = wake::next(&mut wakes, None, rested).await;
    assert_eq!((woken, Instant::now()), (Some(Wake::UnitChanged), rested));

    let rested = rested + Duration::from_millis(400);
    wake.send(Wake::UnitChanged).await.unwrap();
    wake.send(Wake::Asked).await.unwrap();
    let woken = wake::next(&mut wakes, None, rested).await;
    assert_eq!(woken, Some(Wake::Asked));
    assert!(Instant::now() < rested);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_box_says_so_and_keeps_what_runs() {
    let the = Box::new(FakeMaster::default());
    the.overlay_says(PREFIX);
    kept::keep_desired(&the.places, &desired("https://m/a.oci.tar")).unwrap();
    let reason = "the master says: this certificate is revoked".to_owned();
    let revoked = UpstreamError {
        reason: reason.clone(),
        kind: Kind::Revoked,
    };
    the.master.desired.lock().unwrap().push_back(Err(revoked));
    the.start();
    a_moment().await;
    let reference = "COMP-2".to_owned();
    assert_eq!(
        the.board.now().enrolment,
        Enrolment::Revoked { reference, reason }
    );
    assert!(
        the.node_was_asked()
            .contains(&"converge https://m/a.oci.tar".to_owned())
    );
}

#[test]
fn a_kept_fact_that_does_not_parse_is_set_aside_and_told() {
    let the = Box::new(FakeMaster::default());
    crate::disk::replace(&the.places.desired(), b"{").unwrap();
    assert!(
        kept::desired(&the.places)
            .unwrap_err()
            .to_string()
            .contains("desired.json.unreadable")
    );
    assert!(kept::desired(&the.places).unwrap().is_none());
    let newer = br#"{"version":2,"desired":{"software":{},"partitions":{},"refused":{}}}"#;
    crate::disk::replace(&the.places.desired(), newer).unwrap();
    assert!(
        kept::desired(&the.places)
            .unwrap_err()
            .to_string()
            .contains("of version 2")
    );
}

#[tokio::test(start_paused = true)]
async fn only_looks_at_everything_are_counted() {
    let the = Box::new(FakeMaster::wanting("https://m/a.oci.tar"));
    the.overlay_says(PREFIX);
    the.start();
    a_moment().await;
    let looks = the.board.follow_looks();
    let first = *looks.borrow();
    assert_eq!((first.begun, first.ended), (1, 1));
    the.node.changes.send_modify(|count| *count += 1);
    a_moment().await;
    assert_eq!(*looks.borrow(), first, "a unit changed, and no more");
    sleep(Duration::from_secs(61)).await;
    assert_eq!(looks.borrow().ended, 2);
}
