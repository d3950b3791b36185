//! A storm in a machine: one service is asked at a steady pace while all 199 other partitions of its node are changed at once. The machine's
//! kernel is the product's own, where systemd's weights hold, which namespaces of this machine may lack; the master is a process of the
//! host, so that the node has the processors. Where those are emulated, everything is some ten times as slow, in calm and in storm.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::archive::Image;
use crate::eventually::{eventually, minutes};
use crate::figures::{Figure, in_a_lab};
use crate::lab::Lab;
use crate::load::{Tally, Target, get, number, pace};
use crate::machine::arguments::Hardware;
use crate::master::Master;
use crate::network::{Forward, free_tcp_port};
use crate::node::Node;
use crate::operator::Wish;
use crate::product::Product;
use crate::seed::Seed;
use crate::story::act;

/// How much slower the slowest of a hundred calls may be.
const GOAL: f64 = 2.0;
const PARTITIONS: u16 = 200;
/// Calls a second.
const PACE: u32 = 25;
const CALM: Duration = Duration::from_secs(40);
/// 200 web servers beside the node.
const MEMORY: u32 = 3072;
/// Where the first instance listens beside its own address: a machine's ports lead to the address of its card.
const PORT: u16 = 8099;

/// What makes an instance of the demonstration release, which may listen at one more port, and says that it has heard its greeting.
const DEMO: &str = include_str!("../../../image/demo/mkosi.extra/slapos/instantiate");
const MORE: &str = r#"
port=$(value .parameters.port)
[ -z "$port" ] || sed -i "s/^    server {/&\n        listen [::]:$port ipv6only=off;/" etc/nginx.conf
printf '{"url": "%s", "heard": "%s"}\n' "$url" "$(value .parameters.greeting)" > "$SLAPOS_CONNECTION"
"#;

/// Processors of the host that a calm box, emulated, stays below: it looks at promises.
const CALM_LOAD: f64 = 0.7;

pub(super) async fn measure(product: Product) -> Result<Vec<Figure>> {
    in_a_lab("bench-storm", product, play).await
}

/// What a service's times in a storm are of those in calm; at most so much, where something holds it to that.
pub(super) fn compared(calm: &Tally, storm: &Tally, goal: Option<f64>) -> Vec<Figure> {
    let (before, during) = (calm.within(99), storm.within(99));
    let failed = number(calm.errors + storm.errors);
    let (times, name) = (during / before, "storm: times calm");
    vec![
        Figure::watched("storm: a service's p99 in calm", before, "ms"),
        Figure::watched("storm: its p99 while 199 are changed", during, "ms"),
        match goal {
            Some(goal) => Figure::at_most(goal, name, times, ""),
            None => Figure::watched(name, times, ""),
        },
        Figure::watched(
            "storm: p50, times calm",
            storm.within(50) / calm.within(50),
            "",
        ),
        Figure::at_most(0.0, "storm: calls that failed", failed, ""),
    ]
}

async fn play(lab: &mut Lab) -> Result<Vec<Figure>> {
    let master = lab.start_master_and_registry_on_host().await?;
    let archive = lab.folder().join("storm.oci.tar");
    let script = format!("{DEMO}{MORE}");
    Image::of(&lab.product().demo)?
        .with_programs(&[("slapos/instantiate", &script)])?
        .write(&archive)?;
    let release = master.publish(&archive).await?.url;
    let from = free_tcp_port()?;
    let hardware = Hardware {
        memory: MEMORY,
        forwards: vec![Forward {
            protocol: "tcp",
            from,
            to: PORT,
        }],
        ..Hardware::small(2)
    };
    let seed = Seed::joining(&master.token().await?);
    let mut node = lab.boot_node_of("node-1", hardware, seed).await?;
    node.enrols_with(&master).await?;
    node.has_its_partitions(&master).await?;
    let computer = node.reference(&master).await?;
    master.operator().supply(&release, &computer).await?;
    let mut town = Town {
        master,
        node,
        computer,
        release,
    };
    town.says(0..PARTITIONS, "calm").await?;
    town.is_calm().await?;

    let target = Target::plain(SocketAddr::from((Ipv4Addr::LOCALHOST, from)));
    act("ask a service while nothing happens");
    let calm = loaded(&target, async || {
        tokio::time::sleep(CALM).await;
        Ok(())
    })
    .await?;
    act("ask a service while all others are changed");
    let storm = loaded(&target, async || town.says(1..PARTITIONS, "storm").await).await?;
    Ok(compared(&calm, &storm, Some(GOAL)))
}

/// Loads the service while something is done.
async fn loaded(target: &Target, meanwhile: impl AsyncFnOnce() -> Result<()>) -> Result<Tally> {
    let end = Arc::new(AtomicBool::new(false));
    let (call, told) = (get("/", ""), Arc::clone(&end));
    let load = pace(target, &call, PACE, &told);
    let meanwhile = async {
        let done = meanwhile().await;
        end.store(true, Ordering::Relaxed);
        done
    };
    let (tally, done) = tokio::join!(load, meanwhile);
    done?;
    tally
}

/// A node with its master, and all its instances.
struct Town {
    master: Master,
    node: Node,
    computer: String,
    release: String,
}

impl Town {
    /// Wants these instances to say something, and waits until each has published that it does.
    async fn says(&mut self, numbers: Range<u16>, greeting: &str) -> Result<()> {
        act(format_args!("{} instances say {greeting}", numbers.len()));
        let count = numbers.len();
        // Whoever asks the master here takes no processor from who is measured.
        let operator = self.master.operator().clone().yielding();
        for number in numbers {
            let mut parameters = BTreeMap::from([("greeting".to_owned(), greeting.to_owned())]);
            if number == 0 {
                parameters.insert("port".to_owned(), PORT.to_string());
            }
            let wish = Wish {
                state: "started",
                parameters,
            };
            let title = format!("site {number}");
            operator
                .request(&title, &self.release, &self.computer, &wish)
                .await?;
        }
        eventually("all have heard it", async || {
            self.node.machine().must_run()?;
            let services = operator.services().await?;
            let heard = services.iter();
            let heard = heard.filter(|service| service["connection"]["heard"] == greeting);
            let heard = heard.count();
            ensure!(heard == count, "{heard} of {count} have");
            Ok(())
        })
        .within(minutes(40))
        .await
    }

    /// Waits until the node has nothing to do but to look at promises.
    async fn is_calm(&mut self) -> Result<()> {
        eventually("the node is calm", async || {
            let load = self.node.machine().load().await?;
            ensure!(load < CALM_LOAD, "it uses {load:.1} processors");
            Ok(())
        })
        .within(minutes(10))
        .await
    }
}
