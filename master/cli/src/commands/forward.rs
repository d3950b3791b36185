//! `slapbox service forward`: every connection to a port here becomes one to the service, through the master.

use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::{Context as _, Result};
use serde_json::json;
use slap::Title;
use slap::client::{Client, Forwarded};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use crate::output;

/// Where services are that do not say where.
const USUAL_PORT: u16 = 8080;

/// Forwards until it is interrupted.
pub(super) async fn forward(
    client: Client,
    title: Title,
    listen: SocketAddr,
    port: Option<u16>,
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

async fn serve(client: Rc<Client>, title: Rc<Title>, port: Option<u16>, mut here: TcpStream) {
    match open(&client, &title, port).await {
        // How either side ends a connection is its own affair.
        Ok(mut there) => drop(tokio::io::copy_bidirectional(&mut here, &mut there).await),
        Err(error) => output::complain(&format!("slapbox: cannot forward: {error:#}")),
    }
}

/// Opens a connection to the service, where it says that it is at this moment.
async fn open(client: &Client, title: &Title, port: Option<u16>) -> Result<Forwarded> {
    let port = match port {
        Some(port) => port,
        None => {
            let service = client.service(title).await?;
            let url = service.connection.get("url");
            url.and_then(|url| port_of(url)).unwrap_or(USUAL_PORT)
        }
    };
    Ok(client.forward(title, port).await?)
}

/// Reads the port out of a URL.
fn port_of(url: &str) -> Option<u16> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    // Colons in brackets are an address's.
    let after_host = authority
        .rsplit_once(']')
        .map_or(authority, |(_, after)| after);
    match (after_host.rsplit_once(':'), scheme) {
        (Some((_, port)), _) => port.parse().ok(),
        (None, "http") => Some(80),
        (None, "https") => Some(443),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_the_port_that_it_names_or_its_schemes() {
        for (url, port) in [
            ("http://[fd00::2]:8080/", Some(8080)),
            ("http://[fd00::2]/a:1", Some(80)),
            ("https://site.example", Some(443)),
            ("https://site.example:8443?a", Some(8443)),
            ("redis://[fd00::2]:6379", Some(6379)),
            ("redis://[fd00::2]", None),
            ("[fd00::2]:80", None),
            ("http://site.example:http/", None),
        ] {
            assert_eq!(port_of(url), port, "{url}");
        }
    }
}
