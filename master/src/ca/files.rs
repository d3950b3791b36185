//! The authority's two files, `key.pem` and `ca.pem`: made once, 0600, whole and synced.
//! Never replaces a file that is there.

use std::fs::{self, DirBuilder};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

use atomic_write_file::AtomicWriteFile;
use camino::{Utf8Path, Utf8PathBuf};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};

use super::rotation::follow;
use super::{Authority, CaError};

impl Authority {
    /// Opens the authority in `folder`; makes it when there is none.
    ///
    /// The key is written first: a first start that was cut between the two files makes the certificate again from it.
    pub fn open_or_create(folder: &Utf8Path) -> Result<Self, CaError> {
        let (key_path, certificate_path) = paths(folder);
        match (read(&key_path)?, read(&certificate_path)?) {
            (None, Some(_)) => Err(CaError::KeyMissing { path: key_path }),
            (Some(_), Some(_)) => Self::open(folder),
            (Some(key), None) => {
                let key = parse_key(&key, &key_path)?;
                make_certificate(key, &certificate_path)
            }
            (None, None) => {
                make_folder(folder)?;
                let key =
                    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(CaError::FailedSign)?;
                write(&key_path, &key.serialize_pem())?;
                make_certificate(key, &certificate_path)
            }
        }
    }

    /// Opens the authority in `folder`, which must be there, and the one that it follows.
    pub fn open(folder: &Utf8Path) -> Result<Self, CaError> {
        let authority = Self::open_alone(folder)?;
        let previous = folder.join(PREVIOUS);
        if previous.is_dir() {
            follow(authority, Self::open_alone(&previous)?)
        } else {
            Ok(authority)
        }
    }

    fn open_alone(folder: &Utf8Path) -> Result<Self, CaError> {
        let (key_path, certificate_path) = paths(folder);
        match (read(&key_path)?, read(&certificate_path)?) {
            (Some(key), Some(certificate)) => {
                parse(&key, certificate, &key_path, &certificate_path)
            }
            (None, Some(_)) => Err(CaError::KeyMissing { path: key_path }),
            (_, None) => Err(CaError::FailedRead {
                path: certificate_path,
                source: ErrorKind::NotFound.into(),
            }),
        }
    }
}

/// Where the authority before this one is, in the folder of this one.
pub const PREVIOUS: &str = "previous";

pub(super) fn paths(folder: &Utf8Path) -> (Utf8PathBuf, Utf8PathBuf) {
    (folder.join("key.pem"), folder.join("ca.pem"))
}

pub(super) fn read(path: &Utf8Path) -> Result<Option<String>, CaError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CaError::FailedRead {
            path: path.to_owned(),
            source,
        }),
    }
}

fn parse(
    key: &str,
    pem: String,
    key_path: &Utf8Path,
    certificate_path: &Utf8Path,
) -> Result<Authority, CaError> {
    let corrupted = |source| CaError::Corrupted {
        path: certificate_path.to_owned(),
        source,
    };
    let key = parse_key(key, key_path)?;
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|err| corrupted(rcgen::Error::PemError(err.to_string())))?;
    let public_key = {
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate)
            .map_err(|_| corrupted(rcgen::Error::CouldNotParseCertificate))?;
        parsed.public_key().raw.to_vec()
    };
    if public_key != key.subject_public_key_info() {
        return Err(CaError::Mismatch {
            path: certificate_path.to_owned(),
        });
    }
    let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(corrupted)?;
    Ok(Authority {
        issuer,
        certificate,
        pem,
        previous: None,
    })
}

fn parse_key(pem: &str, path: &Utf8Path) -> Result<KeyPair, CaError> {
    KeyPair::from_pem(pem).map_err(|source| CaError::Corrupted {
        path: path.to_owned(),
        source,
    })
}

/// The authority has no dates to speak of: what pins it pins its key, and a box whose clock was wrong at its first start must not have made an authority that ends.
fn make_certificate(key: KeyPair, path: &Utf8Path) -> Result<Authority, CaError> {
    // Between it and those whom its master certifies is the next authority, while that one follows it.
    let params = of_an_authority(&key.subject_public_key_info(), 1);
    let certificate = params.self_signed(&key).map_err(CaError::FailedSign)?;
    write(path, &certificate.pem())?;
    Ok(Authority {
        pem: certificate.pem(),
        certificate: certificate.der().clone(),
        issuer: Issuer::new(params, key),
        previous: None,
    })
}

/// Returns what the certificate of an authority with this key says. `below`: how many authorities may be below it.
pub(super) fn of_an_authority(spki: &[u8], below: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    let digest = Sha256::digest(spki);
    let code: String = digest[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("Slapbox CA {code}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(9999, 12, 31);
    params
}

pub(super) fn make_folder(folder: &Utf8Path) -> Result<(), CaError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| CaError::FailedWrite {
            path: folder.to_owned(),
            source,
        })
}

pub(super) fn write(path: &Utf8Path, text: &str) -> Result<(), CaError> {
    let attempt = || -> std::io::Result<()> {
        let mut file = AtomicWriteFile::open(path)?;
        file.as_file()
            .set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        file.commit()
    };
    attempt().map_err(|source| CaError::FailedWrite {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Where an authority may be made, and what removes it.
    pub(in crate::ca) fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let temporary = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(temporary.path().join("ca")).unwrap();
        (temporary, path)
    }

    #[test]
    fn an_authority_is_made_once_and_found_again() {
        let (_kept, folder) = folder();
        let made = Authority::open_or_create(&folder).unwrap();
        let found = Authority::open_or_create(&folder).unwrap();
        assert_eq!(made.pin(), found.pin());
        assert_eq!(made.pem(), found.pem());
        let mode = fs::metadata(folder.join("key.pem"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_first_start_that_was_cut_keeps_its_key() {
        let (_kept, folder) = folder();
        let made = Authority::open_or_create(&folder).unwrap();
        fs::remove_file(folder.join("ca.pem")).unwrap();
        let again = Authority::open_or_create(&folder).unwrap();
        assert_eq!(made.pin(), again.pin());
    }

    #[test]
    fn a_missing_key_is_not_replaced() {
        let (_kept, folder) = folder();
        Authority::open_or_create(&folder).unwrap();
        fs::remove_file(folder.join("key.pem")).unwrap();
        let error = Authority::open_or_create(&folder).unwrap_err();
        assert!(matches!(error, CaError::KeyMissing { .. }), "{error}");
    }

    #[test]
    fn corrupted_and_foreign_files_are_told_apart() {
        let (_kept, folder) = folder();
        let (_other_kept, other) = self::folder();
        Authority::open_or_create(&folder).unwrap();
        Authority::open_or_create(&other).unwrap();
        fs::copy(other.join("ca.pem"), folder.join("ca.pem")).unwrap();
        let error = Authority::open_or_create(&folder).unwrap_err();
        assert!(matches!(error, CaError::Mismatch { .. }), "{error}");
        fs::copy(folder.join("key.pem"), folder.join("ca.pem")).unwrap();
        let error = Authority::open_or_create(&folder).unwrap_err();
        assert!(matches!(error, CaError::Corrupted { .. }), "{error}");
        fs::File::create(folder.join("key.pem")).unwrap();
        let error = Authority::open_or_create(&folder).unwrap_err();
        assert!(matches!(error, CaError::Corrupted { .. }), "{error}");
    }
}
