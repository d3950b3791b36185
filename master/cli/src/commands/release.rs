//! `slapbox release …`

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;
use slap::client::Client;
use slap::v1::{Release, ReleaseName};

use crate::arguments::ReleaseCommand;
use crate::{output, tables};

pub(super) async fn run(client: &Client, command: ReleaseCommand, now: i64) -> Result<()> {
    match command {
        ReleaseCommand::Publish { file, name, json } => {
            let release = publish(client, &file, name).await?;
            if json {
                output::print_json(&release)
            } else {
                output::print(&release.url)
            }
        }
        ReleaseCommand::List { json } => {
            let releases = client.releases().await.context("cannot list releases")?;
            if json {
                output::print_json(&releases.releases)
            } else {
                output::print(&tables::releases(&releases, now))
            }
        }
    }
}

async fn publish(client: &Client, path: &Utf8Path, name: Option<ReleaseName>) -> Result<Release> {
    let name = match name {
        Some(name) => name,
        None => path
            .file_name()
            .unwrap_or_default()
            .parse()
            .context("`--name` can give another")?,
    };
    let file = tokio::fs::File::open(path)
        .await
        .with_context(|| format!("cannot open `{path}`"))?;
    let metadata = file
        .metadata()
        .await
        .with_context(|| format!("cannot read `{path}`"))?;
    if !metadata.is_file() {
        bail!("`{path}` is no file");
    }
    client
        .publish_release(&name, metadata.len(), file)
        .await
        .with_context(|| format!("cannot publish `{path}`"))
}
