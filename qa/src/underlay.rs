//! A piece of the internet for overlays to lie over: sites, each a piece of this machine of its own, around a switch that is in a
//! namespace, too. Nothing in it leads outside. Links between sites are cut and mended at the switch, silently, as on the internet.
//! Needs root and `nft`; all of it ends with its value.

mod flows;
mod plan;
mod processes;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use camino::Utf8Path;

use crate::child::Child;
use crate::eventually::{eventually, seconds};
use crate::host;
use crate::namespace::Namespace;

pub use flows::Flows;
pub use plan::{Attachment, Families, Nat, Plan};
pub use processes::Process;

/// What each site begins with.
const SITE: &str = include_str!("underlay/site.sh");
/// What a router begins with that is before a site.
const ROUTER: &str = include_str!("underlay/router.sh");
/// What the switch begins with: whom it does not let speak to whom, and how much each says to each.
const SWITCH: &str = include_str!("underlay/switch.nft");
/// The addresses between a router and its site, which nobody else sees.
const INSIDE: [&str; 2] = ["192.168.0.1", "192.168.0.2"];

/// Sites around a switch.
#[derive(Debug)]
pub struct Underlay {
    switch: Namespace,
    sites: BTreeMap<u16, Site>,
    path: String,
}

/// A machine's place on the underlay, with nothing in it yet: a network, mounts and processes of its own.
#[derive(Debug)]
pub struct Site {
    /// Which one it is, from 1.
    pub number: u16,
    attachment: Attachment,
    namespace: Namespace,
    router: Option<Namespace>,
    path: String,
}

impl Underlay {
    /// Makes a switch and sites as planned; what they say goes into `folder`.
    pub async fn make(plan: &Plan, folder: &Utf8Path) -> Result<Self> {
        let path = host::path()?;
        let bare = |name: String| {
            let log = folder.join(name.replace(' ', "-")).with_extension("log");
            Namespace::bare(&name, &log)
        };
        let sites = plan.sites().map(|(number, attachment)| {
            let has_router = attachment.nat != Nat::None;
            let router = has_router.then(|| bare(format!("router {number}")));
            let site = Site {
                number,
                attachment,
                namespace: bare(format!("site {number}"))?,
                router: router.transpose()?,
                path: path.clone(),
            };
            Ok((number, site))
        });
        let mut underlay = Self {
            switch: bare("switch".to_owned())?,
            sites: sites.collect::<Result<_>>()?,
            path: path.clone(),
        };
        let count = underlay.sites.len();
        eventually(format!("{count} sites are there"), async || {
            underlay.switch.is_ready()?;
            let mut sites = underlay.sites.values_mut();
            sites.try_for_each(Site::is_ready)
        })
        .within(seconds(20))
        .await?;
        underlay.lay_cables()?;
        plan.cuts()
            .try_for_each(|(one, other)| underlay.cut(one, other))?;
        Ok(underlay)
    }

    /// One of the sites.
    pub fn site(&self, number: u16) -> Result<&Site> {
        let site = self.sites.get(&number);
        site.with_context(|| format!("there is no site {number}"))
    }

    /// All sites, in their order.
    pub fn sites(&self) -> impl Iterator<Item = &Site> {
        self.sites.values()
    }

    /// Lets nothing pass between two sites any more, and tells neither.
    pub fn cut(&self, one: u16, other: u16) -> Result<()> {
        self.filter(&format!(
            "add element bridge underlay cut {}",
            both(one, other)
        ))
    }

    /// Lets them speak again.
    pub fn mend(&self, one: u16, other: u16) -> Result<()> {
        let pairs = both(one, other);
        self.filter(&format!("delete element bridge underlay cut {pairs}"))
    }

    /// Gives a site another address of IPv4, as a change of networks would, the `times`th one: nobody is told.
    pub fn move_site(&self, number: u16, times: u8) -> Result<()> {
        let site = self.site(number)?;
        let [.., third, fourth] = site.ipv4().octets();
        let address = format!("10.99.{}.{fourth}/16", third.wrapping_add(times));
        // The old one goes first: of two of one network the second is the first one's, and goes with it.
        site.run(&["ip", "-4", "address", "flush", "dev", "eth0"])?;
        site.run(&["ip", "address", "add", &address, "dev", "eth0"])
            .map(drop)
    }

    /// Ends a site as a power cut would: nothing in it has time for a last word.
    pub fn cut_power(&mut self, number: u16) -> Result<()> {
        self.site(number)?;
        // Its kernel would still say that connections are over when their processes are killed.
        self.wire(&format!("link set v{number} down\n"))?;
        self.sites.remove(&number);
        Ok(())
    }

    /// What was said between any two sites until now.
    pub fn flows(&self) -> Result<Flows> {
        let mut list = self.on_the_switch("nft")?;
        list.args(["--json", "list", "set", "bridge", "underlay", "flows"]);
        Flows::parse(&output(&mut list)?)
    }

    /// A cable is two ends; the far one gets its addresses there.
    fn lay_cables(&self) -> Result<()> {
        let mut commands = "link add switch type bridge\nlink set switch up\n".to_owned();
        let mut rules = SWITCH.to_owned();
        for site in self.sites.values() {
            let (number, process) = (site.number, site.outermost().first_process()?);
            let address = hardware_address(number);
            let _ = writeln!(
                commands,
                "link add v{number} type veth peer name eth0 address {address} netns {process}\n\
                 link set v{number} master switch up"
            );
            if site.attachment.loses_udp {
                let _ = writeln!(
                    rules,
                    "add element bridge underlay without_udp {{ {address} }}"
                );
            }
        }
        self.wire(&commands)?;
        self.filter(&rules)?;
        self.sites.values().try_for_each(Site::begin)
    }

    fn wire(&self, commands: &str) -> Result<()> {
        feed(self.on_the_switch("ip")?.args(["-batch", "-"]), commands)
    }

    fn filter(&self, commands: &str) -> Result<()> {
        feed(self.on_the_switch("nft")?.args(["--file", "-"]), commands)
    }

    /// Only its network: processes are called by the ids that they have on this machine.
    fn on_the_switch(&self, program: &str) -> Result<Command> {
        let mut command = self.switch.command_beside(program)?;
        command.env("PATH", &self.path);
        Ok(command)
    }
}

impl Site {
    fn is_ready(&mut self) -> Result<()> {
        self.namespace.is_ready()?;
        self.router.as_mut().map_or(Ok(()), Namespace::is_ready)
    }

    /// What is at the end of the cable.
    fn outermost(&self) -> &Namespace {
        self.router.as_ref().unwrap_or(&self.namespace)
    }

    /// Gives it its addresses, once its cable is there.
    fn begin(&self) -> Result<()> {
        let none = || "-".to_owned();
        let mut addresses = [none(), none(), none()];
        if let Some(router) = &self.router {
            self.begin_router(router)?;
            let [gateway, inside] = INSIDE;
            addresses = [format!("{inside}/24"), none(), gateway.to_owned()];
        } else {
            if self.attachment.has_ipv4() {
                addresses[0] = format!("{}/16", self.ipv4());
            }
            if self.attachment.has_ipv6() {
                addresses[1] = format!("{}/64", self.ipv6());
            }
        }
        let mut begin = self.command("sh")?;
        output(begin.args(["-c", SITE, "sh"]).args(&addresses)).map(drop)
    }

    fn begin_router(&self, router: &Namespace) -> Result<()> {
        let ports = match self.attachment.nat {
            Nat::None | Nat::Punchable => "",
            Nat::Symmetric => "fully-random",
        };
        let process = self.namespace.first_process()?;
        let mut cable = router.command_beside("ip")?;
        cable.env("PATH", &self.path);
        let line = format!("link add lan0 type veth peer name eth0 netns {process}\n");
        feed(cable.args(["-batch", "-"]), &line)?;
        let mut begin = router.command("sh")?;
        begin
            .env("PATH", &self.path)
            .args(["-c", ROUTER, "sh"])
            .args([format!("{}/16", self.ipv4()), format!("{}/24", INSIDE[0])])
            .arg(ports);
        output(&mut begin).map(drop)
    }

    /// A command at the site, which finds the programs that the host has for tests.
    pub fn command(&self, program: &str) -> Result<Command> {
        let mut command = self.namespace.command(program)?;
        command.env("PATH", &self.path);
        Ok(command)
    }

    /// Runs a command at the site and returns what it said.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        let (program, arguments) = words.split_first().context("a command has a first word")?;
        output(self.command(program)?.args(arguments))
    }

    /// Starts a program at the site, which ends with the site at the latest.
    pub fn start(&self, command: &Command, log: &Utf8Path) -> Result<Child> {
        let name = log.file_stem().unwrap_or("a program");
        Child::start(name, command, log)
    }

    /// Where its commands find programs.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its namespaces.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its address of IPv4 on the underlay, or its router's.
    pub fn ipv4(&self) -> Ipv4Addr {
        let [high, low] = self.number.to_be_bytes();
        Ipv4Addr::new(10, 99, high, low)
    }

    /// Its address of IPv6 on the underlay.
    pub fn ipv6(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, self.number)
    }

    /// Where all others reach a port of it; nowhere if it is behind a router.
    pub fn endpoint(&self, port: u16) -> Option<SocketAddr> {
        let address = match self.attachment.families {
            Families::Both | Families::Ipv4 => IpAddr::from(self.ipv4()),
            Families::Ipv6 => IpAddr::from(self.ipv6()),
        };
        self.router.is_none().then_some((address, port).into())
    }
}

/// What the switch knows a site by, whichever addresses it speaks from.
fn hardware_address(number: u16) -> String {
    let [high, low] = number.to_be_bytes();
    format!("02:99:00:00:{high:02x}:{low:02x}")
}

/// The site that has a hardware address.
fn site_of(hardware_address: &str) -> Option<u16> {
    let rest = hardware_address.strip_prefix("02:99:00:00:")?;
    let (high, low) = rest.split_once(':')?;
    let byte = |text| u8::from_str_radix(text, 16).ok();
    Some(u16::from_be_bytes([byte(high)?, byte(low)?]))
}

fn both(one: u16, other: u16) -> String {
    let (one, other) = (hardware_address(one), hardware_address(other));
    format!("{{ {one} . {other}, {other} . {one} }}")
}

/// Runs a command to its good end.
fn output(command: &mut Command) -> Result<String> {
    let ended = command.output().context("cannot run a command")?;
    let complaint = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
    ensure!(ended.status.success(), "{command:?} failed: {complaint}");
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}

/// The same, with something to read.
fn feed(command: &mut Command, text: &str) -> Result<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    let mut input = child.stdin.take().context("it reads nothing")?;
    // One that does not read to the end says why.
    let _ = input.write_all(text.as_bytes());
    drop(input);
    let ended = child.wait_with_output().context("cannot wait for it")?;
    let complaint = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
    ensure!(ended.status.success(), "{command:?} failed: {complaint}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_known_by_its_hardware_address() {
        for number in [1, 10, 255, 256, 0xffff] {
            assert_eq!(site_of(&hardware_address(number)), Some(number));
        }
        assert_eq!(site_of("ff:ff:ff:ff:ff:ff"), None);
    }
}
