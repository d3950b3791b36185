//! `slapbox service forward`: every connection to a port here becomes one to the service, through the master.

use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::{Context as _, Result};
use serde_json::json;
use slap::Title;
use slap::client::Client;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use crate::output;

/// Forwards until it is interrupted.
pub(super) async fn forward(
    client: Client,
    title: Title,
    listen: SocketAddr,
    port: u16,
    json: bool,
) -> Result<()> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener
        .local_addr()
        .context("cannot tell where we listen")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
    let mut terminated = signal(SignalKind::terminate()).context("cannot wait for the end")?;
    if json {
        output::print(&json!({ "listen": address }).to_string())?;
    } else {
        output::print(&format!("http://{address}/"))?;
    }
    let (client, title) = (Rc::new(client), Rc::new(title));
    let tasks = tokio::task::LocalSet::new();
    let accept = async {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::task::spawn_local(serve(
                        Rc::clone(&client),
                        Rc::clone(&title),
                        port,
                        stream,
                    ));
                }
                Err(error) => {
                    output::complain(&format!("slapbox: cannot accept a connection: {error}"));
                    // Most likely there are too many: the next may fare better once some have ended.
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                }
            }
        }
    };
    tokio::select! {
        () = tasks.run_until(accept) => {}
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    Ok(())
}

async fn serve(client: Rc<Client>, title: Rc<Title>, port: u16, mut here: TcpStream) {
    match client.forward(&title, port).await {
        // How either side ends a connection is its own affair.
        Ok(mut there) => drop(tokio::io::copy_bidirectional(&mut here, &mut there).await),
        Err(error) => output::complain(&format!(
            "slapbox: cannot forward: {:#}",
            anyhow::Error::new(error)
        )),
    }
}
