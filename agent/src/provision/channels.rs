//! The channels in their order, and the document of the first one that has any.

use std::fmt;

use super::documents::Documents;
use super::{credential, seed, stick};
use crate::config::{self, Mistake, Settings};
use crate::places::Places;

/// How a document reaches a box, the first that has one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// A systemd credential, from SMBIOS or fw_cfg.
    Credential,
    /// A file of QEMU's fw_cfg.
    FwCfg,
    /// The image's seed partition.
    Seed,
    /// A medium labelled SLAPBOX.
    Stick,
    /// The kernel command line, which everybody can read.
    CommandLine,
}

/// A document and where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub channel: Channel,
    /// What it says.
    pub bytes: Vec<u8>,
}

/// A document that was found: good, or not and why.
#[derive(Clone, PartialEq)]
pub struct Provided {
    /// Where it was.
    pub channel: Channel,
    /// Its text if it is one.
    pub text: String,
    /// What it means.
    pub settings: Result<Settings, Mistake>,
}

impl fmt::Debug for Provided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            channel, settings, ..
        } = self;
        f.debug_struct("Provided")
            .field("channel", channel)
            .field("settings", settings)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credential => "the credential slapbox.configuration",
            Self::FwCfg => "fw_cfg",
            Self::Seed => "the seed partition",
            Self::Stick => "the stick labelled SLAPBOX",
            Self::CommandLine => "the kernel command line",
        })
    }
}

impl Found {
    /// Reads what was found.
    pub fn read(self) -> Provided {
        let Self { channel, bytes } = self;
        match config::text(&bytes) {
            Ok(text) => Provided {
                channel,
                text: text.to_owned(),
                settings: config::parse(text),
            },
            Err(mistake) => Provided {
                channel,
                text: String::new(),
                settings: Err(mistake),
            },
        }
    }
}

type Read = fn(&Places) -> anyhow::Result<Option<Vec<u8>>>;

/// Looks through the channels: the first good document, or else the first that is not. One that another has replaced is
/// passed over; so is a channel that cannot be read, with a word in the log.
pub fn first(places: &Places) -> Option<Provided> {
    let look: [(Channel, Read); 5] = [
        (Channel::Credential, credential::systemd),
        (Channel::FwCfg, credential::fw_cfg),
        (Channel::Seed, seed::read),
        (Channel::Stick, stick::read),
        (Channel::CommandLine, credential::command_line),
    ];
    let known = Documents::load(places);
    let mut bad = None;
    for (channel, read) in look {
        match read(places) {
            Ok(Some(bytes)) if known.has_replaced(&bytes) => {}
            Ok(Some(bytes)) => {
                let provided = Found { channel, bytes }.read();
                match &provided.settings {
                    Ok(_) => return Some(provided),
                    Err(mistake) => tracing::warn!("the configuration on {channel}: {mistake}"),
                }
                bad = bad.or(Some(provided));
            }
            Ok(None) => {}
            Err(error) => tracing::warn!("cannot read {channel}: {error:#}"),
        }
    }
    bad
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk;

    /// A box in a folder, with a document by systemd and one by fw_cfg.
    fn with(credential: &str, fw_cfg: &str) -> (tempfile::TempDir, Places) {
        let folder = tempfile::tempdir().unwrap();
        let root = camino::Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        let places = Places::under(&root);
        for (path, text) in [
            ("run/credentials/@system/slapbox.configuration", credential),
            (
                "sys/firmware/qemu_fw_cfg/by_name/opt/slapbox/configuration/raw",
                fw_cfg,
            ),
        ] {
            let path = places.at(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            disk::replace(&path, text.as_bytes()).unwrap();
        }
        (folder, places)
    }

    const MASTER: &str = "role = \"master\"\n[master]\nurls = [\"https://192.0.2.1\"]\n";

    #[test]
    fn the_first_channel_with_a_good_document_tells() {
        let (_keep, places) = with(MASTER, MASTER);
        assert_eq!(first(&places).unwrap().channel, Channel::Credential);
        let (_keep, places) = with("jion = 1", MASTER);
        assert_eq!(first(&places).unwrap().channel, Channel::FwCfg);
        let (_keep, places) = with("jion = 1", "also = \"bad\"");
        let bad = first(&places).unwrap();
        assert_eq!(bad.channel, Channel::Credential);
        assert!(
            bad.settings
                .unwrap_err()
                .to_string()
                .contains("did you mean `join`?")
        );
    }

    #[test]
    fn a_document_that_another_has_replaced_is_passed_over() {
        let other = format!("partitions = 7\n{MASTER}");
        let (_keep, places) = with(MASTER, &other);
        let read = first(&places).unwrap();
        super::super::accept(&places, &read, false).unwrap();
        assert_eq!(first(&places), Some(read));
        let better = Found {
            channel: Channel::Stick,
            bytes: other.clone().into(),
        }
        .read();
        super::super::accept(&places, &better, false).unwrap();
        let read = first(&places).unwrap();
        assert_eq!((read.channel, read.text), (Channel::FwCfg, other));
    }
}
