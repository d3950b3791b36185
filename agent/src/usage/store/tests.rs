//! Days through restarts, power cuts and more than fits.

use std::io::Read as _;

use flate2::read::GzDecoder;

use super::*;
use crate::desired::PartitionName;
use crate::usage::reading::{Counter, Reading};

const NOON: i64 = 1_795_867_200;
const DAY: i64 = 86_400;

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let keep = tempfile::tempdir().unwrap();
    let folder = Utf8PathBuf::from_path_buf(keep.path().join("days")).unwrap();
    (keep, folder)
}

fn record(time: i64, partition: u16, cpu: u64) -> Record {
    Record {
        time,
        subject: Subject::Partition(PartitionName::new(partition)),
        counter: Counter { boot: 1, inode: 2 },
        reading: Reading {
            cpu: Some(cpu),
            ..Reading::default()
        },
    }
}

fn kept(store: &Store, time: i64) -> Vec<(i64, u64)> {
    let mut all = Vec::new();
    store
        .read(Day::of(time), |record| {
            all.push((record.time - NOON, record.reading.cpu.unwrap()));
        })
        .unwrap();
    all
}

#[test]
fn what_has_not_changed_is_written_each_hour_and_when_it_is_gone() {
    let (_keep, folder) = folder();
    let mut store = Store::new(folder);
    for minute in 0..=61 {
        let now = NOON + minute * 60;
        store.take(now, &[record(now, 0, 7)]).unwrap();
    }
    store.take(NOON + 62 * 60, &[]).unwrap();
    store.take(NOON + 63 * 60, &[]).unwrap();
    assert_eq!(kept(&store, NOON), [(0, 7), (3600, 7), (3660, 7)]);
}

#[test]
fn a_day_begins_with_where_counters_stood() {
    let (_keep, folder) = folder();
    let mut store = Store::new(folder.clone());
    store.take(NOON, &[record(NOON, 0, 7)]).unwrap();
    let next = NOON + DAY;
    store.take(next, &[record(next, 0, 9)]).unwrap();
    assert_eq!(kept(&store, next), [(0, 7), (DAY, 9)]);
    // The agent was away when the day began.
    let later = next + DAY;
    let mut store = Store::new(folder);
    store.take(later, &[record(later, 0, 11)]).unwrap();
    assert_eq!(kept(&store, later), [(DAY, 9), (2 * DAY, 11)]);
    let days: Vec<_> = store.days().unwrap().into_iter().collect();
    assert_eq!(days, [NOON, next, later].map(Day::of));
}

#[test]
fn a_torn_line_is_passed_over_and_the_next_is_whole() {
    let (_keep, folder) = folder();
    Store::new(folder.clone())
        .take(NOON, &[record(NOON, 0, 7)])
        .unwrap();
    let path = folder.join("2026-11-28.csv");
    let mut whole = fs::read(&path).unwrap();
    whole.extend(b"1795867260,slappart0,00000001-2,8,");
    for rest in [&b""[..], &[0; 3000], &[b'x'; 3000], b"\xff\n"] {
        disk::replace_private(&path, &[&whole[..], rest].concat()).unwrap();
        let mut store = Store::new(folder.clone());
        let now = NOON + 120;
        store.take(now, &[record(now, 0, 9)]).unwrap();
        assert_eq!(kept(&store, NOON), [(0, 7), (120, 9)]);
    }
}

#[test]
fn a_day_that_cannot_be_read_is_put_aside_and_goes_on_in_another_file() {
    let (_keep, folder) = folder();
    let path = folder.join("2026-11-28.csv");
    disk::private_folder(&path).unwrap();
    let mut store = Store::new(folder);
    store.take(NOON, &[record(NOON, 0, 7)]).unwrap();
    assert_eq!(kept(&store, NOON), [(0, 7)]);
    assert!(fs::exists(format!("{path}.unreadable")).unwrap());
}

#[test]
fn a_large_day_has_a_line_an_hour() {
    let (_keep, folder) = folder();
    let mut store = Store::new(folder);
    store.take(NOON, &[record(NOON, 0, 0)]).unwrap();
    store.open.as_mut().unwrap().size = LARGE_DAY + 1;
    for minute in 1..=60 {
        let now = NOON + minute * 60;
        store
            .take(now, &[record(now, 0, minute.unsigned_abs())])
            .unwrap();
    }
    assert_eq!(kept(&store, NOON), [(0, 0), (3600, 60)]);
}

#[test]
fn a_day_that_is_over_is_packed_whole_and_old_ones_go() {
    let (_keep, folder) = folder();
    let mut store = Store::new(folder.clone());
    for day in [-80, -20, -16, -15, -14, -1, 0] {
        let now = NOON + day * DAY;
        store.take(now, &[record(now, 0, 7)]).unwrap();
    }
    let text = fs::read_to_string(folder.join("2026-11-27.csv")).unwrap();
    store.pack(Day::of(NOON - DAY)).unwrap();
    let mut unpacked = String::new();
    GzDecoder::new(File::open(folder.join("2026-11-27.csv.gz")).unwrap())
        .read_to_string(&mut unpacked)
        .unwrap();
    assert_eq!(unpacked, text);
    assert!(text.starts_with("time,subject,counter,cpu_usec,"));
    disk::replace(&folder.join("2099-06-01.csv"), b"").unwrap();
    disk::replace(&folder.join("notes.txt"), b"").unwrap();
    store.prune(Day::of(NOON)).unwrap();
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "2026-11-14.csv",
            "2026-11-27.csv.gz",
            "2026-11-28.csv",
            "notes.txt"
        ]
    );
}

#[test]
fn there_is_an_end_to_what_is_kept() {
    let (_keep, folder) = folder();
    let mut store = Store::new(folder.clone());
    store.take(NOON, &[record(NOON, 0, 7)]).unwrap();
    for name in ["2026-11-25.csv", "2026-11-26.csv.gz", "2026-11-27.csv.gz"] {
        let path = folder.join(name);
        disk::replace(&path, b"").unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        // Holes take no disk.
        file.set_len(100 * 1024 * 1024).unwrap();
    }
    store.prune(Day::of(NOON)).unwrap();
    let left: Vec<_> = store.files().unwrap();
    let mut days: Vec<_> = left.iter().map(|file| file.day.to_string()).collect();
    days.sort();
    assert_eq!(days, ["2026-11-26", "2026-11-27", "2026-11-28"]);
}
