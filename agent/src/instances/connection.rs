//! What an instance publishes: read from a file that its own user wrote, so nothing of it is believed.

use std::collections::BTreeMap;
use std::io;

use super::confinement::{CONNECTION, SHARED_CONNECTION};
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
    #[error(
        "the connection parameters of those who share it are not a JSON object of objects of texts"
    )]
    MalformedShared(#[source] serde_json::Error),
    #[error("it publishes for `{0}`, which does not share it")]
    NotShared(String),
}

const LONGEST: u64 = 256 * 1024;

/// Returns what the instance publishes, if it does.
pub fn read(
    inside: &Inside,
    ids: Ids,
) -> Result<Option<BTreeMap<String, String>>, ConnectionError> {
    let Some(text) = own_text(inside, ids, CONNECTION)? else {
        return Ok(None);
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(ConnectionError::Malformed)
}

/// What is published for those who share an instance, by their references.
pub type Shared = BTreeMap<String, BTreeMap<String, String>>;

/// Returns what the instance publishes for those who share it, who are these.
pub fn read_shared(
    inside: &Inside,
    ids: Ids,
    is_share: impl Fn(&str) -> bool,
) -> Result<Shared, ConnectionError> {
    let Some(text) = own_text(inside, ids, SHARED_CONNECTION)? else {
        return Ok(Shared::new());
    };
    let shared: Shared = serde_json::from_slice(&text).map_err(ConnectionError::MalformedShared)?;
    match shared.keys().find(|share| !is_share(share)) {
        Some(stranger) => Err(ConnectionError::NotShared(stranger.clone())),
        None => Ok(shared),
    }
}

fn own_text(inside: &Inside, ids: Ids, path: &str) -> Result<Option<Vec<u8>>, ConnectionError> {
    let file = inside.read_owned(path, LONGEST);
    let Some((text, owner)) = file.map_err(ConnectionError::Read)? else {
        return Ok(None);
    };
    if owner.uid != ids.uid {
        return Err(ConnectionError::NotItsOwn);
    }
    Ok(Some(text))
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
    fn what_is_published_for_others_is_for_those_who_share() {
        let (keep, inside, ids) = published("{}");
        let put = |text: &str| {
            let mut file = File::create(keep.path().join(SHARED_CONNECTION)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        let read = || read_shared(&inside, ids, |share| share == "SOFTINST-2");
        assert_eq!(read().unwrap(), Shared::new());
        put(r#"{"SOFTINST-2": {"url": "http://[::1]/two"}}"#);
        assert_eq!(read().unwrap()["SOFTINST-2"]["url"], "http://[::1]/two");
        put(r#"{"SOFTINST-3": {}}"#);
        let said = read().unwrap_err().to_string();
        assert_eq!(
            said,
            "it publishes for `SOFTINST-3`, which does not share it"
        );
        put(r#"{"SOFTINST-2": "url"}"#);
        let error = read().unwrap_err();
        assert!(matches!(error, ConnectionError::MalformedShared(_)));
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
