//! One function a command. Each makes its calls and hands the answer to `output`.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::CommandFactory as _;
use clap_complete::Shell;
use slap::client::Client;

use crate::arguments::{Arguments, Command};
use crate::home::Home;
use crate::login::login;
use crate::output;
use crate::renewal::renew_if_due;

mod computer;
mod forward;
mod log;
pub(crate) mod net;
pub(crate) mod node;
mod project;
mod release;
mod request;
mod revoke;
mod service;
mod supply;
mod token;
mod user;

/// Runs what was typed.
pub(crate) async fn run(arguments: Arguments, now: SystemTime) -> Result<()> {
    if let Command::Complete { shell, name } = arguments.command {
        return complete(shell, &name);
    }
    if let Command::Node(node) = arguments.command {
        return node::run(node, arguments.proxy.as_deref()).await;
    }
    if let Command::Net(net) = arguments.command {
        return net::run(net, now).await;
    }
    let home = Home::choose(arguments.home, |name| std::env::var(name).ok())?;
    let proxy = arguments.proxy.as_deref();
    if let Command::Login {
        join,
        replace,
        json,
    } = &arguments.command
    {
        return login(&home, join, *replace, *json, proxy).await;
    }
    let client = client(&home, proxy, now).await?;
    let now = seconds(now);
    match arguments.command {
        Command::Login { .. } | Command::Complete { .. } | Command::Node(_) | Command::Net(_) => {
            Ok(())
        }
        Command::Token(command) => token::run(&client, command, now).await,
        Command::User(command) => user::run(&client, command).await,
        Command::Project(command) => project::run(&client, command).await,
        Command::Approve(decision) => computer::approve(&client, decision).await,
        Command::Revoke { who, json } => revoke::run(&client, &who, json).await,
        Command::Computer(command) => computer::run(&client, command, now).await,
        Command::Supply(what) => supply::supply(&client, what).await,
        Command::Remove(what) => supply::remove(&client, what).await,
        Command::Request(request) => request::run(&client, request).await,
        Command::Service(command) => service::run(client, command).await,
        Command::Release(command) => release::run(&client, command, now).await,
        Command::Log(asked) => log::run(&client, asked, now).await,
    }
}

fn complete(shell: Shell, name: &str) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), name, &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

async fn client(home: &Home, proxy: Option<&str>, now: SystemTime) -> Result<Client> {
    let login = home.login()?;
    let client = login.client(proxy)?;
    match renew_if_due(home, login.clone(), &client, now).await {
        Ok(renewed) if renewed != login => renewed.client(proxy),
        Ok(_) => Ok(client),
        Err(error) => {
            output::complain(&format!("slapbox: the login cannot be renewed: {error:#}"));
            Ok(client)
        }
    }
}

fn seconds(time: SystemTime) -> i64 {
    let since = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    i64::try_from(since).unwrap_or(i64::MAX)
}
