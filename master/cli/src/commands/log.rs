//! `slapbox log`: who did what when, as the master keeps it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use slap::client::Client;
use slap::v1::{LOG_MOST, LogEntry, LogQuery};

use crate::arguments::Log;
use crate::{output, tables};

/// How often what is new is asked for.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn run(client: &Client, asked: Log, now: i64) -> Result<()> {
    let since = asked
        .since
        .map(|it| now.saturating_sub_unsigned(it.as_secs()));
    let entries = first(client, since, asked.limit).await?;
    if !asked.follow {
        return if asked.json {
            output::print_json(&entries)
        } else {
            output::print(&tables::log(&entries))
        };
    }
    let mut last = entries.last().map_or(0, |it| it.number);
    show(&entries, asked.json)?;
    loop {
        tokio::time::sleep(PAUSE).await;
        let more = page(client, Some(last), None, LOG_MOST).await?;
        last = more.last().map_or(last, |it| it.number);
        show(&more, asked.json)?;
    }
}

/// Reads as many as were asked for, in as many answers as that takes.
async fn first(client: &Client, since: Option<i64>, limit: u32) -> Result<Vec<LogEntry>> {
    let mut entries = page(client, None, since, limit.min(LOG_MOST)).await?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    while since.is_some() && entries.len() < wanted {
        let after = entries.last().map(|it| it.number);
        let left = u32::try_from(wanted - entries.len()).unwrap_or(LOG_MOST);
        let more = match after {
            Some(_) => page(client, after, since, left.min(LOG_MOST)).await?,
            None => break,
        };
        if more.is_empty() {
            break;
        }
        entries.extend(more);
    }
    Ok(entries)
}

async fn page(
    client: &Client,
    after: Option<i64>,
    since: Option<i64>,
    limit: u32,
) -> Result<Vec<LogEntry>> {
    let query = LogQuery {
        after,
        since,
        limit: Some(limit),
    };
    let log = client.log(&query).await.context("cannot read the log")?;
    Ok(log.entries)
}

fn show(entries: &[LogEntry], json: bool) -> Result<()> {
    for entry in entries {
        if json {
            output::print(&serde_json::to_string(entry).context("cannot make JSON of an entry")?)?;
        } else {
            output::print(&tables::log_line(entry))?;
        }
    }
    Ok(())
}
