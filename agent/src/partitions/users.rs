//! The users and groups of partitions: read from `/etc`, made by one call of `systemd-sysusers`, never one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::{fs, io};

use camino::{Utf8Path, Utf8PathBuf};
use tokio::process::Command;

use crate::desired::PartitionName;
use crate::disk;
use crate::workload::Paths;

/// The user who owns the software releases, and a group of every partition's user.
pub const SOFTWARE_USER: &str = "slapsoft";
/// How the name of a partition's user begins.
const PARTITION_USER: &str = "slapuser";
/// Nobody logs in as a partition.
pub const SHELL: &str = "/usr/sbin/nologin";
/// The number of `slapuser0`. Numbers are fixed, so that files outlive a lost `/etc`; nobody else uses this range on
/// a box, and `systemd-sysusers` takes other ones where somebody does.
const FIRST_UID: u32 = 20_000;

/// Users and groups could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    #[error("failed to observe users and groups")]
    Observe(#[source] disk::Error),
    #[error("failed to make the folder for the list of users")]
    Folder(#[source] io::Error),
    #[error("failed to list the users to make")]
    Write(#[source] disk::Error),
    #[error("failed to run systemd-sysusers")]
    Run(#[source] io::Error),
    #[error("systemd-sysusers did not make the users ({status}): {output}")]
    Refused { status: String, output: String },
    #[error("systemd-sysusers ran, but `{0}` is still missing")]
    StillMissing(String),
}

/// The numbers of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    pub uid: u32,
    pub gid: u32,
}

/// The users and groups of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    users: BTreeMap<String, Ids>,
    groups: BTreeMap<String, u32>,
    software: BTreeSet<String>,
}

impl Accounts {
    /// Reads the two lists; lines that are no entries are passed over, as the C library does.
    pub fn parse(passwd: &str, group: &str) -> Self {
        let mut accounts = Self::default();
        for line in passwd.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            if let [name, _, uid, gid, ..] = fields[..]
                && let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse())
            {
                accounts.users.insert(name.to_owned(), Ids { uid, gid });
            }
        }
        for line in group.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            if let [name, _, gid, members] = fields[..]
                && let Ok(gid) = gid.parse()
            {
                accounts.groups.insert(name.to_owned(), gid);
                if name == SOFTWARE_USER {
                    accounts.software = members.split(',').map(str::to_owned).collect();
                }
            }
        }
        accounts
    }

    /// Returns the numbers of a partition's user, if it is as it shall be: with its own group and that of software.
    pub fn of(&self, partition: PartitionName) -> Option<Ids> {
        let name = partition.user();
        let ids = self.users.get(&name)?;
        let own_group = self.groups.get(&name) == Some(&ids.gid);
        (own_group && self.software.contains(&name)).then_some(*ids)
    }

    /// Returns all partitions that have a user as it shall be.
    pub fn partitions(&self) -> impl Iterator<Item = (PartitionName, Ids)> {
        let numbers = self.users.keys().filter_map(|name| {
            let number = name.strip_prefix(PARTITION_USER)?;
            number.parse().ok()
        });
        numbers.filter_map(|number| {
            let partition = PartitionName::new(number);
            Some((partition, self.of(partition)?))
        })
    }

    /// Returns the numbers of the software's user.
    pub fn software(&self) -> Option<Ids> {
        let ids = self.users.get(SOFTWARE_USER)?;
        (self.groups.get(SOFTWARE_USER) == Some(&ids.gid)).then_some(*ids)
    }
}

/// Reads the users and groups of the node.
pub fn observe(etc: &Utf8Path) -> Result<Accounts, UsersError> {
    let read = |name: &str| disk::read(&etc.join(name)).map_err(UsersError::Observe);
    let text = |content: Option<Vec<u8>>| content.unwrap_or_default();
    let (passwd, group) = (text(read("passwd")?), text(read("group")?));
    Ok(Accounts::parse(
        &String::from_utf8_lossy(&passwd),
        &String::from_utf8_lossy(&group),
    ))
}

/// Makes what is missing for `count` partitions; returns the accounts and how many were missing.
pub async fn make(paths: &Paths, count: u16) -> Result<(Accounts, usize), UsersError> {
    let accounts = observe(&paths.etc)?;
    let missing = missing(&accounts, count);
    if missing.is_empty() {
        return Ok((accounts, 0));
    }
    let list = paths.run.join("sysusers.d/slapbox-partitions.conf");
    let folder = list.parent().unwrap_or(&paths.run);
    fs::create_dir_all(folder).map_err(UsersError::Folder)?;
    disk::replace(&list, sysusers(paths, count).as_bytes()).map_err(UsersError::Write)?;
    run_sysusers(list).await?;
    let accounts = observe(&paths.etc)?;
    match self::missing(&accounts, count).pop() {
        Some(name) => Err(UsersError::StillMissing(name)),
        None => Ok((accounts, missing.len())),
    }
}

fn missing(accounts: &Accounts, count: u16) -> Vec<String> {
    let software = accounts.software().is_none();
    let partitions = (0..count).map(PartitionName::new);
    software
        .then(|| SOFTWARE_USER.to_owned())
        .into_iter()
        .chain(
            partitions
                .filter(|partition| accounts.of(*partition).is_none())
                .map(PartitionName::user),
        )
        .collect()
}

/// Returns the `sysusers.d` file for `count` partitions.
fn sysusers(paths: &Paths, count: u16) -> String {
    let software = FIRST_UID - 1;
    let mut text = format!(
        "u {SOFTWARE_USER} {software} \"Software releases\" {} {SHELL}\n",
        paths.software
    );
    for partition in (0..count).map(PartitionName::new) {
        let user = partition.user();
        let uid = FIRST_UID + u32::from(partition.index());
        let home = paths.partition(partition);
        // A String takes any text.
        let _ = writeln!(
            text,
            "u {user} {uid} \"Partition {partition}\" {home} {SHELL}"
        );
        let _ = writeln!(text, "m {user} {SOFTWARE_USER}");
    }
    text
}

async fn run_sysusers(list: Utf8PathBuf) -> Result<(), UsersError> {
    let output = Command::new("systemd-sysusers")
        .arg(list)
        .output()
        .await
        .map_err(UsersError::Run)?;
    if output.status.success() {
        return Ok(());
    }
    Err(UsersError::Refused {
        status: output.status.to_string(),
        output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        slapsoft:x:19999:19999::/srv/slapgrid/software:/usr/sbin/nologin\n\
        slapuser0:x:20000:20000::/srv/slapgrid/slappart0:/usr/sbin/nologin\n\
        slapuser1:x:20001:20001::/srv/slapgrid/slappart1:/usr/sbin/nologin\n\
        slapuser2:x:20002:20002::/srv/slapgrid/slappart2:/usr/sbin/nologin\n\
        broken\nslapuser3:x:none:::\n";
    const GROUP: &str = "root:x:0:\nslapsoft:x:19999:slapuser0,slapuser2\n\
        slapuser0:x:20000:\nslapuser1:x:20001:\n";

    #[test]
    fn a_user_counts_with_its_own_group_and_that_of_software() {
        let accounts = Accounts::parse(PASSWD, GROUP);
        let ids = Ids {
            uid: 20_000,
            gid: 20_000,
        };
        assert_eq!(accounts.of(PartitionName::new(0)), Some(ids));
        for index in 1..4 {
            assert_eq!(accounts.of(PartitionName::new(index)), None, "{index}");
        }
        assert_eq!(
            missing(&accounts, 4),
            ["slapuser1", "slapuser2", "slapuser3"]
        );
        let nobody = Accounts::default();
        assert_eq!(missing(&nobody, 1), ["slapsoft", "slapuser0"]);
    }

    #[test]
    fn one_file_makes_all_users() {
        assert_eq!(
            sysusers(&Paths::default(), 2),
            "u slapsoft 19999 \"Software releases\" /srv/slapgrid/software /usr/sbin/nologin\n\
             u slapuser0 20000 \"Partition slappart0\" /srv/slapgrid/slappart0 /usr/sbin/nologin\n\
             m slapuser0 slapsoft\n\
             u slapuser1 20001 \"Partition slappart1\" /srv/slapgrid/slappart1 /usr/sbin/nologin\n\
             m slapuser1 slapsoft\n"
        );
    }
}
