//! What can be typed about users and projects.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use slap::v1::{Role, TokenKind};
use slap::{ProjectName, UserName};

use crate::lifetime::parse_lifetime;

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// List users: all for operators, those around you for others
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Invite somebody; prints the line that they log in with
    Invite {
        /// What to call them; whoever is there already gets one more login
        name: UserName,
        /// What they become
        #[arg(long, value_enum, default_value = "person")]
        kind: Kind,
        /// The project that they shall belong to
        #[arg(long, value_name = "PROJECT")]
        project: Option<ProjectName>,
        /// What they may do there: `member` or `manager` [default: member]
        #[arg(long, requires = "project")]
        role: Option<Role>,
        /// How long the invitation lives: 90s, 10m, 24h, 7d
        #[arg(long, default_value = "24h", value_parser = parse_lifetime)]
        lifetime: Duration,
        /// Print everything as JSON
        #[arg(long)]
        json: bool,
    },
    /// Shut somebody out for good; what they requested stays
    Revoke {
        name: UserName,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Have a person belong to an organisation: what it may, they may
    Join {
        person: UserName,
        organisation: UserName,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Have a person belong to an organisation no more
    Part {
        person: UserName,
        organisation: UserName,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Somebody who may do what they have roles for
    Person,
    /// What people belong to
    Organisation,
    /// Somebody who may do everything
    Operator,
}

impl From<Kind> for TokenKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Person => Self::Person,
            Kind::Organisation => Self::Organisation,
            Kind::Operator => Self::Operator,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProjectCommand {
    /// List projects and who may do what in them
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a project
    Create {
        name: ProjectName,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a project that nothing is in
    Delete {
        name: ProjectName,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give a person or an organisation a role in a project
    Add {
        project: ProjectName,
        user: UserName,
        /// `member` or `manager`
        #[arg(long, default_value = "member")]
        role: Role,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take the role of a person or an organisation in a project
    Remove {
        project: ProjectName,
        user: UserName,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}
