//! What the master does by itself, now and then.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::master::Master;
use crate::store::StoreError;

/// How often contacts are written.
const CONTACTS_EVERY: Duration = Duration::from_secs(15);

/// Writes when computers were last heard of, and forgets what nobody waits for. Runs for ever.
pub async fn keep_contacts(master: Arc<Master>) {
    let mut ticks = tokio::time::interval(CONTACTS_EVERY);
    loop {
        ticks.tick().await;
        write_contacts(&master).await;
        master.store.generations().forget_unwatched();
    }
}

/// Writes when computers were last heard of.
pub async fn write_contacts(master: &Master) {
    let contacts = master.contacts.take();
    if contacts.is_empty() {
        return;
    }
    let written: Result<(), StoreError> = async {
        let mut writing = master.store.write("master", master.clock.now()).await?;
        writing.set_contacts(&contacts).await?;
        writing.commit().await
    }
    .await;
    if let Err(err) = written {
        tracing::error!(
            error = &err as &dyn Error,
            "cannot write when computers were last heard of"
        );
    }
}

/// Tells systemd that the master lives, as long as its database answers. Returns at once where nobody asks.
pub async fn keep_watchdog(master: Arc<Master>) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut ticks = tokio::time::interval(limit / 3);
    loop {
        ticks.tick().await;
        let answer = master.store.is_alive().await;
        if let Err(err) = &answer {
            tracing::error!(error = err as &dyn Error, "the database does not answer");
        }
        // A lost server comes back by itself; meanwhile the master says what is wrong, which one that starts for ever cannot.
        if answer.is_ok() || master.store.is_shared() {
            crate::notify(&[sd_notify::NotifyState::Watchdog]);
        }
    }
}
