//! What can be typed.

use std::net::SocketAddr;
use std::time::Duration;

use camino::Utf8PathBuf;
use clap::{Parser, Subcommand};
use clap_complete::Shell;
use slap::v1::ReleaseName;
use slap::{ComputerId, JoinBlob, ProjectName, RequestedState, Title};

mod net;
mod node;
mod people;

pub(crate) use net::{Net, NetCommand, NetLook, NetMap};
pub(crate) use node::{
    InstanceLook, Node, NodeCommand, NodeStatus, PartitionLog, Prune, Register, SoftwareLook,
};
pub(crate) use people::{ProjectCommand, UserCommand};

use crate::assignment::Assignment;
use crate::lifetime::parse_lifetime;
use crate::parameters::Serialisation;

/// Requests services, makes tokens, looks after computers of a Slapbox cloud
#[derive(Debug, Parser)]
#[command(name = "slapbox", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// Where the login is kept [default: ~/.config/slapbox]
    #[arg(long, env = "SLAPBOX_HOME", value_name = "DIR", global = true)]
    pub(crate) home: Option<Utf8PathBuf>,
    /// HTTP proxy to reach the master through
    #[arg(long, env = "SLAPBOX_PROXY", value_name = "URL", global = true)]
    pub(crate) proxy: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Log in: make a key here and redeem the token of an invitation for a certificate
    Login {
        /// The line that begins with `slapbox1.`
        join: JoinBlob,
        /// Forget the login that there is
        #[arg(long)]
        replace: bool,
        /// Print who we are as JSON
        #[arg(long)]
        json: bool,
    },
    /// Tokens, by which computers and operators join
    #[command(subcommand)]
    Token(TokenCommand),
    /// People, organisations and operators
    #[command(subcommand)]
    User(UserCommand),
    /// Projects: what people, computers and services belong to
    #[command(subcommand)]
    Project(ProjectCommand),
    /// Let a computer in, after comparing the code that it shows
    Approve(Decision),
    /// Shut out a computer or a user for good, or take a token back
    Revoke {
        /// A computer's reference, a user's name or a token's id
        who: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Computers
    #[command(subcommand)]
    Computer(ComputerCommand),
    /// Make a software release available on a computer
    Supply(Supply),
    /// Remove a software release from a computer
    Remove(Supply),
    /// Ask for a service, or change one; exit status 2 while it is not ready
    Request(Request),
    /// Services
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Software releases that the master serves
    #[command(subcommand)]
    Release(ReleaseCommand),
    /// This machine as a node: make it one, look at it
    Node(Node),
    /// The overlay as this machine sees it; exit status 1 when it is not connected
    Net(Net),
    /// Who did what when: the newest entries, unless it is said since when
    Log(Log),
    /// Print what completes commands in a shell: `source <(slapbox complete)`
    #[command(visible_alias = "completion")]
    Complete {
        /// Which shell
        #[arg(long, value_enum, default_value = "bash")]
        shell: Shell,
        /// What the command is called there
        #[arg(long, default_value = "slapbox")]
        name: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Supply {
    pub(crate) url: String,
    pub(crate) computer: ComputerId,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Log {
    /// How far to look back: 90s, 10m, 24h, 7d
    #[arg(long, value_name = "TIME", value_parser = parse_lifetime)]
    pub(crate) since: Option<Duration>,
    /// How many entries at most
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: u32,
    /// Go on with what happens from now on, until Ctrl-C
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Print JSON; one entry a line with `--follow`
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token; prints the line to give to whoever joins
    Create {
        /// How long it lives: 90s, 10m, 24h, 7d
        #[arg(long, default_value = "1h", value_parser = parse_lifetime)]
        lifetime: Duration,
        /// How many may use it
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// Let an operator approve each computer that uses it
        #[arg(long)]
        no_auto_approve: bool,
        /// The project of the computers that use it [default: `default`]
        #[arg(long, value_name = "PROJECT")]
        project: Option<ProjectName>,
        /// Label the computers that use it
        #[arg(long = "label", value_name = "KEY=VALUE")]
        labels: Vec<Assignment>,
        /// Only for the machine with this serial number
        #[arg(long, value_name = "SERIAL")]
        serial: Option<String>,
        /// Print everything as JSON
        #[arg(long)]
        json: bool,
    },
    /// List tokens
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a token back; who joined by it stays
    Revoke {
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Which computer is decided about.
#[derive(Debug, clap::Args)]
pub(crate) struct Decision {
    pub(crate) computer: ComputerId,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ComputerCommand {
    /// List computers
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a computer
    Info {
        computer: ComputerId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a token for one computer and an hour; prints the line to give to it
    Token {
        /// Print everything as JSON; `token` is what `slapos node register` asks for
        #[arg(long)]
        json: bool,
    },
    /// Let a computer in, after comparing the code that it shows
    Approve(Decision),
    /// Shut a computer out for good
    Revoke(Decision),
    /// Let the other computers of its project take what a computer builds, instead of building it themselves
    Trust(Decision),
    /// Have nobody take what a computer builds
    Distrust(Decision),
    /// Put a computer that runs nothing into another project
    Move {
        computer: ComputerId,
        project: ProjectName,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Request {
    /// What to call it; asked again, it is changed
    pub(crate) title: Title,
    /// The software release to run
    pub(crate) url: String,
    /// Which of the release's types
    #[arg(long = "type", default_value = "default", value_name = "TYPE")]
    pub(crate) software_type: String,
    /// Where it may run, as `computer_guid=COMP-2`; one or more
    #[arg(long = "node", value_name = "KEY=VALUE", num_args = 1..)]
    pub(crate) node: Vec<Assignment>,
    /// Ask for a share of an instance that is there
    #[arg(long)]
    pub(crate) slave: bool,
    /// What to configure it with; one or more
    #[arg(long = "parameters", value_name = "KEY=VALUE", num_args = 1.., conflicts_with = "parameters_file")]
    pub(crate) parameters: Vec<Assignment>,
    /// The project whose computers it may be on, if yours are more than one
    #[arg(long, value_name = "PROJECT")]
    pub(crate) project: Option<ProjectName>,
    /// What to configure it with, in a file: JSON, YAML or XML, as its name ends
    #[arg(long, value_name = "FILE")]
    pub(crate) parameters_file: Option<Utf8PathBuf>,
    /// How what is in the file is sent: key by key, or as one JSON text
    #[arg(long, value_enum, value_name = "HOW", requires = "parameters_file")]
    pub(crate) force_serialisation: Option<Serialisation>,
    /// `started`, `stopped` or `destroyed` [default: started when it is new]
    #[arg(long)]
    pub(crate) state: Option<RequestedState>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// List services
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a service; exit status 2 when there is none
    Info {
        title: Title,
        /// Show all that was last heard of it
        #[arg(long)]
        news: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Open a port here that leads to a service, until Ctrl-C
    Forward {
        title: Title,
        /// Where to listen
        #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
        listen: SocketAddr,
        /// The service's port; if none is named, that of the URL which it publishes
        #[arg(long)]
        port: Option<u16>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReleaseCommand {
    /// Publish a file; prints the URL to supply and request it by
    Publish {
        file: Utf8PathBuf,
        /// What to call it [default: the file's name]
        #[arg(long)]
        name: Option<ReleaseName>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List releases
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[cfg(test)]
mod tests;
