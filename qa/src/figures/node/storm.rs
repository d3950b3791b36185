//! A service that is asked at a steady pace while all other partitions are changed at once. Namespaces of this machine may have no
//! controller of the processor: then it is nice levels that keep the service's latency, and not the weights of slices. So here it is only
//! watched; what it may be is said in a machine (`cargo qa bench storm`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::PARTITIONS;
use super::stage::Stage;
use crate::figures::Figure;
use crate::figures::storm::compared;
use crate::load::{Tally, Target, get, pace};
use crate::story::act;

/// Calls a second.
const PACE: u32 = 300;
const CALM: Duration = Duration::from_secs(15);

pub(super) async fn measure(stage: &Stage<'_>, release: &str) -> Result<Vec<Figure>> {
    stage.is_calm().await?;
    let address = served(stage).await?;
    act("ask a service while nothing happens");
    let calm = loaded(stage, address, async || {
        tokio::time::sleep(CALM).await;
        Ok(())
    })
    .await?;
    act("ask a service while all others are changed");
    let storm = loaded(stage, address, async || {
        stage
            .process(1..PARTITIONS, release, "storm")
            .await
            .map(drop)
    })
    .await?;
    Ok(compared(&calm, &storm, None))
}

/// Loads the service while something is done.
async fn loaded(
    stage: &Stage<'_>,
    address: SocketAddr,
    meanwhile: impl AsyncFnOnce() -> Result<()>,
) -> Result<Tally> {
    let end = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&end);
    let load = async move || pace(&Target::plain(address), &get("/", ""), PACE, &told).await;
    let load = stage.cell.namespace().in_its_network(load);
    let meanwhile = async {
        let done = meanwhile().await;
        end.store(true, Ordering::Relaxed);
        done
    };
    let (tally, done) = tokio::join!(load, meanwhile);
    done?;
    tally
}

/// Where the first instance serves.
async fn served(stage: &Stage<'_>) -> Result<SocketAddr> {
    let computer = stage.master.computer().await?;
    let first = computer.partitions.first();
    let occupant = first.and_then(|it| it.occupant.as_ref());
    let url = occupant.and_then(|it| it.connection.get("url"));
    let address = url.and_then(|it| {
        it.strip_prefix("http://")?
            .trim_end_matches('/')
            .parse()
            .ok()
    });
    address.context("the first instance publishes no URL")
}
