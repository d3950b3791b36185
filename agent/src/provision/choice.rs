//! Which document counts: the one that the box has accepted, or the one that it is shown. Pure.

use super::channels::{Channel, Provided};
use crate::config::{Mistake, Role, Settings};

/// What a box does with the documents that it has and sees.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// Go on with what was accepted before.
    Keep(Settings),
    /// Go on with what was accepted before, and say why what is shown is not taken.
    KeepAndSay(Settings, String),
    /// Accept what is shown.
    Accept(Box<Provided>, Settings),
    /// Wait, since there is no document.
    Wait,
    /// Wait, since the only document is not good.
    WaitForBetter(Channel, Mistake),
}

/// Chooses between the kept document and the one shown now.
pub fn choose(kept: Option<Settings>, shown: Option<Provided>, enrolled: bool) -> Choice {
    match (kept, shown) {
        (None, None) => Choice::Wait,
        (Some(kept), None) => Choice::Keep(kept),
        (
            kept,
            Some(Provided {
                channel,
                settings: Err(mistake),
                ..
            }),
        ) => match kept {
            None => Choice::WaitForBetter(channel, mistake),
            Some(kept) => {
                let why = format!("the configuration on {channel} is not good: {mistake}");
                Choice::KeepAndSay(kept, why)
            }
        },
        (
            None,
            Some(Provided {
                channel,
                text,
                settings: Ok(settings),
            }),
        ) => {
            let again = Ok(settings.clone());
            let shown = Provided {
                channel,
                text,
                settings: again,
            };
            Choice::Accept(Box::new(shown), settings)
        }
        (
            Some(kept),
            Some(Provided {
                channel,
                text,
                settings: Ok(settings),
            }),
        ) => {
            let again = Ok(settings.clone());
            second(
                kept,
                Provided {
                    channel,
                    text,
                    settings: again,
                },
                settings,
                enrolled,
            )
        }
    }
}

/// A good document is shown to a box that has one already.
fn second(kept: Settings, shown: Provided, settings: Settings, enrolled: bool) -> Choice {
    if !enrolled {
        return if kept == settings {
            Choice::Keep(kept)
        } else {
            Choice::Accept(Box::new(shown), settings)
        };
    }
    if kept.role.name() != settings.role.name() {
        let why = format!(
            "{} says role \"{}\", but this box is enrolled as \"{}\": reset it to change its role",
            shown.channel,
            settings.role.name(),
            kept.role.name()
        );
        return Choice::KeepAndSay(kept, why);
    }
    let settings = without_token(settings);
    if without_token(kept.clone()) == settings {
        Choice::Keep(kept)
    } else {
        Choice::Accept(Box::new(shown), settings)
    }
}

/// An enrolled box needs no token, whatever its document still says.
fn without_token(settings: Settings) -> Settings {
    match settings.role {
        Role::Node(_) => Settings {
            role: Role::Node(None),
            ..settings
        },
        Role::Master(_) | Role::Slap(_) => settings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use slap::JoinBlob;
    use slap::join::{CaPin, Token};

    fn node(token: u8, partitions: u16) -> String {
        let urls = vec!["https://192.0.2.1".to_owned()];
        let token = Token::from_random([token; 12], [token; 32]);
        let blob = JoinBlob {
            urls,
            ca: CaPin::of_spki(b""),
            token,
        }
        .reveal();
        format!("join = \"{blob}\"\npartitions = {partitions}\n")
    }

    fn shown(text: &str) -> Provided {
        super::super::Found {
            channel: Channel::Stick,
            bytes: text.into(),
        }
        .read()
    }

    fn settings(text: &str) -> Settings {
        config::parse_kept(text).unwrap()
    }

    const MASTER: &str = "role = \"master\"\n[master]\nurls = [\"https://192.0.2.1\"]\n";

    #[test]
    fn a_new_box_waits_for_a_document_and_takes_the_first_good_one() {
        assert_eq!(choose(None, None, false), Choice::Wait);
        let bad = choose(None, Some(shown("jion = 1")), false);
        assert!(
            matches!(bad, Choice::WaitForBetter(Channel::Stick, _)),
            "{bad:?}"
        );
        let good = choose(None, Some(shown(&node(1, 200))), false);
        assert!(matches!(good, Choice::Accept(_, _)), "{good:?}");
    }

    #[test]
    fn another_document_replaces_one_that_led_to_no_enrolment() {
        let kept = settings(&node(1, 200));
        assert_eq!(
            choose(Some(kept.clone()), None, false),
            Choice::Keep(kept.clone())
        );
        let same = choose(Some(kept.clone()), Some(shown(&node(1, 200))), false);
        assert_eq!(same, Choice::Keep(kept.clone()));
        let other = choose(Some(kept.clone()), Some(shown(&node(2, 200))), false);
        assert!(matches!(other, Choice::Accept(_, _)), "{other:?}");
        let role = choose(Some(kept), Some(shown(MASTER)), false);
        assert!(matches!(role, Choice::Accept(_, _)), "{role:?}");
    }

    #[test]
    fn an_enrolled_box_takes_settings_but_neither_token_nor_role() {
        let kept = settings("partitions = 200");
        let same = choose(Some(kept.clone()), Some(shown(&node(9, 200))), true);
        assert_eq!(same, Choice::Keep(kept.clone()));
        let more = choose(Some(kept.clone()), Some(shown(&node(9, 300))), true);
        assert!(
            matches!(&more, Choice::Accept(_, new) if new.partitions == 300 && new.role == Role::Node(None)),
            "{more:?}"
        );
        let role = choose(Some(kept), Some(shown(MASTER)), true);
        assert!(
            matches!(&role, Choice::KeepAndSay(_, why) if why.contains("says role \"master\", but this box")),
            "{role:?}"
        );
    }

    #[test]
    fn a_bad_document_does_not_unsettle_a_box_that_has_a_good_one() {
        let kept = settings("partitions = 200");
        let bad = choose(Some(kept), Some(shown("partitions = 0")), true);
        assert!(
            matches!(&bad, Choice::KeepAndSay(_, why) if why.contains("line 1, column 14: the number is out of range")),
            "{bad:?}"
        );
    }
}
