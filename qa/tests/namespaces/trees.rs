//! An image requests other instances in its own name, and they request others in turn: each gets what the next one publishes, and all
//! goes when the first one goes. With the original's small master, and with ours.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use slap::{RequestedState, SupplyState};
use slapbox_qa::archive::Image;
use slapbox_qa::cell::Cell;
use slapbox_qa::eventually::{eventually, minutes};
use slapbox_qa::open_master::{OpenMaster, Wish};
use slapbox_qa::product::Product;
use slapbox_qa::shelf::Shelf;
use slapbox_qa::slapproxy::{COMPUTER, Slapproxy, document};
use slapbox_qa::story::act;

use crate::in_a_box::in_a_box;

const DEMO: &str = include_str!("../../../image/demo/mkosi.extra/slapos/instantiate");
const REQUESTS: &str = include_str!("trees/requests.sh");
const RELEASE: &str = "tree.oci.tar";
const PARTITIONS: u16 = 10;
/// Who requests whom.
const TITLES: [&str; 3] = ["root", "branch", "leaf"];

/// Who is asked for the tree.
enum Master<'a> {
    Original(Slapproxy<'a>),
    Ours(OpenMaster<'a>),
}

#[tokio::test]
async fn an_image_requests_others_of_slapproxy() -> Result<()> {
    in_a_box(
        "tree-slapproxy",
        &document(10, ""),
        async |cell, product, python, folder| {
            let _shelf = lay_out(cell, product, &python, folder).await?;
            let proxy = Slapproxy::start(cell, &python, folder).await?;
            play(cell, &Master::Original(proxy)).await
        },
    )
    .await
}

#[tokio::test]
async fn an_image_requests_others_of_our_master() -> Result<()> {
    in_a_box(
        "tree-master",
        &document(10, ""),
        async |cell, product, python, folder| {
            let _shelf = lay_out(cell, product, &python, folder).await?;
            let master = OpenMaster::start(cell, folder).await?;
            master.knows_partitions(PARTITIONS).await?;
            play(cell, &Master::Ours(master)).await
        },
    )
    .await
}

async fn lay_out(
    cell: &Cell,
    product: &Product,
    python: &Utf8PathBuf,
    folder: &Utf8Path,
) -> Result<Shelf> {
    let things = folder.join("shelf");
    std::fs::create_dir(&things)?;
    Image::of(&product.demo)?
        .with_programs(&[("slapos/instantiate", &format!("{DEMO}{REQUESTS}"))])?
        .write(&things.join(RELEASE))?;
    Shelf::open(cell, python, &things, &folder.join("shelf.log")).await
}

async fn play(cell: &Cell, master: &Master<'_>) -> Result<()> {
    master.supply().await?;
    let parameters = [("greeting", "the root"), ("children", "branch leaf")];
    let wish = Wish::started("root", &Shelf::address(RELEASE), &parameters);
    act("request an instance that requests another, that requests another");
    let connection = master.publishes(cell, &wish, "child", &place(1)).await?;
    ensure!(connection["url"] == place(0), "{connection:?}");
    is_as_wanted(cell, 3).await?;
    eventually("each is told of the next one", async || each_is_told(cell))
        .within(minutes(1))
        .await?;
    act("destroy it: all that it requested goes with it");
    let end = wish.that_is(RequestedState::Destroyed);
    master.request(&end).await?;
    is_as_wanted(cell, 0).await?;
    for number in 0..TITLES.len() {
        let directory = format!("/srv/slapgrid/slappart{number}");
        cell.holds_only(&directory, &[".slapos-resource"])?;
    }
    Ok(())
}

/// Refuses unless each instance knows where the next one is, and what its own share was given.
fn each_is_told(cell: &Cell) -> Result<()> {
    for (number, title) in TITLES.iter().enumerate() {
        let file = format!("/srv/slapgrid/slappart{number}/.slapgrid/parameters.json");
        let told: serde_json::Value = serde_json::from_str(&cell.text(&file)?)?;
        ensure!(
            told["instance_title"] == *title && told["root_instance_title"] == "root",
            "{told}"
        );
        let Some(next) = TITLES.get(number + 1) else {
            continue;
        };
        let next = &told["requested"][next];
        let knows = next["ready"] == true
            && next["state"] == "started"
            && next["partition"] == format!("slappart{}", number + 1)
            && next["connection"]["url"] == place(number + 1);
        ensure!(knows, "{title} is told {told}");
        let share = &told["requested"][format!("share of {title}")]["connection"]["url"];
        let page = format!("page-of-{title}");
        let shares = share.as_str().is_some_and(|it| it.ends_with(&page));
        ensure!(shares, "{title} shares what it is told {told}");
    }
    Ok(())
}

/// Where the instance in a partition serves.
fn place(number: usize) -> String {
    format!("http://[fd12:3456:789a:1::{:x}]:8080/", number + 2)
}

/// Waits until so many instances are there, each as its master wants it.
async fn is_as_wanted(cell: &Cell, instances: usize) -> Result<()> {
    eventually(
        format!("{instances} instances are as they are wanted"),
        async || {
            cell.looks_again()?;
            let status: serde_json::Value =
                serde_json::from_str(&cell.text("/run/slapbox/status.json")?)?;
            let (failures, used) = (&status["failures"], &status["partitions"]["used"]);
            let started = &status["instances"]["started"];
            ensure!(
                failures.as_array().is_some_and(Vec::is_empty)
                    && *used == instances
                    && *started == instances,
                "{failures}, {used} used, {started} started"
            );
            Ok(())
        },
    )
    .within(minutes(4))
    .await
}

impl Master<'_> {
    async fn supply(&self) -> Result<()> {
        let release = Shelf::address(RELEASE);
        match self {
            Self::Original(proxy) => proxy.slapos(&["supply", &release, COMPUTER]).map(drop),
            Self::Ours(master) => master.supply(&release, SupplyState::Available).await,
        }
    }

    /// Requests an instance; returns what it publishes.
    async fn request(&self, wish: &Wish) -> Result<BTreeMap<String, String>> {
        match self {
            Self::Ours(master) => Ok(master.request(wish).await?.connection),
            Self::Original(proxy) => {
                let mut words = vec![
                    "request",
                    &wish.title,
                    &wish.release,
                    "--state",
                    wish.state.as_str(),
                ];
                let parameters = wish.parameters.iter();
                let parameters: Vec<_> = parameters
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                words.push("--parameters");
                words.extend(parameters.iter().map(String::as_str));
                let said = proxy.slapos(&words)?;
                Ok(pairs(&said))
            }
        }
    }

    /// Requests an instance until it publishes something.
    async fn publishes(
        &self,
        cell: &Cell,
        wish: &Wish,
        name: &str,
        wanted: &str,
    ) -> Result<BTreeMap<String, String>> {
        self.request(wish).await?;
        eventually(format!("{} publishes {name}", wish.title), async || {
            cell.looks_again()?;
            let connection = self.request(wish).await?;
            let found = connection.get(name).context("nothing yet")?;
            ensure!(found == wanted, "it publishes {found}");
            Ok(connection)
        })
        .within(minutes(4))
        .await
    }
}

/// The texts in what Python prints of a dictionary.
fn pairs(printed: &str) -> BTreeMap<String, String> {
    let texts: Vec<_> = printed.split('\'').collect();
    let between = texts.windows(3).filter(|it| it[1] == ": ");
    between
        .map(|it| (it[0].to_owned(), it[2].to_owned()))
        .collect()
}
