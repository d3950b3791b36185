//! What a backup's file may be, and what it may not.

use super::*;

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let kept = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(kept.path().to_owned()).unwrap();
    (kept, path)
}

fn put(path: &Utf8Path, bytes: &[u8]) {
    File::create(path).unwrap().write_all(bytes).unwrap();
}

/// An archive of a database and a CA, with its folder.
fn archive(change: impl FnOnce(&mut Manifest)) -> (tempfile::TempDir, Utf8PathBuf) {
    let (kept, folder) = folder();
    std::fs::create_dir(folder.join("ca")).unwrap();
    let names = [DATABASE, "ca/ca.pem", "ca/key.pem"];
    let members = names.map(|name| {
        put(&folder.join(name), format!("this is {name}").as_bytes());
        Member::of(name.to_owned(), &folder.join(name)).unwrap()
    });
    let mut manifest = Manifest {
        format: FORMAT,
        program: "1".into(),
        made_at: 1,
        schema: 1,
        ca: "pin".into(),
        members: members.into(),
    };
    change(&mut manifest);
    let file = folder.join("whole.tar");
    let place = |member: &Member| {
        let path = folder.join(&member.name);
        // What only its name is wrong of is a file that there is.
        if path.is_file() {
            path
        } else {
            folder.join(DATABASE)
        }
    };
    write(&file, &manifest, place, &AtomicBool::new(false)).unwrap();
    (kept, file)
}

fn refused(file: &Utf8Path) -> String {
    let error = read(file, None, &AtomicBool::new(false)).unwrap_err();
    error.to_string()
}

#[test]
fn what_was_written_is_read() {
    let (_kept, file) = archive(|_| {});
    let (_other, to) = folder();
    std::fs::create_dir(to.join("ca")).unwrap();
    let manifest = read(&file, Some(&to), &AtomicBool::new(false)).unwrap();
    assert_eq!(manifest.members.len(), 3);
    let text = std::fs::read_to_string(to.join("ca/key.pem")).unwrap();
    assert_eq!(text, "this is ca/key.pem");
    use std::os::unix::fs::PermissionsExt as _;
    for path in [to.join("ca/key.pem"), file] {
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn every_byte_that_is_lost_or_changed_is_noticed() {
    let (_kept, file) = archive(|_| {});
    let whole = std::fs::read(&file).unwrap();
    let end = whole.len() - 1024;
    for cut in (0..end).step_by(97) {
        put(&file, &whole[..cut]);
        assert!(refused(&file).contains("is no backup of a master"), "{cut}");
    }
    let text = String::from_utf8_lossy(&whole);
    let at = text.find("this is ca/key.pem").unwrap();
    let mut damaged = whole.clone();
    damaged[at] ^= 1;
    put(&file, &damaged);
    assert!(refused(&file).contains("`ca/key.pem` is damaged"));
}

#[test]
fn nothing_is_taken_that_a_backup_has_not() {
    let (_kept, file) = archive(|manifest| {
        let mut strange = manifest.members[0].clone();
        strange.name = "etc/evil".to_owned();
        manifest.members.push(strange);
    });
    assert!(refused(&file).contains("is not what its manifest says"));
    for name in [
        "../x",
        "/etc/passwd",
        "ca/",
        "ca/.hidden",
        "ca/a/b",
        "other",
        "",
    ] {
        assert!(!is_member(name), "{name}");
    }
    let (_kept, file) = archive(|manifest| manifest.format = FORMAT + 1);
    assert!(refused(&file).contains("a newer version of this program"));
}

#[test]
fn a_file_that_is_none_is_refused() {
    let (_kept, folder) = folder();
    let file = folder.join("x");
    for bytes in [&b""[..], b"no tar", &[0; 4096], &[b'x'; 4096]] {
        put(&file, bytes);
        assert!(refused(&file).contains("is no backup of a master"));
    }
    assert!(refused(&folder.join("missing")).starts_with("failed to read"));
}

#[test]
fn what_is_another_than_was_said_is_not_packed() {
    let (_kept, folder) = folder();
    put(&folder.join(DATABASE), b"one");
    let mut member = Member::of(DATABASE.to_owned(), &folder.join(DATABASE)).unwrap();
    member.sha256 = "0".repeat(64);
    let manifest = Manifest {
        format: FORMAT,
        program: "1".into(),
        made_at: 1,
        schema: 1,
        ca: "pin".into(),
        members: vec![member],
    };
    let place = |member: &Member| folder.join(&member.name);
    let error = write(
        &folder.join("out"),
        &manifest,
        place,
        &AtomicBool::new(false),
    )
    .unwrap_err();
    assert!(matches!(error, BackupError::Changed { .. }), "{error}");
}
