//! What an instance publishes: read from a file that its own user wrote, so nothing of it is believed.

use std::collections::BTreeMap;
use std::io;

use super::confinement::CONNECTION;
use crate::inside::Inside;
use crate::partitions::users::Ids;

/// What is published cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error("failed to read the connection parameters")]
    Read(#[source] io::Error),
    #[error("the connection parameters are not the partition's own file")]
    NotItsOwn,
    #[error("the connection parameters are not a JSON object of texts")]
    Malformed(#[source] serde_json::Error),
}

const LONGEST: u64 = 256 * 1024;

/// Returns what the instance publishes, if it does.
pub fn read(
    inside: &Inside,
    ids: Ids,
) -> Result<Option<BTreeMap<String, String>>, ConnectionError> {
    let file = inside.read_owned(CONNECTION, LONGEST);
    let Some((text, owner)) = file.map_err(ConnectionError::Read)? else {
        return Ok(None);
    };
    if owner.uid != ids.uid {
        return Err(ConnectionError::NotItsOwn);
    }
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(ConnectionError::Malformed)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use camino::Utf8PathBuf;

    use super::*;

    fn published(text: &str) -> (tempfile::TempDir, Inside, Ids) {
        let keep = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(keep.path().to_owned()).unwrap();
        std::fs::create_dir(path.join(".slapgrid")).unwrap();
        let mut file = File::create(path.join(CONNECTION)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let owner = file.metadata().unwrap();
        let ids = Ids {
            uid: owner.uid(),
            gid: owner.gid(),
        };
        let inside = Inside::open(&path).unwrap();
        (keep, inside, ids)
    }

    #[test]
    fn an_object_of_texts_is_published() {
        let (_keep, inside, ids) = published(r#"{"url": "http://[::1]/"}"#);
        let expected = BTreeMap::from([("url".to_owned(), "http://[::1]/".to_owned())]);
        assert_eq!(read(&inside, ids).unwrap(), Some(expected));
        inside.remove(CONNECTION).unwrap();
        assert_eq!(read(&inside, ids).unwrap(), None);
    }

    #[test]
    fn anything_else_is_an_error() {
        for text in ["", "[]", r#"{"a": 1}"#, r#"{"a": {"b": "c"}}"#] {
            let (_keep, inside, ids) = published(text);
            let error = read(&inside, ids).unwrap_err();
            assert!(matches!(error, ConnectionError::Malformed(_)), "{text}");
        }
        let (_keep, inside, ids) = published(&"x".repeat(300_000));
        assert!(matches!(
            read(&inside, ids).unwrap_err(),
            ConnectionError::Read(_)
        ));
    }

    #[test]
    fn what_is_not_its_own_is_not_published() {
        let (keep, inside, ids) = published(r#"{"a": "secret"}"#);
        let other = Ids {
            uid: ids.uid + 1,
            ..ids
        };
        let error = read(&inside, other).unwrap_err();
        assert!(matches!(error, ConnectionError::NotItsOwn));
        inside.remove(CONNECTION).unwrap();
        symlink("/etc/shadow", keep.path().join(CONNECTION)).unwrap();
        assert!(matches!(
            read(&inside, ids).unwrap_err(),
            ConnectionError::Read(_)
        ));
    }
}
