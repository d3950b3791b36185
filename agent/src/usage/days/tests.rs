//! Days pass on a box in a folder: each is told once, whenever the box is switched off.

use std::os::unix::net::UnixStream;

use camino::{Utf8Path, Utf8PathBuf};
use slap::{ComputerId, Journal};
use tokio::sync::watch;
use zbus::connection::Builder;

use super::*;
use crate::places::Places;
use crate::status::{Board, Status};
use crate::systemd::Systemd;
use crate::usage::reading::{Counter, Reading, Record};
use crate::usage::{Outbox, Troubles};
use crate::workload::Paths;
use crate::world::World;

const NOON: i64 = 1_795_867_200;
const DAY: i64 = 86_400;

/// What outlives a restart.
struct Machine {
    _keep: tempfile::TempDir,
    places: Places,
    paths: Paths,
    board: Board,
}

impl Machine {
    fn new() -> Self {
        let keep = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(keep.path().to_owned()).unwrap();
        disk::private_folder(&root.join("usage")).unwrap();
        disk::private_folder(&root.join("slappart3/var/xml_report")).unwrap();
        disk::private_folder(&root.join("var/lib/slapbox")).unwrap();
        Self {
            places: Places::under(&root),
            paths: Paths {
                instances: root.clone(),
                usage: root.join("usage"),
                etc: root.join("etc"),
                software: root.join("software"),
                ..Paths::default()
            },
            board: Board::new(Status::default()),
            _keep: keep,
        }
    }

    /// Nobody answers for systemd: nothing that is tried here asks it.
    async fn accounting(&self) -> Accounting<'_> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let guid = zbus::Guid::generate();
        let (server, client) = tokio::join!(
            Builder::unix_stream(theirs).server(guid).p2p().build(),
            Builder::unix_stream(ours).p2p().build()
        );
        drop(server.unwrap());
        Accounting {
            systemd: Systemd::new(client.unwrap()),
            paths: self.paths.clone(),
            places: &self.places,
            board: &self.board,
            world: World {
                now: || {
                    std::time::SystemTime::UNIX_EPOCH
                        + std::time::Duration::from_secs(NOON.unsigned_abs())
                },
                ..World::real()
            },
            computer: ComputerId::numbered(2),
            outbox: Outbox::new(self.paths.usage.join("outbox"), self.paths.clone()),
            troubles: Troubles::default(),
            last_day: watch::Sender::new(None),
        }
    }

    fn store(&self) -> Store {
        Store::new(self.paths.usage.join("days"))
    }
}

fn record(time: i64, cpu: u64) -> Record {
    Record {
        time,
        subject: Subject::Partition("slappart3".parse().unwrap()),
        counter: Counter { boot: 1, inode: 2 },
        reading: Reading {
            cpu: Some(cpu),
            memory: Some(1 << 20),
            disk: Some(1 << 21),
            ..Reading::default()
        },
    }
}

/// A minute at noon of a day.
fn noon(store: &mut Store, day: i64) -> i64 {
    let now = NOON + day * DAY;
    for (time, cpu) in [(now, 0), (now + 60, 3_000_000)] {
        let before = day.unsigned_abs() * 3_000_000;
        store.take(time, &[record(time, before + cpu)]).unwrap();
    }
    now + 60
}

fn documents(outbox: &Outbox) -> Vec<String> {
    let numbers = outbox.numbers().unwrap().into_iter();
    let entries = numbers.map(|number| outbox.entry(number).unwrap().unwrap());
    entries.map(|entry| entry.document.unwrap()).collect()
}

fn dates(outbox: &Outbox) -> Vec<String> {
    let journals = documents(outbox)
        .into_iter()
        .map(|document| Journal::from_xml(&document).unwrap());
    journals
        .map(|journal| journal.transactions[0].start_date.clone())
        .collect()
}

#[tokio::test]
async fn a_day_is_told_once_and_shown_until_the_next() {
    let machine = Machine::new();
    let accounting = machine.accounting().await;
    let mut store = machine.store();
    for day in 0..3 {
        let now = noon(&mut store, day);
        accounting.close_days(&store, now).await.unwrap();
        accounting.close_days(&store, now).await.unwrap();
    }
    assert_eq!(
        dates(&accounting.outbox),
        ["2026-11-28 00:00:00", "2026-11-29 00:00:00"]
    );
    let last = accounting.last_day.borrow().clone().unwrap();
    assert_eq!(last.date, "2026-11-29");
    let [used] = &last.partitions[..] else {
        panic!("{last:?}")
    };
    // From noon to noon the counter moved by as much as in the minute, and the memory was held all the while.
    assert_eq!(used.cpu_seconds, 3.0);
    assert_eq!(used.observed_seconds, DAY.unsigned_abs());
    assert_eq!(used.memory_average_bytes, Some(1 << 20));
    assert_eq!(used.disk_bytes, Some(1 << 21));

    let again = machine.accounting().await;
    again.recall_last_day();
    assert_eq!(again.last_day.borrow().clone(), Some(last));
}

#[tokio::test]
async fn a_box_that_was_off_over_midnight_tells_the_day_before() {
    let machine = Machine::new();
    noon(&mut machine.store(), 0);
    let mut store = machine.store();
    let now = noon(&mut store, 4);
    let accounting = machine.accounting().await;
    accounting.close_days(&store, now).await.unwrap();
    assert_eq!(dates(&accounting.outbox), ["2026-11-28 00:00:00"]);
}

#[tokio::test]
async fn a_power_cut_after_the_document_was_made_does_not_double_it() {
    let machine = Machine::new();
    let mut store = machine.store();
    noon(&mut store, 0);
    let unpacked = machine.paths.usage.join("days/2026-11-28.csv");
    let content = disk::read(&unpacked).unwrap().unwrap();
    let now = noon(&mut store, 1);
    let accounting = machine.accounting().await;
    accounting.close_days(&store, now).await.unwrap();
    // Everything but the packing reached the disk.
    disk::remove(Utf8Path::new(&format!("{unpacked}.gz"))).unwrap();
    disk::replace(&unpacked, &content).unwrap();
    let accounting = machine.accounting().await;
    accounting.close_days(&machine.store(), now).await.unwrap();
    assert_eq!(dates(&accounting.outbox).len(), 1);
    assert!(!unpacked.exists());
}

#[tokio::test]
async fn a_day_that_cannot_be_read_does_not_stop_the_others() {
    let machine = Machine::new();
    let mut store = machine.store();
    noon(&mut store, 0);
    let broken = machine.paths.usage.join("days/2026-11-27.csv");
    disk::private_folder(&broken).unwrap();
    let now = noon(&mut store, 1);
    let accounting = machine.accounting().await;
    let error = accounting.close_days(&store, now).await.unwrap_err();
    let words = format!("{error:#}");
    assert!(
        words.starts_with(&format!(
            "failed to close 2026-11-27: failed to use `{broken}`: "
        )),
        "{words}"
    );
    assert_eq!(dates(&accounting.outbox), ["2026-11-28 00:00:00"]);
}

#[tokio::test]
async fn a_partition_that_cannot_be_looked_into_does_not_stop_the_others() {
    let machine = Machine::new();
    wants(&machine, &["slappart2", "slappart3"]);
    write_report(&machine);
    let other = machine.paths.instances.join("slappart2");
    disk::replace(&other, b"no folder").unwrap();
    let accounting = machine.accounting().await;
    accounting.report_if_due(NOON, 0).await.unwrap();
    assert_eq!(documents(&accounting.outbox).len(), 1);
    let failures = machine.board.now().usage_failures;
    let [failure] = &failures[..] else {
        panic!("{failures:?}")
    };
    assert_eq!(failure.subject.as_deref(), Some("slappart2"));
    assert!(
        failure
            .message
            .starts_with("failed to look into the partition: "),
        "{failure:?}"
    );
    // It is said as long as the partition is somebody's.
    accounting.report_if_due(NOON + 60, 0).await.unwrap();
    assert_eq!(machine.board.now().usage_failures, failures);
    wants(&machine, &["slappart3"]);
    accounting.report_if_due(NOON + 120, 0).await.unwrap();
    assert_eq!(machine.board.now().usage_failures, []);
}

fn wants(machine: &Machine, partitions: &[&str]) {
    let instance = serde_json::json!({
        "state": "started", "software": "https://m/a.oci.tar", "software_type": "default", "title": "", "root_title": "",
        "reference": "SOFTINST-1", "timestamp": "1", "parameters": {}, "shared": [], "ip_list": [], "retention_days": 0.0, "connection": {}
    });
    let partitions = partitions.iter().map(|name| (*name, instance.clone()));
    let partitions: BTreeMap<_, _> = partitions.collect();
    let desired = serde_json::json!({"software": {}, "refused": {}, "partitions": partitions});
    let wanted = serde_json::json!({"version": 1, "desired": desired}).to_string();
    disk::replace(&machine.places.desired(), wanted.as_bytes()).unwrap();
}

fn write_report(machine: &Machine) -> Utf8PathBuf {
    const SAID: &str = "<consumption><movement><resource>r</resource><quantity>1</quantity><price>0</price><VAT/></movement></consumption>";
    let report = machine.paths.instances.join("slappart3/var/xml_report/a");
    disk::replace(&report, SAID.as_bytes()).unwrap();
    report
}

#[tokio::test]
async fn what_partitions_wrote_leaves_once_a_day() {
    let machine = Machine::new();
    wants(&machine, &["slappart3"]);
    let report = write_report(&machine);
    let accounting = machine.accounting().await;
    let midnight = Day::of(NOON).start();
    accounting.report_if_due(midnight, 600).await.unwrap();
    assert_eq!(
        documents(&accounting.outbox).len(),
        1,
        "nobody was asked before"
    );
    for (now, count) in [
        (midnight + 700, 1),
        (midnight + DAY + 599, 1),
        (midnight + DAY + 600, 1),
        (midnight + 2 * DAY + 600, 1),
    ] {
        accounting.report_if_due(now, 600).await.unwrap();
        assert_eq!(documents(&accounting.outbox).len(), count, "{now}");
    }
    // Another report, of the next day.
    write_report(&machine);
    for (now, count) in [
        (midnight + 2 * DAY + 700, 1),
        (midnight + 3 * DAY, 1),
        (midnight + 3 * DAY + 600, 2),
    ] {
        accounting.report_if_due(now, 600).await.unwrap();
        assert_eq!(documents(&accounting.outbox).len(), count, "{now}");
    }
    assert!(report.exists(), "the master has not taken it yet");
}
