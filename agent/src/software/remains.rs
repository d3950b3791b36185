//! What a killed agent has left half done in the folder of releases: half a release that was being unpacked, or removed. It is put aside
//! at the start, when nobody works there yet, and removed beside everything else. Never touches what is a release.

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use super::{SoftwareError, disk_error, oci, remove_all, store};

/// Where it is put: in the same folder, so that it is there at once.
const ASIDE: &str = ".leaving";

/// Takes it out of everybody's way; returns where it is, if there is any.
pub(super) fn put_aside(software: &Utf8Path) -> Result<Option<Utf8PathBuf>, SoftwareError> {
    let aside = software.join(ASIDE);
    let mut found = Vec::new();
    for name in names(software)? {
        if name.starts_with(".new-") || name.starts_with(".old-") {
            found.push(name);
        }
    }
    if found.is_empty() {
        return Ok(aside.exists().then_some(aside));
    }
    if !aside.exists() {
        oci::make_private(&aside)?;
    }
    // Names are used again by those who work there, and may be there of a former start.
    let mut places = (0_u32..).map(|number| aside.join(number.to_string()));
    for name in found {
        let from = software.join(name);
        let free = places.find(|place| !place.exists());
        let to = free.expect("there are more numbers than folders");
        fs::rename(&from, &to).map_err(|source| disk_error(&from, source))?;
    }
    Ok(Some(aside))
}

/// Removes it, and what only it had of the content that releases share. No image may be unpacked meanwhile.
pub(super) fn remove(software: &Utf8Path, aside: &Utf8Path) -> Result<(), SoftwareError> {
    remove_all(aside)?;
    store::sweep(software).map_err(|source| disk_error(software, source))
}

fn names(folder: &Utf8Path) -> Result<Vec<String>, SoftwareError> {
    let failed = |source| disk_error(folder, source);
    let entries = match folder.read_dir_utf8() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name().to_owned()));
    names.collect::<io::Result<_>>().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_half_done_goes_and_releases_stay() {
        let keep = tempfile::tempdir().unwrap();
        let software = Utf8Path::from_path(keep.path()).unwrap();
        assert_eq!(put_aside(&software.join("nowhere")).unwrap(), None);
        assert_eq!(put_aside(software).unwrap(), None);
        let make = |path: &str| fs::create_dir_all(software.join(path)).unwrap();
        // The second start was killed, too, when the first had put something aside.
        for path in [".leaving/0/x", ".old-a/x", ".new-a/x", "a/x", ".shared/x"] {
            make(path);
        }
        let aside = put_aside(software).unwrap().unwrap();
        let mut left = names(&aside).unwrap();
        left.sort();
        assert_eq!(left, ["0", "1", "2"]);
        remove(software, &aside).unwrap();
        let mut left = names(software).unwrap();
        left.sort();
        assert_eq!(left, [".shared", "a"]);
        assert!(software.join("a/x").exists());
    }
}
