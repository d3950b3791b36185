//! What can be typed about the overlay.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

/// The overlay, as this machine sees it, if nothing is named.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Net {
    #[command(flatten)]
    pub(crate) look: NetLook,
    #[command(subcommand)]
    pub(crate) command: Option<NetCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NetCommand {
    /// Draw the whole network, as SVG, on the machine of its registry
    Map(NetMap),
}

#[derive(Debug, Args)]
pub(crate) struct NetMap {
    /// Print JSON, as the registry says it
    #[arg(long)]
    pub(crate) json: bool,
    /// Where the registry listens
    #[arg(
        long,
        value_name = "SOCKET",
        default_value = "/run/slapbox-registry/http.sock"
    )]
    pub(crate) socket: Utf8PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct NetLook {
    /// Print JSON, as the overlay's daemon wrote it
    #[arg(long)]
    pub(crate) json: bool,
    /// Print metrics in the text format of OpenMetrics, as the overlay's daemon wrote them
    #[arg(long, conflicts_with = "json")]
    pub(crate) metrics: bool,
    /// Where that daemon says how things are
    #[arg(long, value_name = "FOLDER", default_value = "/run/slapbox-re6st")]
    pub(crate) run: Utf8PathBuf,
}
