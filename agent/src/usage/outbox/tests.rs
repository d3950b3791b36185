//! Entries through restarts and power cuts at each step.

use super::*;

/// A node with one partition, in a folder.
struct Node {
    _keep: tempfile::TempDir,
    root: Utf8PathBuf,
}

impl Node {
    fn new() -> Self {
        let keep = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(keep.path().to_owned()).unwrap();
        fs::create_dir_all(root.join("slappart0/var/xml_report")).unwrap();
        Self { _keep: keep, root }
    }

    /// As after a restart: nothing is remembered but what is on disk.
    fn outbox(&self) -> Outbox {
        let paths = Paths {
            instances: self.root.clone(),
            ..Paths::default()
        };
        Outbox::new(self.root.join("outbox"), paths)
    }

    fn file(&self, name: &str) -> Utf8PathBuf {
        self.root.join("slappart0/var/xml_report").join(name)
    }

    fn put(&self, name: &str) -> Consumed {
        disk::replace(&self.file(name), b"<consumption/>").unwrap();
        let partition = PartitionName::new(0);
        let inside = Inside::open(&self.root.join("slappart0")).unwrap();
        let path = format!("var/xml_report/{name}");
        let mark = inside.mark(&path).unwrap().unwrap();
        Consumed {
            partition,
            path,
            mark,
        }
    }
}

fn day(text: &str) -> Told {
    Told {
        reports: Some(text.parse().unwrap()),
        ..Told::default()
    }
}

fn entry(document: &str, consumes: &[&Consumed], told: Told) -> Entry {
    let consumes = consumes.iter().copied().cloned();
    Entry::new(document.to_owned(), consumes.collect(), told)
}

#[test]
fn an_entry_outlives_a_restart_with_all_that_it_says() {
    let node = Node::new();
    let file = node.put("a");
    let made = entry("<journal/>", &[&file], day("2026-11-28"));
    assert_eq!(node.outbox().put(&made).unwrap(), 1);
    let outbox = node.outbox();
    assert_eq!(outbox.numbers().unwrap(), [1]);
    assert_eq!(outbox.entry(1).unwrap(), Some(made));
    assert_eq!(outbox.on_their_way().unwrap(), [file].into());
    assert_eq!(outbox.told().unwrap(), day("2026-11-28"));
    assert_eq!(outbox.entry(2).unwrap(), None);
}

#[test]
fn files_go_when_the_document_was_taken_and_only_those_that_were_read() {
    let node = Node::new();
    let (read, rewritten) = (node.put("read"), node.put("rewritten"));
    let outbox = node.outbox();
    let made = entry("1", &[&read, &rewritten], day("2026-11-28"));
    let number = outbox.put(&made).unwrap();
    node.put("rewritten");
    node.put("other");
    let taken = outbox.taken(number, made).unwrap();
    assert_eq!(taken.document, None);
    assert!(node.file("read").exists(), "not before it is settled");
    // A power cut may come after each of these steps; the same is done again.
    let outbox = node.outbox();
    let again = outbox.entry(number).unwrap().unwrap();
    assert_eq!(again, taken);
    outbox.settle(number, &again).unwrap();
    outbox.settle(number, &again).unwrap();
    assert!(!node.file("read").exists());
    assert!(node.file("rewritten").exists());
    assert!(node.file("other").exists());
    let outbox = node.outbox();
    assert_eq!(outbox.numbers().unwrap(), [0_u64; 0]);
    assert_eq!(outbox.told().unwrap(), day("2026-11-28"));
}

#[test]
fn a_partition_that_is_gone_holds_nothing_up() {
    let node = Node::new();
    let file = node.put("a");
    let outbox = node.outbox();
    let made = entry("1", &[&file], Told::default());
    let number = outbox.put(&made).unwrap();
    fs::remove_dir_all(node.root.join("slappart0")).unwrap();
    outbox.settle(number, &made).unwrap();
    assert_eq!(outbox.numbers().unwrap(), [0_u64; 0]);
}

#[test]
fn numbers_are_never_used_twice_and_the_newest_word_counts() {
    let node = Node::new();
    let outbox = node.outbox();
    let older = entry("1", &[], day("2026-11-27"));
    let newer = entry("2", &[], day("2026-11-28"));
    assert_eq!(outbox.put(&older).unwrap(), 1);
    assert_eq!(outbox.put(&newer).unwrap(), 2);
    // The master refused the first and took the second.
    outbox.settle(2, &newer).unwrap();
    assert_eq!(outbox.told().unwrap(), day("2026-11-28"));
    outbox.settle(1, &older).unwrap();
    assert_eq!(outbox.told().unwrap(), day("2026-11-28"));
    assert_eq!(outbox.put(&entry("3", &[], Told::default())).unwrap(), 3);
    outbox.note(day("2026-11-29")).unwrap();
    assert_eq!(node.outbox().told().unwrap(), day("2026-11-29"));
}

#[test]
fn what_is_unreadable_is_put_aside_and_said_in_words() {
    let node = Node::new();
    let outbox = node.outbox();
    outbox.put(&entry("1", &[], Told::default())).unwrap();
    let path = node.root.join("outbox/1.json");
    disk::replace(&path, b"{\"version\":1,\"docu").unwrap();
    let error = outbox.entry(1).unwrap_err();
    let aside = format!("{path}.unreadable");
    assert_eq!(
        error.to_string(),
        format!("an entry is no entry, it is kept as `{aside}`")
    );
    assert_eq!(outbox.numbers().unwrap(), [0_u64; 0]);
    assert!(fs::exists(aside).unwrap());
}

#[test]
fn there_is_an_end_to_what_waits() {
    let node = Node::new();
    let outbox = node.outbox();
    let large = "x".repeat(MOST_BYTES as usize);
    outbox.put(&entry(&large, &[], Told::default())).unwrap();
    let error = outbox.put(&entry("2", &[], Told::default())).unwrap_err();
    let words = error.to_string();
    assert!(words.ends_with("no more is made until it does"), "{words}");
}

#[tokio::test]
async fn whoever_waits_for_the_master_waits_no_longer_than_it_would() {
    let node = Node::new();
    let outbox = node.outbox();
    let made = entry("1", &[], Told::default());
    let number = outbox.put(&made).unwrap();
    assert!(!outbox.wait_for(number, Duration::from_millis(10)).await);
    let waiting = outbox.wait_for(number, Duration::from_secs(60));
    let settling = async { outbox.settle(number, &made) };
    let (taken, settled) = tokio::join!(waiting, settling);
    settled.unwrap();
    assert!(taken);
}
