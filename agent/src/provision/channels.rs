//! The channels in their order, and the document of the first one that has any.

use std::fmt;

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

/// Looks through the channels. A channel that cannot be read is passed over, with a word in the log.
pub fn first(places: &Places) -> Option<Provided> {
    let look: [(Channel, Read); 5] = [
        (Channel::Credential, credential::systemd),
        (Channel::FwCfg, credential::fw_cfg),
        (Channel::Seed, seed::read),
        (Channel::Stick, stick::read),
        (Channel::CommandLine, credential::command_line),
    ];
    for (channel, read) in look {
        match read(places) {
            Ok(Some(bytes)) => return Some(Found { channel, bytes }.read()),
            Ok(None) => {}
            Err(error) => tracing::warn!("cannot read {channel}: {error:#}"),
        }
    }
    None
}
