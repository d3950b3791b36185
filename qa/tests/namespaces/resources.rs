//! What a node gives its partitions beside a folder and addresses: folders on other disks, block devices and redirected ports. Each once,
//! only while its disk is there, and nothing of it is left; what cannot be given is said in words at the master and on the box.

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use slap::{RequestedState, SupplyState};
use slapbox_qa::archive::Image;
use slapbox_qa::cell::Cell;
use slapbox_qa::eventually::{eventually, minutes, seconds};
use slapbox_qa::files::empty_folder;
use slapbox_qa::loop_device::LoopDevice;
use slapbox_qa::open_master::{OpenMaster, Wish};
use slapbox_qa::shelf::Shelf;
use slapbox_qa::slapproxy::document;
use slapbox_qa::stock::{self, StartsAs};

use crate::in_a_box::in_a_box;

mod firewall;

const INSTANTIATE: &str = include_str!("resources/instantiate");
/// The demo's own, which ours begins with.
const WEB: &str = include_str!("../../../image/demo/mkosi.extra/slapos/instantiate");
const FETCH: &str = "import sys, urllib.request as it; it.urlopen(sys.argv[1], timeout=5).read()";
/// Serves at the first address, and asks at the other one.
const ECHO: &str = "import socket, sys, threading
here = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
here.bind((sys.argv[1], 5353))
here.settimeout(5)
def answer():
    asked, who = here.recvfrom(99)
    here.sendto(asked[::-1], who)
threading.Thread(target=answer).start()
there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
there.settimeout(5)
there.sendto(b'live', (sys.argv[2], 53))
assert there.recv(99) == b'evil'";
const HOME: &str = "/mnt/disk1";
const RESOURCES: &str = "[storage]
homes = [\"/mnt/disk1\"]
devices = [\"/dev/disk/by-id/qa-one\", \"/dev/disk/by-id/qa-two\", \"/dev/disk/by-id/qa-mounted\"]
[ipv4]
network = \"203.0.113.0/29\"
interface = \"outside\"
";

/// A box with who asks it, and what it fetches from.
struct Stage<'a> {
    cell: &'a Cell,
    master: OpenMaster<'a>,
    python: &'a Utf8Path,
    release: String,
    stock: String,
}

#[tokio::test]
async fn a_partition_has_what_its_node_may_give() -> Result<()> {
    let document = document(4, RESOURCES);
    in_a_box(
        "resources",
        &document,
        async |cell, product, python, folder| {
            let things = folder.join("shelf");
            empty_folder(&things)?;
            Image::of(&product.demo)?
                .with_programs(&[("slapos/instantiate", INSTANTIATE), ("slapos/web", WEB)])?
                .write(&things.join("user.oci.tar"))?;
            stock::make(&product.demo, &things.join("stock.oci.tar"), StartsAs::Root)?;
            let disks =
                ["one", "two", "mounted"].map(|name| LoopDevice::over(&folder.join(name), 2));
            let [one, two, mounted] = disks;
            let disks = [one?, two?, mounted?];
            let _shelf = Shelf::open(cell, &python, &things, &folder.join("shelf.log")).await?;
            play(cell, &python, folder, &disks).await
        },
    )
    .await
}

async fn play(
    cell: &Cell,
    python: &Utf8Path,
    folder: &Utf8Path,
    disks: &[LoopDevice; 3],
) -> Result<()> {
    let stage = Stage {
        cell,
        master: OpenMaster::start(cell, folder).await?,
        python,
        release: Shelf::address("user.oci.tar"),
        stock: Shelf::address("stock.oci.tar"),
    };
    for release in [&stage.release, &stage.stock] {
        stage.master.supply(release, SupplyState::Available).await?;
    }
    stage.master.knows_partitions(4).await?;
    stage.waits_for_its_disk().await?;
    stage.has_addresses_of_the_network_outside().await?;
    let [one, two, mounted] = disks;
    let first = one.appears(cell, "qa-one")?;
    let second = two.appears(cell, "qa-two")?;
    let third = mounted.appears(cell, "qa-mounted")?;
    stage.gives_a_device_once(&first, one).await?;
    stage.says_what_cannot_be_given(&third, mounted).await?;
    stage.gives_a_container_the_same(&second, two).await?;
    stage.redirects_ports().await?;
    stage.lets_in_whom_the_requester_says().await?;
    stage.leaves_nothing(&first, one).await?;
    stage.removes_nothing_while_a_disk_is_away().await
}

impl Stage<'_> {
    fn run(&self, script: &str) -> Result<String> {
        self.cell.namespace().run(&["sh", "-c", script])
    }

    async fn box_says(&self, words: &str) -> Result<()> {
        self.cell.looks_again()?;
        eventually(format!("the box says {words}"), async || {
            let status = self.cell.text("/run/slapbox/status.json")?;
            ensure!(status.contains(words), "{status}");
            Ok(())
        })
        .within(seconds(30))
        .await
    }

    async fn request(&self, title: &str, parameters: &[(&str, &str)]) -> Result<String> {
        let wish = Wish::started(title, &self.release, parameters);
        let instance = self.master.request(&wish).await?;
        self.cell.looks_again()?;
        Ok(instance.partition.to_string())
    }

    async fn hears(&self, partition: &str, words: &str) -> Result<()> {
        eventually(
            format!("the master hears of {partition}: {words}"),
            async || {
                let heard = self.master.heard_of_partition(partition).await?;
                ensure!(heard.contains(words), "it has heard {heard}");
                Ok(())
            },
        )
        .within(minutes(2))
        .await
    }

    async fn starts(&self, partition: &str) -> Result<()> {
        self.hears(partition, "#access").await
    }

    /// A home whose disk is missing is never written to, and has its folders as soon as the disk is there.
    async fn waits_for_its_disk(&self) -> Result<()> {
        self.box_says("the storage home `/mnt/disk1` is not there")
            .await?;
        self.run("mkdir -p /mnt/disk1 /run/disk && mount -t tmpfs -o mode=755 disk /run/disk")?;
        self.box_says("nothing is mounted at the storage home `/mnt/disk1`")
            .await?;
        self.cell.holds_only(HOME, &[])?;
        self.run("mount --bind /run/disk /mnt/disk1")?;
        self.cell.looks_again()?;
        eventually("the folders are there", async || {
            let said = self.run("stat -c '%U %a %n' /mnt/disk1/slappart3")?;
            ensure!(said == "slapuser3 750 /mnt/disk1/slappart3\n", "{said}");
            Ok(())
        })
        .within(seconds(30))
        .await?;
        eventually("nothing is wrong any more", async || {
            let status = self.cell.text("/run/slapbox/status.json")?;
            ensure!(!status.contains("storage home"), "{status}");
            Ok(())
        })
        .within(seconds(10))
        .await?;
        let resource = self.cell.text("/srv/slapgrid/slappart0/.slapos-resource")?;
        ensure!(
            resource.contains("\"/srv/storage/data0/slappart0\""),
            "{resource}"
        );
        Ok(())
    }

    /// Taps have addresses of the network at an interface, as soon as that is there.
    async fn has_addresses_of_the_network_outside(&self) -> Result<()> {
        self.box_says("failed to add address 203.0.113.1/29 on outside")
            .await?;
        let wire = "ip link add outside type veth peer name outside-far && ip link set outside up";
        self.outside(&["sh", "-c", wire])?;
        self.cell.looks_again()?;
        eventually("the node is the gateway", async || {
            let said = self.outside(&["ip", "-4", "address", "show", "dev", "outside"])?;
            ensure!(said.contains("inet 203.0.113.1/29"), "{said}");
            Ok(())
        })
        .within(seconds(30))
        .await?;
        let routes = self.outside(&["ip", "-4", "route", "show", "dev", "slaptap3"])?;
        ensure!(routes.starts_with("203.0.113.5 "), "{routes}");
        for setting in ["forwarding", "proxy_arp"] {
            let value = self
                .cell
                .text(&format!("/proc/sys/net/ipv4/conf/slaptap3/{setting}"))?;
            ensure!(value == "1\n", "{setting} is {value}");
        }
        let resource = self.cell.text("/srv/slapgrid/slappart0/.slapos-resource")?;
        for text in [
            "\"ipv4_addr\": \"203.0.113.2\"",
            "\"ipv4_gateway\": \"203.0.113.1\"",
        ] {
            ensure!(resource.contains(text), "{resource}");
        }
        Ok(())
    }

    /// Runs a command of this machine in the box's network.
    fn outside(&self, words: &[&str]) -> Result<String> {
        let (program, words) = words.split_first().context("a command has a first word")?;
        let mut run = self.cell.namespace().command_beside(program)?;
        let ran = run.args(words).output()?;
        let complaint = String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status.success(), "{}", complaint.trim());
        Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
    }

    async fn gives_a_device_once(&self, device: &str, disk: &LoopDevice) -> Result<()> {
        let wish = format!("[{{\"disk\": \"{device}\"}}]");
        let asks = [("disk-permission", wish.as_str())];
        let one = self.request("one", &asks).await?;
        self.starts(&one).await?;
        ensure!(one == "slappart0", "it is in {one}");
        let title = self.cell.text("/mnt/disk1/slappart0/title")?;
        ensure!(title == "one\n", "on its folder is {title}");
        let told = self
            .cell
            .text("/srv/slapgrid/slappart0/.slapgrid/parameters.json")?;
        ensure!(
            told.contains("203.0.113.2"),
            "it is not told its address: {told}"
        );
        let said = self.cell.text("/srv/slapgrid/slappart0/said")?;
        ensure!(said.contains("device written"), "it says {said}");
        ensure!(
            disk.first_line()? == "one",
            "on the disk is {}",
            disk.first_line()?
        );
        let owner = self.run(&format!("stat -c '%U %G %a' {}", disk.node()))?;
        ensure!(owner == "slapuser0 disk 660\n", "the device is {owner}");

        // The second who asks for it hears who has it, and nothing of it runs.
        let two = self.request("two", &asks).await?;
        let words = format!("the block device `{device}` cannot be given: slappart0 has it");
        self.hears(&two, &words).await?;
        self.box_says(&words).await?;
        let units = self.run("systemctl list-units --plain --no-legend 'slappart1-*'")?;
        ensure!(units.is_empty(), "what has no device runs: {units}");
        self.starts(&one).await?;

        // It asks for nothing any more.
        self.request("two", &[]).await?;
        self.starts(&two).await?;
        let said = self.cell.text("/srv/slapgrid/slappart1/said")?;
        ensure!(
            !said.contains("loop") && !said.contains("disk"),
            "it sees {said}"
        );
        Ok(())
    }

    async fn says_what_cannot_be_given(&self, mounted: &str, disk: &LoopDevice) -> Result<()> {
        let node = disk.node();
        disk.is_formatted()?;
        self.run(&format!("mkdir -p /run/other && mount {node} /run/other"))?;
        let asked = |device: &str| format!("[{{\"disk\": \"{device}\"}}]");
        for (wish, words) in [
            (
                asked(mounted),
                "this node uses it itself: it is mounted, or swap, or part of a volume",
            ),
            (
                asked("/dev/null"),
                "`/dev/null` cannot be given: it is no block device",
            ),
            (
                asked("/dev/sdz"),
                "`/dev/sdz` cannot be given: this node has none of that name",
            ),
            (
                asked("/etc/shadow"),
                "`/etc/shadow` cannot be given: it is no block device",
            ),
            (
                "[7]".to_owned(),
                "`.slapos-disk-permission` is not what the original reads",
            ),
        ] {
            let two = self.request("two", &[("disk-permission", &wish)]).await?;
            self.hears(&two, words).await?;
        }
        self.run("umount /run/other && rm -r /run/other")?;
        // The system is mounted from a loop device, too.
        let usr = self.run("stat -c %Hd:%Ld /usr")?;
        let (major, minor) = usr.trim().split_once(':').context("a number")?;
        if major == "7" {
            self.run(&format!("mknod /dev/system b {major} {minor}"))?;
            let wish = asked("/dev/system");
            let two = self.request("two", &[("disk-permission", &wish)]).await?;
            self.hears(&two, "is not in the list `devices`").await?;
        }
        Ok(())
    }

    /// A stock image cannot write a file beside itself: who requests it asks by a parameter of the file's name.
    async fn gives_a_container_the_same(&self, device: &str, disk: &LoopDevice) -> Result<()> {
        let wish = format!("[{{\"disk\": \"{device}\"}}]");
        let asks = [(".slapos-disk-permission", wish.as_str())];
        let wish = Wish::started("stock", &self.stock, &asks);
        let partition = self.master.request(&wish).await?.partition.to_string();
        self.cell.looks_again()?;
        self.starts(&partition).await?;
        let facts = format!("/srv/slapgrid/{partition}/volumes/data/facts");
        let facts = self.cell.text(&facts)?;
        for seen in [device.to_owned(), format!("/srv/storage/data0/{partition}")] {
            ensure!(
                facts.contains(&format!(" {seen} ")),
                "it does not see {seen}: {facts}"
            );
        }
        let main = format!("systemctl show --value --property MainPID {partition}-main.service");
        let main = self.run(&main)?;
        let enter = format!(
            "nsenter --target {} --all --root sh -c 'echo stock | dd of={device} conv=notrunc,sync bs=512 && \
             echo stock > /srv/storage/data0/{partition}/title'",
            main.trim()
        );
        self.run(&enter)?;
        ensure!(
            disk.first_line()? == "stock",
            "on the disk is {}",
            disk.first_line()?
        );
        let title = self.run(&format!("stat -c %U {HOME}/{partition}/title"))?;
        ensure!(title == "slapuser2\n", "its file is {title}'s");
        self.destroy("stock", &self.stock, &partition).await?;
        let owner = self.run(&format!("stat -c '%U %G' {}", disk.node()))?;
        ensure!(owner == "root disk\n", "the device is {owner}");
        Ok(())
    }

    /// Who connects to the IPv4 of a partition reaches its IPv6, by TCP and UDP; nobody is reached at an address that is not the partition's.
    async fn redirects_ports(&self) -> Result<()> {
        let ports = |wish: &str| [("port-redirect", wish.to_owned())];
        let both = r#"[{"srcPort": 80, "destPort": "8080"}, {"srcPort": 53, "destPort": 5353, "type": "udp"}]"#;
        let ask = async |wish: &str| {
            let asks = ports(wish);
            let asks = asks.each_ref().map(|(name, text)| (*name, text.as_str()));
            self.request("two", &asks).await
        };
        let two = ask(both).await?;
        self.starts(&two).await?;
        self.beside(FETCH, &["http://10.0.0.3/"])?;
        self.beside(ECHO, &["fd12:3456:789a:1::3", "10.0.0.3"])?;
        let units =
            self.run("systemctl list-units --plain --no-legend 'slapredirect-slappart1-*'")?;
        for part in ["tcp-80-", "udp-53-", ".socket", ".service"] {
            ensure!(units.contains(part), "{part} is none of {units}");
        }
        let slice = self.run("systemctl status slappart1.slice")?;
        ensure!(slice.contains("socat -T 60 UDP4-LISTEN:53"), "{slice}");

        for (wish, words) in [
            (
                r#"[{"srcPort": 80, "destPort": 8080, "srcAddress": "10.0.0.2"}]"#,
                "names 10.0.0.2, which is not an address of this partition here",
            ),
            (
                r#"[{"srcPort": 5000, "destPort": 8080, "srcAddress": "0.0.0.0"}]"#,
                "names 0.0.0.0, which is not an address of this partition here",
            ),
            (
                "80",
                "`.slapos-port-redirect` is not what the original reads",
            ),
            (
                r#"[{"srcPort": 8080, "destPort": 8080, "srcAddress": "fd12:3456:789a:1::3"}]"#,
                "cannot be made: is something else at that port?",
            ),
        ] {
            let two = ask(wish).await?;
            self.hears(&two, words).await?;
        }
        self.request("two", &[]).await?;
        self.starts(&two).await?;
        let units = self.run("systemctl list-units --plain --no-legend 'slapredirect-*'")?;
        ensure!(units.is_empty(), "left of redirections: {units}");
        let fetched = self.beside(FETCH, &["http://10.0.0.3/"]);
        ensure!(fetched.is_err(), "what is not redirected any more answers");
        Ok(())
    }

    fn beside(&self, program: &str, words: &[&str]) -> Result<()> {
        let python = [self.python.as_str(), "-c", program];
        self.outside(&[&python, words].concat()).map(drop)
    }

    async fn destroy(&self, title: &str, release: &str, partition: &str) -> Result<()> {
        let wish = Wish::started(title, release, &[]).that_is(RequestedState::Destroyed);
        self.master.request(&wish).await?;
        self.cell.looks_again()?;
        let path: Utf8PathBuf = format!("/srv/slapgrid/{partition}").into();
        eventually(format!("{partition} is empty"), async || {
            self.cell.holds_only(path.as_str(), &[".slapos-resource"])
        })
        .within(minutes(1))
        .await
    }

    /// What is destroyed leaves nothing on its folder, and its device to the next who asks.
    async fn leaves_nothing(&self, device: &str, disk: &LoopDevice) -> Result<()> {
        self.destroy("one", &self.release, "slappart0").await?;
        self.cell.holds_only("/mnt/disk1/slappart0", &[])?;
        let owner = self.run(&format!("stat -c '%U %G' {}", disk.node()))?;
        ensure!(owner == "root disk\n", "the device is {owner}");
        let wish = format!("[{{\"disk\": \"{device}\"}}]");
        self.request("two", &[("disk-permission", &wish)]).await?;
        eventually("the next one has the device", async || {
            let line = disk.first_line()?;
            ensure!(line == "two", "on the disk is {line}");
            Ok(())
        })
        .within(minutes(1))
        .await?;
        Ok(())
    }

    /// What cannot be removed now is removed as soon as its disk is there again.
    async fn removes_nothing_while_a_disk_is_away(&self) -> Result<()> {
        self.run("umount --lazy /mnt/disk1")?;
        let wish = Wish::started("two", &self.release, &[]);
        let wish = wish.that_is(RequestedState::Destroyed);
        self.master.request(&wish).await?;
        self.cell.looks_again()?;
        let words = "its folders on other disks cannot be emptied: nothing is mounted at the storage home `/mnt/disk1`";
        self.hears("slappart1", words).await?;
        self.box_says(words).await?;
        self.cell.holds_only(HOME, &[])?;
        let title = self.cell.text("/run/disk/slappart1/title")?;
        ensure!(title == "two\n", "on its folder is {title}");
        self.run("mount --bind /run/disk /mnt/disk1")?;
        self.destroy("two", &self.release, "slappart1").await?;
        self.cell.holds_only("/mnt/disk1/slappart1", &[])?;
        self.cell.holds_only("/mnt/disk1/.slapbox", &[])
    }
}
