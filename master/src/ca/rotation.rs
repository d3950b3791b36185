//! One authority after another: the new one signs from then on, and the old one vouches for it until everybody knows it.
//! Boxes that trust the old one alone learn of the new one when they renew their certificates; nothing has to be done on them.

use std::fs;
use std::io;

use camino::Utf8Path;
use rcgen::{PublicKeyData, SubjectPublicKeyInfo};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::files::{PREVIOUS, make_folder, of_an_authority, paths, read, write};
use super::{Authority, CaError, Previous};

/// Where the new authority is made, beside the folder of the old one.
const NEXT: &str = "ca.next";

/// Has an authority follow another one.
pub(super) fn follow(authority: Authority, previous: Authority) -> Result<Authority, CaError> {
    let spki = authority.issuer.key().subject_public_key_info();
    let key = SubjectPublicKeyInfo::from_der(&spki).map_err(CaError::FailedSign)?;
    let vouched = of_an_authority(&spki, 0)
        .signed_by(&key, &previous.issuer)
        .map_err(CaError::FailedSign)?;
    Ok(Authority {
        pem: authority.pem + &previous.pem,
        previous: Some(Previous {
            issuer: previous.issuer,
            certificate: previous.certificate,
            vouched: vouched.der().clone(),
        }),
        issuer: authority.issuer,
        certificate: authority.certificate,
    })
}

/// Makes a new authority in `folder`, which follows the one that is there. A master that runs takes it at its next start.
///
/// The new folder takes the place of the old one in one step: a power cut leaves either of them, whole.
pub fn rotate(folder: &Utf8Path) -> Result<Authority, CaError> {
    if Authority::open(folder)?.previous.is_some() {
        return Err(CaError::Overlapping);
    }
    let next = folder.with_file_name(NEXT);
    let failed = |source| CaError::FailedWrite {
        path: next.clone(),
        source,
    };
    // What a rotation left that was cut: nobody has used it.
    remove(&next).map_err(failed)?;
    Authority::open_or_create(&next)?;
    let previous = next.join(PREVIOUS);
    make_folder(&previous)?;
    let (key, certificate) = paths(folder);
    let (key_copy, certificate_copy) = paths(&previous);
    for (from, to) in [(key, key_copy), (certificate, certificate_copy)] {
        write(&to, &read(&from)?.unwrap_or_default())?;
    }
    let authority = Authority::open(&next)?;
    renameat_with(
        CWD,
        next.as_std_path(),
        CWD,
        folder.as_std_path(),
        RenameFlags::EXCHANGE,
    )
    .map_err(|err| failed(err.into()))?;
    sync_parent(folder).map_err(failed)?;
    remove(&next).map_err(failed)?;
    Ok(authority)
}

/// Ends the overlap: who trusts the authority before this one alone does not believe this master any more, nor is believed.
pub fn retire(folder: &Utf8Path) -> Result<(), CaError> {
    if Authority::open(folder)?.previous.is_none() {
        return Err(CaError::NothingToRetire);
    }
    let gone = folder.join("previous.gone");
    let attempt = || {
        remove(&gone)?;
        fs::rename(folder.join(PREVIOUS), &gone)?;
        sync_parent(&gone)?;
        remove(&gone)
    };
    attempt().map_err(|source| CaError::FailedWrite {
        path: gone.clone(),
        source,
    })
}

fn remove(folder: &Utf8Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
        _ => Ok(()),
    }
}

fn sync_parent(path: &Utf8Path) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Utf8Path::new("."));
    fs::File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;

    use super::*;
    use crate::ca::files::tests::folder;

    #[test]
    fn an_authority_follows_another_until_that_one_retires() {
        let (_kept, folder) = folder();
        let first = Authority::open_or_create(&folder).unwrap();
        assert!(matches!(retire(&folder), Err(CaError::NothingToRetire)));
        let second = rotate(&folder).unwrap();
        assert_ne!(second.pin(), first.pin());
        assert_eq!(second.previous_pin(), Some(first.pin()));
        assert!(second.pem().ends_with(first.pem()));
        assert!(matches!(rotate(&folder), Err(CaError::Overlapping)));
        let found = Authority::open_or_create(&folder).unwrap();
        assert_eq!(found.pin(), second.pin());
        assert_eq!(found.previous_pin(), Some(first.pin()));
        retire(&folder).unwrap();
        let found = Authority::open(&folder).unwrap();
        assert_eq!((found.pin(), found.previous_pin()), (second.pin(), None));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        assert_eq!(fs::read_dir(folder.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_rotation_that_was_cut_changes_nothing_and_can_be_done_again() {
        let (_kept, folder) = folder();
        let first = Authority::open_or_create(&folder).unwrap();
        let next = folder.with_file_name(NEXT);
        make_folder(&next).unwrap();
        let key = KeyPair::generate().unwrap();
        write(&next.join("key.pem"), &key.serialize_pem()).unwrap();
        assert_eq!(Authority::open(&folder).unwrap().pin(), first.pin());
        let second = rotate(&folder).unwrap();
        assert_eq!(second.previous_pin(), Some(first.pin()));
        assert!(!next.exists());
    }
}
