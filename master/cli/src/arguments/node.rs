//! What can be typed about this machine as a node.

use std::time::Duration;

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use crate::lifetime::parse_lifetime;

/// This machine as a node: what shall be looked at or done; how it is, if nothing is named.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Node {
    #[command(flatten)]
    pub(crate) status: NodeStatus,
    #[command(subcommand)]
    pub(crate) command: Option<NodeCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Make this machine a node of a master
    Register(Box<Register>),
    /// Show how this node is; exit status 1 when something is not as it should be
    Status(NodeStatus),
    /// Say what the agent would do next, and do nothing
    Plan {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what the programs of a partition have said
    Log(PartitionLog),
    /// Read and type at the console of the virtual machine in a partition; Ctrl-] leaves it
    Console {
        /// Such as `slappart3`, or its number
        #[arg(value_parser = parse_partition)]
        partition: u16,
    },
    /// Look at the releases now and wait for them; exit status 1 when one fails
    Software(SoftwareLook),
    /// Look at the instances now and wait for them; exit status 1 when one fails, 2 when only promises do, 3 without the master
    Instance(InstanceLook),
    /// Remove the shared parts that no release has; exit status 255 while one is being built
    Prune(Prune),
    /// Look at the promises now; exit status 2 when one is not kept
    Promise(Look),
    /// Destroy and report now what is due; exit status 1 when that fails
    Report(Look),
    /// Look at the partitions now and repair them; exit status 1 when that fails, 2 when the master is not told
    Format(Look),
    /// Have the master process every instance of this machine again
    Bang {
        /// Why, for the master's log
        #[arg(long, short)]
        message: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// What the agent looks at all the time anyway; exit status 10 when somebody else waits for it already.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Look {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// As [`Look`], at releases.
#[derive(Clone, Debug, Args)]
pub(crate) struct SoftwareLook {
    /// Build what is built already again, of the newest of everything that it is made of
    #[arg(long, alias = "all")]
    pub(crate) force: bool,
    /// Hear of this release alone, or build it alone again
    #[arg(long, alias = "only", value_name = "URL|MD5")]
    pub(crate) only_sr: Option<String>,
    /// Remove the releases, too, that are not supplied here and that nothing here needs
    #[arg(long, conflicts_with_all = ["force", "only_sr"])]
    pub(crate) garbage_collect: bool,
    #[command(flatten)]
    pub(crate) look: Look,
}

/// As [`Look`], at instances.
#[derive(Clone, Debug, Args)]
pub(crate) struct InstanceLook {
    /// Process what is processed already again
    #[arg(long, alias = "all")]
    pub(crate) force: bool,
    /// Hear of these partitions alone, or process them alone again
    #[arg(long, alias = "only", value_name = "PARTITIONS", value_delimiter = ',')]
    pub(crate) only_cp: Vec<String>,
    #[command(flatten)]
    pub(crate) look: Look,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Prune {
    /// Say which they are, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Another folder of releases that may have some; any number of times
    #[arg(long, value_name = "FOLDER")]
    pub(crate) additional_software_directory: Vec<Utf8PathBuf>,
    #[command(flatten)]
    pub(crate) look: Look,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct NodeStatus {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PartitionLog {
    /// Such as `slappart3`, or its number
    #[arg(value_parser = parse_partition)]
    pub(crate) partition: u16,
    /// Go on with what they say from now on, until Ctrl-C
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// How many lines at most
    #[arg(long, short = 'n', default_value_t = 100)]
    pub(crate) lines: u32,
    /// Print JSON, an entry a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Register {
    /// What people call this machine [default: its host name]
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The same, as an option
    #[arg(long = "name", value_name = "NAME", conflicts_with = "name")]
    pub(crate) called: Option<String>,
    /// The line that begins with `slapbox1.`; every user of this machine can see it while this runs
    #[arg(long, visible_alias = "token", value_name = "LINE", group = "way")]
    pub(crate) join: Option<String>,
    /// A file with that line; `-` is standard input [default: asked for]
    #[arg(long, value_name = "FILE", group = "way")]
    pub(crate) token_file: Option<Utf8PathBuf>,
    /// A whole configuration document, for what has no option here
    #[arg(long, value_name = "FILE", group = "way", conflicts_with_all = ["name", "called", "partitions", "endpoint"])]
    pub(crate) config: Option<Utf8PathBuf>,
    /// How many partitions it offers [default: 200]
    #[arg(
        long,
        visible_alias = "partition-number",
        value_name = "COUNT",
        value_parser = clap::value_parser!(u16).range(1..=4000)
    )]
    pub(crate) partitions: Option<u16>,
    /// Where others reach its end of the overlay, if they can
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) endpoint: Option<String>,
    /// How long to wait until it is a node
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_lifetime)]
    pub(crate) timeout: Duration,
    /// Start it and do not wait
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Check this machine and say what would be done, and do nothing
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
    /// Print what it has become as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) elsewhere: Elsewhere,
}

/// What `slapos node register` of the original asks for and a node of ours has no choice about: refused with a reason, so
/// that nobody believes that it was heard.
#[derive(Debug, Default, Args)]
pub(crate) struct Elsewhere {
    #[arg(long, hide = true)]
    pub(crate) master_url: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) master_url_web: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) interface_name: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) ipv4_local_network: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) software_root: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) instance_root: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) cfg: Option<String>,
    /// Each partition has its tap anyway.
    #[arg(long, short = 't', hide = true)]
    pub(crate) create_tap: bool,
}

impl Elsewhere {
    /// The first of them that asks for something that is not done, and what to do.
    pub(crate) fn refusal(&self) -> Option<String> {
        let by_line = "the line that begins with `slapbox1.` says where the master is and whom to believe there; leave it out";
        let is = |value: &Option<String>, only: &str| {
            value
                .as_deref()
                .is_none_or(|it| it.trim_end_matches('/') == only)
        };
        let refused = [
            ("--master-url", self.master_url.is_some(), by_line),
            ("--master-url-web", self.master_url_web.is_some(), by_line),
            (
                "--interface-name",
                self.interface_name.is_some(),
                "addresses of partitions come from the overlay, whatever the interface; leave it out",
            ),
            (
                "--ipv4-local-network",
                !is(&self.ipv4_local_network, "10.0.0.0/16"),
                "partitions have theirs from 10.0.0.0/16; leave it out",
            ),
            (
                "--software-root",
                !is(&self.software_root, "/srv/slapgrid/software"),
                "releases lie in /srv/slapgrid/software; mount another disk there",
            ),
            (
                "--instance-root",
                !is(&self.instance_root, "/srv/slapgrid"),
                "partitions lie in /srv/slapgrid; mount another disk there",
            ),
            (
                "--cfg",
                self.cfg.is_some(),
                "there is no slapos.cfg: the configuration is one document, which `--config FILE` hands over",
            ),
        ];
        let (name, _, why) = refused.into_iter().find(|(_, wrong, _)| *wrong)?;
        Some(format!("`{name}` cannot be chosen: {why}"))
    }
}

fn parse_partition(text: &str) -> Result<u16, String> {
    let number = text.strip_prefix("slappart").unwrap_or(text);
    number
        .parse()
        .map_err(|_| "a partition is called `slappart3`, or by its number".to_owned())
}
