//! Two boxes find each other, one of them behind a NAT: a service of the one reaches the other's, and goes on when the master and its registry
//! are gone.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use slapbox_qa::archive::Image;
use slapbox_qa::eventually::{eventually, minutes};
use slapbox_qa::lab::{Lab, scenario};
use slapbox_qa::machine::arguments::Hardware;
use slapbox_qa::master::Master;
use slapbox_qa::network::{Forward, HOST_SEEN_FROM_A_MACHINE, OVERLAY_PORT, free_udp_port};
use slapbox_qa::node::Node;
use slapbox_qa::operator::Wish;
use slapbox_qa::seed::Seed;
use slapbox_qa::story::act;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Makes a service that asks another one each second, and says at some port of the host whether it answered.
const WATCHER: &str = "#!/bin/sh
set -eu
value() { jq -r \".parameters.$1\" \"$SLAPOS_PARAMETERS\"; }
mkdir -p etc/service
cat > etc/service/watcher <<EOF
#!/bin/sh
while :; do
    if curl --silent --fail --max-time 3 --output /dev/null '$(value asks)'; then word=reached; else word=lost; fi
    curl --silent --max-time 3 --output /dev/null $(value tells)/\\$word || true
    sleep 1
done
EOF
chmod 755 etc/service/watcher
";

/// How long it is watched after the master has gone.
const WITHOUT_MASTER: Duration = Duration::from_secs(45);

/// What the watcher said, and when.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<VecDeque<(Instant, String)>>>);

impl Heard {
    /// Listens on a free port of the loopback, and returns it.
    async fn listen(&self) -> Result<u16> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("cannot listen")?;
        let port = listener.local_addr().context("no port")?.port();
        let heard = self.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 256];
                let length = stream.read(&mut request).await.unwrap_or_default();
                let line = String::from_utf8_lossy(&request[..length]).into_owned();
                let word = line.split_whitespace().nth(1).unwrap_or_default();
                heard.note(word.trim_start_matches('/'));
                let _ = stream.write_all(b"HTTP/1.0 204 No Content\r\n\r\n").await;
            }
        });
        Ok(port)
    }

    fn note(&self, word: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_back((Instant::now(), word.to_owned()));
    }

    /// Returns what was said since then.
    fn since(&self, then: Instant) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let later = all.iter().filter(|(when, _)| *when >= then);
        later.map(|(_, word)| word.clone()).collect()
    }
}

#[test]
fn two_boxes_reach_each_other_without_their_master() -> Result<()> {
    scenario("meshes", async |lab| {
        let master = lab.start_master_and_registry_on_host().await?;
        let mut hidden = lab
            .boot_node("hidden", Seed::joining(&master.token().await?))
            .await?;
        let from = free_udp_port()?;
        let hardware = Hardware {
            forwards: vec![Forward {
                protocol: "udp",
                from,
                to: OVERLAY_PORT,
            }],
            ..Hardware::small(9)
        };
        let seed = Seed::joining(&master.token().await?).reached_at(from);
        let mut open = lab.boot_node_of("open", hardware, seed).await?;
        for node in [&mut hidden, &mut open] {
            node.enrols_with(&master).await?;
            node.has_its_partitions(&master).await?;
        }
        hidden.shows("it is linked", &["Overlay", "1 link"]).await?;

        let demo = master.publish_demo().await?;
        let site = master.request("hello", &demo, &hidden, "Hello").await?;
        site.is_reported("started").await?;
        let heard = watches(lab, &master, &open, site.url().await?).await?;
        let begun = Instant::now();
        eventually("one box reaches the other's service", async || {
            let said = heard.since(begun);
            ensure!(said.iter().any(|word| word == "reached"), "{said:?}");
            Ok(())
        })
        .within(minutes(4))
        .await?;

        act("end the master and its registry");
        drop(master);
        let gone = Instant::now();
        tokio::time::sleep(WITHOUT_MASTER).await;
        let said = heard.since(gone);
        let reached = said.iter().filter(|word| *word == "reached").count();
        ensure!(reached >= 10, "it has hardly asked: {said:?}");
        ensure!(reached == said.len(), "it was lost: {said:?}");
        Ok(())
    })
}

/// Has a service of a box ask another one's, and returns what it says of that.
async fn watches(lab: &Lab, master: &Master, on: &Node, asked: String) -> Result<Heard> {
    let archive = lab.folder().join("watcher.oci.tar");
    Image::of(&lab.product().demo)?
        .with_programs(&[("slapos/instantiate", WATCHER)])?
        .write(&archive)?;
    let watcher = master.publish(&archive).await?;
    let (computer, operator) = (on.reference(master).await?, master.operator());
    operator.supply(&watcher.url, &computer).await?;
    let heard = Heard::default();
    let tells = format!(
        "http://{HOST_SEEN_FROM_A_MACHINE}:{}",
        heard.listen().await?
    );
    let parameters = [("asks", asked), ("tells", tells)];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value));
    let wish = Wish {
        state: "started",
        parameters: parameters.into(),
    };
    let asked = operator.request("watcher", &watcher.url, &computer, &wish);
    asked.await.map(|()| heard)
}
