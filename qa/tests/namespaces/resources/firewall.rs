//! Who reaches an instance is who its requester says: its tree and some sources, or all but some.

use anyhow::{Result, ensure};
use slapbox_qa::eventually::{eventually, seconds};
use slapbox_qa::open_master::Wish;
use slapbox_qa::shelf::Shelf;

use super::{FETCH, Stage};

const ELSEWHERE: &str = include_str!("elsewhere.sh");
const AT_A_TAP: &str = include_str!("at_a_tap.sh");
const AUTHORIZED: &str = "2001:db8:9::1";
const OTHER: &str = "2001:db8:8::1";
const URL: &str = "http://[fd12:3456:789a:1::4]:8080/";
const NFT: &str = "/usr/sbin/nft";

impl Stage<'_> {
    pub(super) async fn lets_in_whom_the_requester_says(&self) -> Result<()> {
        let only = [("fw_authorized_sources", "2001:db8:9::/48")];
        if self.cell.namespace().run(&["test", "-x", NFT]).is_err() {
            let guarded = self.guarded(&only).await?;
            return self
                .hears(&guarded, "it is in the package `nftables`")
                .await;
        }
        let guarded = self.guarded(&only).await?;
        self.starts(&guarded).await?;
        ensure!(guarded == "slappart2", "it is in {guarded}");
        self.soon_answers(&[AUTHORIZED]).await?;
        self.lets_in_its_own()?;

        // What cannot be understood changes nothing.
        self.guarded(&[("fw_authorized_sources", "somebody")])
            .await?;
        self.hears(
            &guarded,
            "names `somebody`, which is neither an address nor a network",
        )
        .await?;
        self.answers(&[AUTHORIZED])?;
        self.guarded(&only).await?;
        self.starts(&guarded).await?;

        // After a boot the kernel has no rules, and they are there before anything is asked of the master.
        self.run("nft delete table inet slapbox && systemctl restart slapbox-agent")?;
        self.soon_answers(&[AUTHORIZED]).await?;

        let all_but = [
            ("fw_restricted_access", "off"),
            ("fw_rejected_sources", OTHER),
        ];
        self.guarded(&all_but).await?;
        self.soon_answers(&[AUTHORIZED, "2001:db8:7::1"]).await?;
        let others = self.as_user(20_003);
        ensure!(
            others.is_ok(),
            "who is not rejected does not reach it: {others:?}"
        );

        self.says_whom_it_reaches().await?;
        self.destroy("guarded", &self.release, &guarded).await?;
        let rules = self.run("nft list ruleset")?;
        ensure!(!rules.contains("daddr"), "left of the firewall: {rules}");
        self.believes_nobody_at_a_tap_who_says_to_be_another()?;
        self.answers(&[AUTHORIZED, OTHER, "2001:db8:7::1"])
            .map_or(Ok(()), |()| anyhow::bail!("what is destroyed answers"))
    }

    /// Who is at a tap has the addresses that lead there, and no others.
    fn believes_nobody_at_a_tap_who_says_to_be_another(&self) -> Result<()> {
        let mut ask = self.cell.namespace().command_beside("sh")?;
        ask.args(["-c", AT_A_TAP, "sh", "2001:db8:5::1", "2001:db8:5::2"]);
        let said = ask.output()?;
        let all = [said.stdout, said.stderr].concat();
        let all = String::from_utf8_lossy(&all).into_owned();
        ensure!(
            said.status.success() && all == "2001:db8:5::1 is heard\n2001:db8:5::2 is not heard\n",
            "{all}"
        );
        Ok(())
    }

    async fn guarded(&self, conditions: &[(&str, &str)]) -> Result<String> {
        let wish = Wish::started("guarded", &self.release, &[]).under(conditions);
        let instance = self.master.request(&wish).await?;
        self.cell.looks_again()?;
        Ok(instance.partition.to_string())
    }

    async fn soon_answers(&self, wanted: &[&str]) -> Result<()> {
        eventually("the rules hold", async || self.answers(wanted))
            .within(seconds(60))
            .await
    }

    /// Exactly these are answered from elsewhere, of three.
    fn answers(&self, wanted: &[&str]) -> Result<()> {
        let all = [AUTHORIZED, OTHER, "2001:db8:7::1"];
        let mut ask = self.cell.namespace().command_beside("sh")?;
        ask.args(["-c", ELSEWHERE, "sh", self.python.as_str(), URL])
            .args(all);
        let said = ask.output()?;
        let complaint = String::from_utf8_lossy(&said.stderr).into_owned();
        ensure!(said.status.success(), "{complaint}");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        for address in all {
            let is = if wanted.contains(&address) {
                "is"
            } else {
                "is not"
            };
            ensure!(said.contains(&format!("{address} {is} answered")), "{said}");
        }
        Ok(())
    }

    /// The node and the instance itself reach it, another partition does not.
    fn lets_in_its_own(&self) -> Result<()> {
        self.as_user(0)?;
        self.as_user(20_002)?;
        let other = self.as_user(20_003);
        ensure!(other.is_err(), "another partition reaches it");
        Ok(())
    }

    fn as_user(&self, uid: u32) -> Result<()> {
        self.fetches_as(uid, URL)
    }

    fn fetches_as(&self, uid: u32, url: &str) -> Result<()> {
        let uid = uid.to_string();
        let user = [
            "setpriv",
            "--reuid",
            &uid,
            "--regid",
            &uid,
            "--clear-groups",
        ];
        let python = [self.python.as_str(), "-c", FETCH, url];
        self.outside(&[&user[..], &python].concat()).map(drop)
    }

    /// Its programs reach the IPv4 that its file names, and no other.
    async fn says_whom_it_reaches(&self) -> Result<()> {
        let shelf = Shelf::address("");
        for (list, reached) in [("[\"10.0.0.3\"]", false), ("[\"127.0.0.1\"]", true)] {
            let asks = [("whitelist-firewall", list)];
            let wish = Wish::started("guarded", &self.release, &asks);
            self.master.request(&wish).await?;
            self.cell.looks_again()?;
            eventually("the rules hold", async || {
                let own = self.fetches_as(20_002, &shelf);
                ensure!(own.is_ok() == reached, "who may reach {list}: {own:?}");
                Ok(())
            })
            .within(seconds(60))
            .await?;
            self.fetches_as(20_003, &shelf)?;
        }
        let rules = self.run("nft list table inet slapbox")?;
        let wanted = "ip daddr { 10.0.0.4, 127.0.0.1, 203.0.113.4 } accept";
        ensure!(rules.contains(wanted), "{rules}");
        Ok(())
    }
}
