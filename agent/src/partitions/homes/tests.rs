//! Homes as disks come and go. Mounting needs root, and happens where only the test's own thread sees it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, chown};

use super::*;
use crate::causes::in_one_line;

const IDS: Ids = Ids {
    uid: 20_007,
    gid: 20_007,
};

fn partition() -> PartitionName {
    PartitionName::new(7)
}

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let keep = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(keep.path().canonicalize().unwrap()).unwrap();
    let home = path.join("disk1");
    fs::create_dir(&home).unwrap();
    (keep, home)
}

/// Mounts a disk where only this thread sees it; says whether it could.
fn plug_in(home: &Utf8Path) -> bool {
    if !Uid::effective().is_root() {
        return false;
    }
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let (none, flags) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
    mount(none, "/", none, flags, none).unwrap();
    let (kind, options) = (Some("tmpfs"), Some("mode=755"));
    let (home, flags) = (home.as_std_path(), MsFlags::empty());
    mount(kind, home, kind, flags, options).unwrap();
    true
}

fn words(homes: &Homes) -> Vec<String> {
    let failures = homes.failures();
    failures.map(|error| in_one_line(error)).collect()
}

#[test]
fn nothing_is_written_where_no_disk_is() {
    let (_keep, home) = folder();
    let paths = [home.clone(), home.join("missing"), "/".into()];
    let homes = Homes::open(&paths);
    assert_eq!(
        words(&homes),
        [
            format!(
                "nothing is mounted at the storage home `{home}`, and nothing is written there: mount its disk, or take it out of the document"
            ),
            format!(
                "the storage home `{home}/missing` is not there: mount its disk, or take it out of the document"
            ),
            "nothing is mounted at the storage home `/`, and nothing is written there: mount its disk, or take it out of the document".to_owned(),
        ]
    );
    assert_eq!(homes.make(partition(), IDS).unwrap(), 0);
    homes.give(partition(), IDS, "SOFTINST-1").unwrap();
    assert_eq!(homes.folders(partition()), []);
    assert!(!homes.are_empty(partition()).unwrap());
    let error = homes.empty(partition()).unwrap_err();
    assert!(in_one_line(&error).contains("nothing is mounted"));
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
}

#[test]
fn a_link_to_a_home_is_none() {
    let (keep, home) = folder();
    let link = Utf8PathBuf::from_path_buf(keep.path().join("link")).unwrap();
    symlink(&home, &link).unwrap();
    let homes = Homes::open(&[link]);
    assert!(words(&homes)[0].starts_with("failed to use the storage home"));
}

#[test]
fn a_folder_is_its_users_and_is_repaired() {
    let (_keep, home) = folder();
    if !plug_in(&home) {
        return;
    }
    let homes = Homes::open(std::slice::from_ref(&home));
    assert_eq!(words(&homes), Vec::<String>::new());
    assert_eq!(homes.make(partition(), IDS).unwrap(), 1);
    assert_eq!(homes.make(partition(), IDS).unwrap(), 0);
    let path = home.join("slappart7");
    let look = || {
        let found = fs::metadata(&path).unwrap();
        (
            found.uid(),
            found.gid(),
            found.permissions().mode() & 0o7777,
        )
    };
    assert_eq!(look(), (20_007, 20_007, 0o750));
    chown(path.as_std_path(), Some(Uid::from_raw(0)), None).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(homes.make(partition(), IDS).unwrap(), 1);
    assert_eq!(look(), (20_007, 20_007, 0o750));
    // A user of the partition's stock image may have it, but not everybody.
    let other = Mapping::of(partition(), IDS).on_node(Ids { uid: 999, gid: 999 });
    let (uid, gid) = (Uid::from_raw(other.uid), Gid::from_raw(other.gid));
    chown(path.as_std_path(), Some(uid), Some(gid)).unwrap();
    assert_eq!(homes.make(partition(), IDS).unwrap(), 0);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(homes.make(partition(), IDS).unwrap(), 1);
    homes.remove(partition()).unwrap();
    assert!(!path.exists());
}

#[test]
fn what_one_instance_left_another_never_sees() {
    let (_keep, home) = folder();
    if !plug_in(&home) {
        return;
    }
    let open = || Homes::open(std::slice::from_ref(&home));
    let data = home.join("slappart7/data");
    // What was there before the node was told of the disk is kept.
    open().make(partition(), IDS).unwrap();
    fs::create_dir_all(data.join("deep")).unwrap();
    assert!(!open().are_of(partition(), "SOFTINST-1").unwrap());
    open().give(partition(), IDS, "SOFTINST-1").unwrap();
    assert!(open().are_of(partition(), "SOFTINST-1").unwrap());
    assert!(data.exists());
    assert!(!open().are_empty(partition()).unwrap());
    // A partition with something in it is not removed.
    open().remove(partition()).unwrap();
    assert!(data.exists());
    // The disk was away while the instance was destroyed, and is back for another one.
    assert!(!open().are_of(partition(), "SOFTINST-2").unwrap());
    open().give(partition(), IDS, "SOFTINST-2").unwrap();
    assert!(!data.exists());
    fs::create_dir_all(&data).unwrap();
    open().empty(partition()).unwrap();
    assert!(open().are_empty(partition()).unwrap());
    assert!(!home.join(".slapbox/slappart7").exists());
}

#[test]
fn a_disk_that_others_may_write_to_is_refused() {
    let (_keep, home) = folder();
    if !plug_in(&home) {
        return;
    }
    fs::set_permissions(&home, fs::Permissions::from_mode(0o1777)).unwrap();
    let homes = Homes::open(std::slice::from_ref(&home));
    let said = format!("the storage home `{home}` must be root's, and writable by nobody else");
    assert_eq!(words(&homes), [said]);
    umount2(home.as_std_path(), MntFlags::MNT_DETACH).unwrap();
}
