//! Erases the used token from where it lay. A medium that cannot be written is named, so that a person takes it away.

use std::fmt;

use super::channels::Channel;
use super::{seed, stick};
use crate::config;
use crate::places::Places;
use slap::JoinBlob;

/// What became of a document's token on its medium.
#[derive(Debug)]
pub struct Erased {
    /// Where it lay.
    pub channel: Channel,
    /// Whether it is gone.
    pub outcome: anyhow::Result<()>,
}

impl fmt::Display for Erased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Ok(()) => write!(f, "the used token is erased from {}", self.channel),
            Err(error) => {
                write!(
                    f,
                    "the used token is still on {}, take it away: {error:#}",
                    self.channel
                )
            }
        }
    }
}

/// Erases `used` from every medium that holds it. A medium with another token is left alone.
pub fn erase(places: &Places, used: &JoinBlob) -> Vec<Erased> {
    let mut erased = Vec::new();
    if holds(seed::read(places).ok().flatten(), used).is_some() {
        erased.push(Erased {
            channel: Channel::Seed,
            outcome: seed::zero(places),
        });
    }
    if let Some(blank) = holds(stick::read(places).ok().flatten(), used) {
        let outcome = stick::overwrite(places, blank.as_bytes());
        erased.push(Erased {
            channel: Channel::Stick,
            outcome,
        });
    }
    erased
}

/// The document without the token, if it is the one with this token.
fn holds(document: Option<Vec<u8>>, used: &JoinBlob) -> Option<String> {
    let document = document?;
    let text = config::text(&document).ok()?;
    let settings = config::parse(text).ok()?;
    match settings.role {
        config::Role::Node(Some(blob)) if blob == *used => config::without_join(text),
        config::Role::Node(_) | config::Role::Master(_) | config::Role::Slap(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slap::join::{CaPin, Token};

    fn blob(byte: u8) -> JoinBlob {
        let urls = vec!["https://192.0.2.1".to_owned()];
        let token = Token::from_random([byte; 12], [byte; 32]);
        JoinBlob {
            urls,
            ca: CaPin::of_spki(b""),
            token,
        }
    }

    #[test]
    fn only_the_medium_with_the_used_token_is_erased() {
        let document = format!("name = \"a\"\njoin = \"{}\"\n", blob(1).reveal()).into_bytes();
        let blank = holds(Some(document.clone()), &blob(1)).unwrap();
        assert_eq!(blank.len(), document.len());
        assert!(blank.starts_with("name = \"a\"\n# join: used and erased   "));
        assert!(!blank.contains("slapbox1"));
        assert_eq!(holds(Some(document), &blob(2)), None);
        assert_eq!(holds(Some(b"rubbish".to_vec()), &blob(1)), None);
        assert_eq!(holds(None, &blob(1)), None);
    }
}
