//! What an instance requests of others: read from a file that its own user wrote, so nothing of it is believed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde::{Deserialize, Serialize};
use slap::{RequestedState, Title};

use super::confinement::REQUESTS;
use crate::inside::Inside;
use crate::partitions::users::Ids;

/// "There shall be an instance like this", as an instance says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Its identity in the tree of who requests it.
    pub title: Title,
    /// The URL of its release; nothing is the requester's own.
    #[serde(default)]
    pub software_release_url: Option<String>,
    #[serde(default = "default_type")]
    pub software_type: String,
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// Conditions on where it may be (SLA).
    #[serde(default)]
    pub filter: BTreeMap<String, String>,
    /// Whether a share of somebody's instance is meant.
    #[serde(default)]
    pub shared: bool,
    #[serde(default = "started")]
    pub state: RequestedState,
}

/// What is requested cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WishesError {
    #[error("failed to read its `{REQUESTS}`")]
    Read(#[source] io::Error),
    #[error("its `{REQUESTS}` is not the partition's own file")]
    NotItsOwn,
    #[error("its `{REQUESTS}` is not a list of requests")]
    Malformed(#[source] serde_json::Error),
    #[error("it requests {0} instances at once, and may request no more than {MOST}")]
    TooMany(usize),
    #[error("it requests `{0}` twice")]
    Twice(Title),
    #[error(
        "its request of `{0}` names a release that is none: leave `software_release_url` out for its own"
    )]
    NoRelease(Title),
}

const LONGEST: u64 = 256 * 1024;
/// As many as a master takes of one requester.
const MOST: usize = 100;

fn default_type() -> String {
    "default".to_owned()
}

fn started() -> RequestedState {
    RequestedState::Started
}

/// Returns what the instance requests.
pub fn read(inside: &Inside, ids: Ids) -> Result<Vec<Wish>, WishesError> {
    let file = inside.read_owned(REQUESTS, LONGEST);
    let Some((text, owner)) = file.map_err(WishesError::Read)? else {
        return Ok(Vec::new());
    };
    if owner.uid != ids.uid {
        return Err(WishesError::NotItsOwn);
    }
    parse(&text)
}

fn parse(text: &[u8]) -> Result<Vec<Wish>, WishesError> {
    let wishes: Vec<Wish> = serde_json::from_slice(text).map_err(WishesError::Malformed)?;
    if wishes.len() > MOST {
        return Err(WishesError::TooMany(wishes.len()));
    }
    let mut titles = BTreeSet::new();
    for wish in &wishes {
        if !titles.insert(&wish.title) {
            return Err(WishesError::Twice(wish.title.clone()));
        }
        if wish.software_release_url.as_deref() == Some("") {
            return Err(WishesError::NoRelease(wish.title.clone()));
        }
    }
    Ok(wishes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use camino::Utf8PathBuf;

    use super::*;
    use crate::causes::in_one_line;

    #[test]
    fn all_but_the_title_has_a_default() {
        let wishes = parse(
            br#"[{"title": "db"}, {"title": "front end", "shared": true,
            "software_release_url": "https://x/y.cfg", "software_type": "slave", "state": "stopped",
            "parameters": {"url": "http://[::1]/"}, "filter": {"region": "fr"}}]"#,
        );
        let wishes = wishes.unwrap();
        let expected = Wish {
            title: "db".parse().unwrap(),
            software_release_url: None,
            software_type: "default".into(),
            parameters: BTreeMap::new(),
            filter: BTreeMap::new(),
            shared: false,
            state: RequestedState::Started,
        };
        assert_eq!(wishes[0], expected);
        assert!(wishes[1].shared && wishes[1].state == RequestedState::Stopped);
        assert_eq!(parse(b"[]").unwrap(), []);
    }

    #[test]
    fn what_cannot_be_requested_is_said_in_words() {
        let many: Vec<_> = (0..101)
            .map(|number| format!(r#"{{"title": "{number}"}}"#))
            .collect();
        let many = format!("[{}]", many.join(","));
        for (text, words) in [
            (
                "",
                "is not a list of requests: EOF while parsing a value at line 1",
            ),
            (
                r#"{"title": "a"}"#,
                "is not a list of requests: invalid type: map",
            ),
            (
                r#"[{"title": "a", "parametres": {}}]"#,
                "unknown field `parametres`, expected one of `title`",
            ),
            (r#"[{"software_type": "a"}]"#, "missing field `title`"),
            (
                r#"[{"title": ""}]"#,
                "`` cannot name a request: 1 to 255 characters",
            ),
            (
                r#"[{"title": "a", "parameters": {"size": 3}}]"#,
                "invalid type: integer `3`, expected a string at line 1 column 40",
            ),
            (
                r#"[{"title": "a", "state": "running"}]"#,
                "unknown variant `running`, expected one of `started`",
            ),
            (
                r#"[{"title": "a"}, {"title": "b"}, {"title": "a"}]"#,
                "it requests `a` twice",
            ),
            (
                r#"[{"title": "a", "software_release_url": ""}]"#,
                "its request of `a` names a release that is none",
            ),
            (
                &many,
                "it requests 101 instances at once, and may request no more than 100",
            ),
        ] {
            let said = in_one_line(&parse(text.as_bytes()).unwrap_err());
            assert!(said.contains(words), "{text}: {said}");
        }
    }

    #[test]
    fn what_is_not_its_own_file_requests_nothing() {
        let keep = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(keep.path().to_owned()).unwrap();
        std::fs::create_dir(path.join(".slapgrid")).unwrap();
        let file = std::fs::File::create(path.join(REQUESTS)).unwrap();
        let owner = file.metadata().unwrap();
        let ids = Ids {
            uid: owner.uid(),
            gid: owner.gid(),
        };
        let inside = Inside::open(&path).unwrap();
        let other = Ids {
            uid: ids.uid + 1,
            ..ids
        };
        assert!(matches!(read(&inside, other), Err(WishesError::NotItsOwn)));
        file.set_len(LONGEST + 1).unwrap();
        let said = in_one_line(&read(&inside, ids).unwrap_err());
        assert!(said.ends_with("is longer than 262144 bytes"), "{said}");
        inside.remove(REQUESTS).unwrap();
        assert_eq!(read(&inside, ids).unwrap(), []);
        symlink("/etc/shadow", path.join(REQUESTS)).unwrap();
        assert!(matches!(read(&inside, ids), Err(WishesError::Read(_))));
    }
}
