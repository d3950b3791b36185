//! The command line: what can be asked for, and which module answers.

use std::process::ExitCode;

use anyhow::{Context, Result};
use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand};

use crate::guard::Guard;
use crate::profile::Profile;
use crate::releases::{self, Release};
use crate::workspace::Workspace;
use crate::{assemble, debian, host, package, progress, render, stamp, tools, verify};

#[derive(Debug, Parser)]
#[command(
    name = "cargo image",
    bin_name = "cargo image",
    about = "Builds the Slapbox image"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Builds an image and prints its path on the last line.
    Build(Build),
    /// Prints the configuration that mkosi is given.
    Config {
        #[arg(long, default_value = "vm")]
        profile: Profile,
    },
    /// Fetches mkosi and builds the tools tree; prints the tree's path on the last line.
    Tools {
        #[command(flatten)]
        source: Source,
        /// Prints how QEMU is started from the tree, one argument a line.
        #[arg(long)]
        print_qemu: bool,
        /// Prints how this program of the tree is started, one argument a line.
        #[arg(long, value_name = "PROGRAM", conflicts_with = "print_qemu")]
        print_tool: Option<String>,
    },
    /// Writes a configuration into the seed partition of an image or of a disk made from it.
    Stamp {
        /// The image file, or the device it was written to.
        image: Utf8PathBuf,
        /// The configuration document (TOML).
        #[arg(long, value_name = "FILE")]
        config: Utf8PathBuf,
    },
    /// Builds this checkout and another one of it at another path, and compares.
    Verify(Build),
    /// Builds the demonstration release, an OCI archive, and prints its path on the last line.
    Demo {
        #[command(flatten)]
        source: Source,
    },
    /// Builds the Debian package, by which a Debian of somebody's own becomes a node, and prints its path on the last line.
    Package {
        #[command(flatten)]
        source: Source,
    },
    /// Builds a stock Debian for tests, without anything of ours, and prints the path of its disk on the last line.
    Debian {
        #[command(flatten)]
        source: Source,
    },
    /// Builds the release that runs a virtual machine, an OCI archive, and prints its path on the last line.
    Kvm {
        #[command(flatten)]
        source: Source,
    },
    /// Builds the builder, an OCI archive in which nodes build software, and prints its path on the last line.
    Builder {
        #[command(flatten)]
        source: Source,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    #[arg(long, default_value = "vm")]
    pub(crate) profile: Profile,
    #[command(flatten)]
    pub(crate) source: Source,
    /// Fails, listing the difference, unless the packages are exactly those of this lock.
    #[arg(long, value_name = "FILE")]
    pub(crate) lock: Option<Utf8PathBuf>,
    /// Builds even though nothing changed.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Source {
    /// Where Debian packages come from [default: as this machine's own apt sources say].
    #[arg(long, value_name = "URL")]
    pub(crate) mirror: Option<String>,
}

/// Does what the command line says; errors are printed here and nowhere else.
pub(crate) fn run() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            progress::failed(&error);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    match command {
        Command::Build(build) => {
            let _guard = Guard::take(&workspace)?;
            let built = assemble::build(&workspace, &build)?;
            progress::answer(built.raw.as_str());
        }
        Command::Config { profile } => {
            progress::answer(render::shown(&workspace, profile)?.trim_end())
        }
        Command::Tools {
            source,
            print_qemu,
            print_tool,
        } => {
            let tree = match tools::cached(&workspace)? {
                Some(tree) => tree,
                None => {
                    let _guard = Guard::take(&workspace)?;
                    tools::ensure(&workspace, &source)?
                }
            };
            match print_tool {
                Some(program) => progress::answer(&tree.command(&program)?.join("\n")),
                None if print_qemu => progress::answer(&tree.qemu()?.join("\n")),
                None => progress::answer(tree.path().as_str()),
            }
        }
        Command::Stamp { image, config } => {
            let document =
                host::read(&config).with_context(|| format!("cannot stamp `{image}`"))?;
            stamp::stamp(&image, &document).with_context(|| format!("cannot stamp `{image}`"))?;
            progress::answer(&format!("`{config}` is in the seed partition of `{image}`"));
        }
        Command::Verify(build) => {
            let _guard = Guard::take(&workspace)?;
            return verify::verify(&workspace, &build);
        }
        Command::Demo { source } => {
            let _guard = Guard::take(&workspace)?;
            progress::answer(releases::build(&workspace, &source, Release::Demo)?.as_str());
        }
        Command::Package { source } => {
            let _guard = Guard::take(&workspace)?;
            progress::answer(package::build(&workspace, &source)?.as_str());
        }
        Command::Debian { source } => {
            let _guard = Guard::take(&workspace)?;
            progress::answer(debian::build(&workspace, &source)?.as_str());
        }
        Command::Kvm { source } => {
            let _guard = Guard::take(&workspace)?;
            progress::answer(releases::build(&workspace, &source, Release::Kvm)?.as_str());
        }
        Command::Builder { source } => {
            let _guard = Guard::take(&workspace)?;
            progress::answer(releases::build(&workspace, &source, Release::Builder)?.as_str());
        }
    }
    Ok(ExitCode::SUCCESS)
}
