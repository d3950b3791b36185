//! Devices as partitions ask for them. Loop devices need root; the rest is facts.

use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use super::judge::Facts;
use super::look::Number;
use super::*;
use crate::causes::in_one_line;

const IDS: Ids = Ids {
    uid: 20_007,
    gid: 20_007,
};

fn partition(index: u16) -> PartitionName {
    PartitionName::new(index)
}

fn block(node: &str, number: Number, disk: Number) -> Block {
    Block {
        node: node.into(),
        number,
        disk,
        uid: 0,
        is_block: true,
    }
}

#[test]
fn a_wish_is_read_as_the_original_writes_it() {
    let text = br#"[{"disk": "/dev/sdb", "more": 1}, {"disk": "/dev/disk/by-id/ata-X"}]"#;
    let paths = asked::parse(text).unwrap();
    assert_eq!(
        paths.into_iter().collect::<Vec<_>>(),
        ["/dev/disk/by-id/ata-X", "/dev/sdb"]
    );
    assert_eq!(asked::parse(b"[]").unwrap(), BTreeSet::new());
    let words = |text: &str| in_one_line(&asked::parse(text.as_bytes()).unwrap_err());
    let mut table = String::new();
    for text in [
        "",
        "{\"disk\": \"/dev/sdb\"}",
        "[\"/dev/sdb\"]",
        "[{\"disk\": 7}]",
        "[{}]",
        "[{\"disk\": \"sdb\"}]",
        "[{\"disk\": \"/etc/passwd\"}]",
        "[{\"disk\": \"/dev/../etc/passwd\"}]",
        "[{\"disk\": \"/dev\"}]",
    ] {
        table.push_str(&format!("{text}\n    {}\n", words(text)));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn nobody_gets_what_somebody_has_or_what_is_the_nodes() {
    let (disk, part, other) = ((8, 16), (8, 17), (8, 32));
    let whole = block("/dev/sdb", disk, disk);
    let piece = block("/dev/sdb1", part, disk);
    let facts = Facts {
        listed: BTreeSet::from([disk, part]),
        ..Facts::default()
    };
    let taken = |by: &Block| Facts {
        taken: vec![(partition(3), by.clone())],
        ..facts.clone()
    };
    let of = |found: Option<&Block>, facts: &Facts| match judge(found.cloned(), facts) {
        Ok(block) => format!("has {}", block.node),
        Err(refusal) => refusal.to_string(),
    };
    assert_eq!(of(Some(&whole), &facts), "has /dev/sdb");
    let stranger = block("/dev/sdc", other, other);
    assert_eq!(of(Some(&whole), &taken(&stranger)), "has /dev/sdb");
    let no_block = Block {
        is_block: false,
        ..whole.clone()
    };
    let system = Facts {
        system: BTreeSet::from([disk]),
        ..facts.clone()
    };
    let busy = Facts {
        busy: true,
        ..facts.clone()
    };
    let words = [
        of(None, &facts),
        of(Some(&no_block), &facts),
        of(Some(&stranger), &facts),
        of(Some(&piece), &system),
        of(Some(&whole), &taken(&whole)),
        of(Some(&piece), &taken(&whole)),
        of(Some(&whole), &taken(&piece)),
        of(Some(&whole), &busy),
    ];
    insta::assert_snapshot!(words.join("\n"), @r"
    this node has none of that name
    it is no block device below `/dev`
    it is not in the list `devices` of `[storage]` in the document of this node
    it is on a disk that holds the system of this node
    slappart3 has it
    slappart3 has it
    slappart3 has it
    this node uses it itself: it is mounted, or swap, or part of a volume
    ");
}

#[test]
fn the_system_is_where_it_is_mounted_from() {
    let mounts = "22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw\n\
        23 22 253:0 / /usr ro shared:2 - erofs /dev/mapper/usr ro\n\
        24 22 0:30 / /srv rw - btrfs /dev/there-is-none rw\n\
        25 22 0:5 / /var rw - tmpfs tmpfs rw\n\
        26 22 8:1 / /mnt/disk1 rw - ext4 /dev/sda1 rw\n\
        nonsense\n";
    let found = look::system_numbers(mounts);
    assert_eq!(found, BTreeSet::from([(253, 0), (259, 2)]));
}

/// A loop device over a file of its own, until it is dropped.
struct Loop(Utf8PathBuf);

impl Loop {
    fn over(file: &Utf8Path) -> Option<Self> {
        std::fs::File::create(file)
            .unwrap()
            .set_len(1 << 20)
            .unwrap();
        let made = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(file)
            .output();
        let made = made.ok().filter(|made| made.status.success())?;
        let node = String::from_utf8(made.stdout).unwrap();
        Some(Self(node.trim().into()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let own = std::os::unix::fs::chown(&self.0, Some(0), None);
        let done = Command::new("losetup")
            .arg("--detach")
            .arg(&self.0)
            .status();
        assert!(own.is_ok() && done.is_ok_and(|status| status.success()));
    }
}

#[test]
fn a_device_is_given_to_one_and_taken_back() {
    let keep = tempfile::tempdir().unwrap();
    let folder = Utf8PathBuf::from_path_buf(keep.path().canonicalize().unwrap()).unwrap();
    let Some(disk) = Loop::over(&folder.join("disk")) else {
        return;
    };
    let paths = |listed: &[&Utf8PathBuf]| Paths {
        devices: listed.iter().map(|path| (*path).clone()).collect(),
        claims: folder.join("devices.json"),
        ..Paths::default()
    };
    let missing = Utf8PathBuf::from("/dev/there-is-none");
    let devices = Devices::of(&paths(&[&missing, &disk.0]));
    let uid = || std::fs::metadata(&disk.0).unwrap().uid();
    let (asked, none) = (BTreeSet::from([disk.0.clone()]), BTreeSet::new());
    let (one, two) = (partition(0), partition(1));
    assert!(!devices.has(one, IDS, &asked).unwrap());
    devices.give(one, IDS, &asked).unwrap();
    assert!(devices.has(one, IDS, &asked).unwrap());
    assert_eq!(uid(), IDS.uid);
    let device = Device {
        node: disk.0.clone(),
        seen: disk.0.clone(),
    };
    assert_eq!(devices.given(one).unwrap(), [device]);
    assert_eq!(devices.given(two).unwrap(), []);

    // Another one, also when a boot has made the device's file anew.
    look::own(&disk.0, 0).unwrap();
    let refused = devices.give(two, IDS, &asked).unwrap_err();
    let said = format!(
        "the block device `{}` cannot be given: slappart0 has it",
        disk.0
    );
    assert_eq!(refused.to_string(), said);
    assert!(!devices.has(one, IDS, &asked).unwrap());
    devices.give(one, IDS, &asked).unwrap();
    assert_eq!(uid(), IDS.uid);

    // One of two cannot be had: neither is given, and what was had is kept.
    let both = BTreeSet::from([disk.0.clone(), missing.clone()]);
    let refused = devices.give(one, IDS, &both).unwrap_err();
    assert!(in_one_line(&refused).contains("this node has none of that name"));
    assert!(devices.has(one, IDS, &asked).unwrap());

    // It asks no more; or the document does not list it any more.
    devices.give(one, IDS, &none).unwrap();
    assert_eq!((uid(), devices.given(one).unwrap()), (0, vec![]));
    devices.give(two, IDS, &asked).unwrap();
    let unlisted = Devices::of(&paths(&[]));
    assert!(!unlisted.has(two, IDS, &asked).unwrap());
    let refused = unlisted.give(two, IDS, &asked).unwrap_err();
    assert!(in_one_line(&refused).contains("is not in the list `devices`"));
    assert_eq!(uid(), 0);
    devices.give(two, IDS, &asked).unwrap();
    devices.release(two).unwrap();
    devices.release(two).unwrap();
    assert_eq!(uid(), 0);

    // Who has what is never guessed.
    crate::disk::replace(&folder.join("devices.json"), b"{").unwrap();
    let spoilt = devices.give(one, IDS, &asked).unwrap_err();
    assert!(in_one_line(&spoilt).contains("is not what this agent wrote"));
    assert!(devices.has(one, IDS, &none).unwrap());
    assert_eq!(devices.given(one).unwrap(), []);
}
