//! The join blob, as far as an outsider must know it: read from a screen, and told through which address the bench reaches
//! the master, since boxes behind QEMU's network know the host by another address than the host itself.

use std::fmt;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

const MARK: &str = "slapbox1.";

/// What somebody needs to trust a master and to be trusted. `Debug` hides the token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// Where the master answers.
    pub urls: Vec<String>,
    ca: String,
    token: String,
}

impl Blob {
    /// Finds the last whole blob in a text, even where a screen has broken it over several lines.
    pub fn find(text: &str) -> Option<Self> {
        text.rmatch_indices(MARK)
            .find_map(|(start, _)| read(&text[start + MARK.len()..]))
    }

    /// Reads a blob that stands alone.
    pub fn parse(text: &str) -> Result<Self> {
        Self::find(text).context("not a join blob")
    }

    /// The same blob, for somebody who reaches the master at `url`.
    pub fn reached_at(&self, url: &str) -> Self {
        Self {
            urls: vec![url.to_owned()],
            ..self.clone()
        }
    }

    /// The same blob with another token, for somebody who makes one up.
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            ..self.clone()
        }
    }

    /// The line that people copy.
    pub fn line(&self) -> String {
        let json = serde_json::to_vec(self).expect("three strings are always JSON");
        format!("{MARK}{}", URL_SAFE_NO_PAD.encode(json))
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob")
            .field("urls", &self.urls)
            .field("ca", &self.ca)
            .finish_non_exhaustive()
    }
}

/// Takes lines until what they spell is a blob.
fn read(text: &str) -> Option<Blob> {
    const MOST_LINES: usize = 12;
    let mut spelled = String::new();
    for line in text.lines().take(MOST_LINES) {
        let line = line.trim_matches(|c: char| !is_spelling(c));
        spelled.extend(line.chars().take_while(|c| is_spelling(*c)));
        let blob = URL_SAFE_NO_PAD
            .decode(&spelled)
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok());
        if blob.is_some() {
            return blob;
        }
    }
    None
}

fn is_spelling(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '-' || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob() -> Blob {
        Blob {
            urls: vec!["https://10.0.2.2:8443".into()],
            ca: "abc".into(),
            token: "id.secret".into(),
        }
    }

    #[test]
    fn a_blob_is_found_where_a_screen_has_broken_it() {
        let line = blob().line();
        let (head, tail) = line.split_at(40);
        let screen = format!(
            "│ slapbox login slapbox1.broken │\n│ slapbox login {head} │\n│ {tail} │\n│ partitions 200 │\n"
        );
        assert_eq!(Blob::find(&screen), Some(blob()));
        assert_eq!(Blob::find("no blob here"), None);
    }

    #[test]
    fn the_bench_reaches_the_master_through_its_own_address() {
        let reached = blob().reached_at("https://127.0.0.1:8443");
        assert_eq!(
            Blob::parse(&reached.line()).unwrap().urls,
            ["https://127.0.0.1:8443"]
        );
        assert_eq!(reached.token, blob().token);
    }

    #[test]
    fn a_printed_blob_shows_no_secret() {
        assert!(!format!("{:?}", blob()).contains("secret"));
    }
}
