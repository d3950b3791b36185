//! A virtual machine is an instance like any other: made of an image that is verified, on its partition's tap, with its address; stopped by
//! its power button; gone without a trace.

use anyhow::{Context as _, Result, ensure};
use slap::RequestedState;
use slapbox_qa::eventually::{eventually, minutes, seconds};
use slapbox_qa::guest::Guest;
use slapbox_qa::open_master::Wish;
use slapbox_qa::peer::Peer;
use slapbox_qa::product;
use slapbox_qa::shelf::Shelf;

use super::stage::{Scene, Stage, play};

const PARTITION: &str = "slappart1";
/// The first address behind the second partition's tap.
const ADDRESS: &str = "fd12:3456:789a:1:8002::1";
const FETCH: &str =
    "import sys, urllib.request as it; print(it.urlopen(sys.argv[1], timeout=5).read().decode())";
const BUTTON: &str = "guest: the power button was pressed";

#[tokio::test]
async fn a_virtual_machine_is_an_instance_like_any_other() -> Result<()> {
    let scene = Scene {
        name: "guests",
        disk: None,
        builds: false,
    };
    let kvm = product::target()?.join("image/kvm/kvm.oci.tar");
    if !kvm.exists() {
        return product::skip(scene.name, "`cargo image kvm` makes the release");
    }
    play(scene, async |stage| {
        std::os::unix::fs::symlink(&kvm, stage.things.join("kvm.oci.tar"))?;
        let folder = stage.things.with_file_name("guest");
        let image = stage.things.join("guest.raw");
        let guest = Guest::make(stage.product, stage.cell, &folder, &image)?;
        stage.has_release("kvm.oci.tar").await?;
        stage.refuses_what_is_not_the_image(&guest).await?;
        stage.refuses_what_cannot_be(&guest).await?;
        stage.leaves_the_beginning_of_something_else(&guest)?;
        stage.boots(&guest, 1).await?;
        stage.guest_stops(&guest).await?;
        // What it wrote is there again.
        stage.boots(&guest, 2).await?;
        stage.guest_goes(&guest).await
    })
    .await
}

fn wish(sha256: &str, more: &[(&str, &str)]) -> Wish {
    let url = Shelf::address("guest.raw");
    let own = [
        ("url", url.as_str()),
        ("sha256", sha256),
        ("memory", "256"),
        ("disk_size", "1"),
        ("firmware", "uefi"),
        ("hostname", "small"),
        ("user_data", "#cloud-config\n# said to the guest"),
        ("port", "80"),
    ];
    Wish::started(
        "guest",
        &Shelf::address("kvm.oci.tar"),
        &[&own, more].concat(),
    )
}

impl Stage<'_> {
    async fn wishes(&self, wish: &Wish) -> Result<()> {
        let instance = self.master.request(wish).await?;
        ensure!(instance.partition.to_string() == PARTITION, "elsewhere");
        self.cell.looks_again()
    }

    async fn refuses_what_is_not_the_image(&self, guest: &Guest) -> Result<()> {
        self.wishes(&wish(&"0".repeat(64), &[])).await?;
        let words = format!(
            "is not the one that is wanted: its SHA-256 is {}",
            guest.sha256
        );
        self.hears_of_partition(PARTITION, &words).await?;
        self.cell
            .holds_only(&format!("/srv/slapgrid/{PARTITION}/srv"), &[])
    }

    async fn refuses_what_cannot_be(&self, guest: &Guest) -> Result<()> {
        for (name, value, words) in [
            ("memory", "much", "`memory` must be a whole number above 0"),
            (
                "firmware",
                "coreboot",
                "`firmware` must be one of bios uefi",
            ),
            ("url", "ftp://x", "`url` must say where the disk"),
            ("sha256", "abc", "`sha256` must be 64 hexadecimal digits"),
        ] {
            self.wishes(&wish(&guest.sha256, &[(name, value)])).await?;
            self.hears_of_partition(PARTITION, words).await?;
        }
        Ok(())
    }

    /// What was fetched before is not believed.
    fn leaves_the_beginning_of_something_else(&self, guest: &Guest) -> Result<()> {
        let part = format!("/srv/slapgrid/{PARTITION}/srv/part-{}", guest.sha256);
        let leave =
            format!("head -c 1000000 /dev/zero > {part} && chown slapuser1:slapuser1 {part}");
        self.shell(&leave).map(drop)
    }

    async fn boots(&self, guest: &Guest, boots: usize) -> Result<()> {
        self.wishes(&wish(&guest.sha256, &[])).await?;
        eventually("the guest says who it is", async || {
            let page = self.fetch_of_guest("meta-data")?;
            ensure!(page.contains("local-hostname: small"), "it says {page}");
            Ok(())
        })
        .within(minutes(4))
        .await?;
        ensure!(
            self.fetch_of_guest("user-data")?
                .contains("said to the guest"),
            "it was not told"
        );
        let counted = self.fetch_of_guest("boots")?.matches("booted").count();
        ensure!(counted == boots, "it has booted {counted} times");
        self.is_as_wanted().await?;
        let computer = self.master.computer().await?;
        let occupants = computer
            .partitions
            .iter()
            .filter_map(|it| it.occupant.as_ref());
        let connection = occupants
            .map(|it| &it.connection)
            .find(|it| it.contains_key("accelerator"));
        let connection = connection.context("it publishes nothing")?;
        let told = |name: &str| connection.get(name).map(String::as_str).unwrap_or_default();
        ensure!(told("ipv6") == ADDRESS, "{connection:?}");
        ensure!(
            ["kvm", "tcg"].contains(&told("accelerator")),
            "{connection:?}"
        );
        for socket in ["console", "monitor"] {
            self.shell(&format!("test -S {}", told(socket)))?;
        }
        self.is_spoken_with()?;
        // What makes it again leaves it alone while nothing is another thing.
        self.shell("slapbox node bang --message again")?;
        self.is_as_wanted().await?;
        let counted = self.fetch_of_guest("boots")?.matches("booted").count();
        ensure!(counted == boots, "it was started again");
        Ok(())
    }

    /// As root does it, who leaves with Ctrl-].
    fn is_spoken_with(&self) -> Result<()> {
        let speak = "{ echo hello; sleep 3; printf '\\035'; } | slapbox node console slappart1";
        let said = self.shell(speak)?;
        ensure!(said.contains("guest: heard hello"), "it says {said:?}");
        Ok(())
    }

    async fn guest_stops(&self, guest: &Guest) -> Result<()> {
        let stopped = wish(&guest.sha256, &[]).that_is(RequestedState::Stopped);
        self.wishes(&stopped).await?;
        self.is_as_wanted().await?;
        ensure!(
            self.fetch_of_guest("boots").is_err(),
            "what is stopped answers"
        );
        let journal =
            self.shell("journalctl --no-pager --output=cat --unit=slappart1-vm.service")?;
        ensure!(
            journal.contains(BUTTON) && !journal.contains("SIGKILL"),
            "it was not told to go: {journal}"
        );
        Ok(())
    }

    async fn guest_goes(&self, guest: &Guest) -> Result<()> {
        let destroyed = wish(&guest.sha256, &[]).that_is(RequestedState::Destroyed);
        self.wishes(&destroyed).await?;
        eventually("nothing of it is left", async || {
            let folder = format!("/srv/slapgrid/{PARTITION}");
            self.cell.holds_only(&folder, &[".slapos-resource"])?;
            let units = "systemctl list-units --all --plain --no-legend 'slappart1-*'";
            let units = self.shell(units)?;
            ensure!(units.is_empty(), "{units}");
            Ok(())
        })
        .within(seconds(60))
        .await
    }

    /// Asks the guest from the node.
    fn fetch_of_guest(&self, path: &str) -> Result<String> {
        let python = Peer::told_python()?;
        let mut command = self.cell.namespace().command_beside(python.as_str())?;
        let url = format!("http://[{ADDRESS}]/{path}");
        let answer = command.args(["-c", FETCH, &url]).output()?;
        let complaint = String::from_utf8_lossy(&answer.stderr);
        let last = complaint.lines().last().unwrap_or_default();
        ensure!(answer.status.success(), "{last}");
        Ok(String::from_utf8_lossy(&answer.stdout).into_owned())
    }
}
