//! The variants of the image.

use std::fmt;

use clap::ValueEnum;

/// Which image is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Virtual machines: the cloud kernel.
    Vm,
    /// Real machines: the generic kernel and firmware.
    Metal,
    /// The vm image with ssh, a shell and tools; never shipped.
    Debug,
}

impl Profile {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Vm => "vm",
            Self::Metal => "metal",
            Self::Debug => "debug",
        }
    }

    /// The folders of `mkosi.profiles/` that make it up.
    pub(crate) fn layers(self) -> &'static [&'static str] {
        match self {
            Self::Vm => &["vm"],
            Self::Metal => &["metal"],
            Self::Debug => &["vm", "debug"],
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
