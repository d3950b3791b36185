//! Stamping a disk that has a partition table and nothing else.

use std::io::Read;

use camino::Utf8PathBuf;

use super::*;

const START: u64 = 2048 * 512;
const LENGTH: u64 = 64 * 1024;

struct Disk {
    _folder: tempfile::TempDir,
    path: Utf8PathBuf,
}

fn disk(bytes: &[u8]) -> Disk {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(folder.path()).unwrap().join("disk.raw");
    crate::disk::replace(&path, bytes).unwrap();
    Disk {
        _folder: folder,
        path,
    }
}

/// A disk with two partitions, the second of this name.
fn table(name: &str) -> Vec<u8> {
    let mut bytes = vec![0xAA; (START + LENGTH + 34 * 512) as usize];
    bytes[..START as usize].fill(0);
    let put = |bytes: &mut Vec<u8>, at: usize, value: &[u8]| {
        bytes[at..at + value.len()].copy_from_slice(value)
    };
    put(&mut bytes, 512, b"EFI PART");
    put(&mut bytes, 512 + 72, &2_u64.to_le_bytes());
    put(&mut bytes, 512 + 80, &128_u32.to_le_bytes());
    put(&mut bytes, 512 + 84, &128_u32.to_le_bytes());
    for (index, (name, first, last)) in [
        ("esp", 64, 2047),
        (name, START / 512, (START + LENGTH) / 512 - 1),
    ]
    .into_iter()
    .enumerate()
    {
        let at = 1024 + index * 128;
        put(&mut bytes, at, &[1; 16]);
        put(&mut bytes, at + 32, &first.to_le_bytes());
        put(&mut bytes, at + 40, &last.to_le_bytes());
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        put(&mut bytes, at + 56, &name);
    }
    bytes
}

fn refusal(disk: &Disk, document: &str) -> String {
    let before = std::fs::read(&disk.path).unwrap();
    let error = stamp(&disk.path, document).unwrap_err();
    assert_eq!(
        std::fs::read(&disk.path).unwrap(),
        before,
        "a refused stamp changes nothing"
    );
    format!("{:#}", anyhow::Error::from(error))
}

#[test]
fn the_seed_is_a_tar_with_the_document_and_nothing_else_changes() {
    let before = table(LABEL);
    let disk = disk(&before);
    stamp(&disk.path, "role = \"node\"\n").unwrap();
    let after = std::fs::read(&disk.path).unwrap();
    let (start, stop) = (START as usize, (START + LENGTH) as usize);
    assert_eq!(after[..start], before[..start]);
    assert_eq!(after[stop..], before[stop..]);
    let mut archive = tar::Archive::new(&after[start..stop]);
    let mut members = archive.entries().unwrap();
    let mut member = members.next().unwrap().unwrap();
    assert_eq!(member.path().unwrap().to_str(), Some("slapbox.toml"));
    let mut text = String::new();
    member.read_to_string(&mut text).unwrap();
    assert_eq!(text, "role = \"node\"\n");
    assert!(members.next().is_none());
}

#[test]
fn a_second_stamp_leaves_nothing_of_the_first() {
    let disk = disk(&table(LABEL));
    stamp(
        &disk.path,
        &format!("join = \"{}\"\n", "secret".repeat(1000)),
    )
    .unwrap();
    stamp(&disk.path, "role = \"master\"\n").unwrap();
    let after = std::fs::read(&disk.path).unwrap();
    assert!(!after.windows(6).any(|it| it == b"secret"));
}

#[test]
fn a_file_that_is_no_image_is_refused() {
    assert!(refusal(&disk(b"hello"), "").contains("no disk image"));
    assert!(refusal(&disk(&vec![0; 1 << 20]), "").contains("no disk image"));
    assert!(refusal(&disk(&table("other")), "").contains("no Slapbox image"));
}

#[test]
fn a_damaged_table_is_refused() {
    let mut bytes = table(LABEL);
    bytes[1024 + 128 + 40..1024 + 128 + 48].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refusal(&disk(&bytes), "").contains("damaged"));
    let mut bytes = table(LABEL);
    bytes[512 + 72..512 + 80].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refusal(&disk(&bytes), "").contains("damaged"));
}

#[test]
fn a_document_that_is_no_toml_is_refused() {
    assert!(refusal(&disk(&table(LABEL)), "role = ").contains("no TOML"));
}

#[test]
fn a_document_that_does_not_fit_is_refused_with_both_sizes() {
    let text = refusal(
        &disk(&table(LABEL)),
        &format!("name = \"{}\"", "x".repeat(LENGTH as usize)),
    );
    assert!(
        text.contains("too large") && text.contains("65536"),
        "{text}"
    );
}
