//! Who an image's program is: the `User` of its configuration, looked up in the image's own lists of users and groups, as
//! engines do. Pure.

/// A user of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
    pub home: String,
}

/// An image names a user whom it does not have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UserError {
    #[error("its image has no user `{0}` in /etc/passwd")]
    NoUser(String),
    #[error("its image has no group `{0}` in /etc/group")]
    NoGroup(String),
    #[error("its image runs as {0}, and has users up to {MOST_ID} only")]
    TooHigh(u32),
}

/// The highest number that a user or group of an image may have.
const MOST_ID: u32 = 65_535;

struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// Finds `USER[:GROUP]`, each a name or a number; nothing is root.
pub fn identity(user: &str, passwd: &str, group: &str) -> Result<Identity, UserError> {
    let (user, wanted_group) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (user, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let number = user.parse().ok();
    let mut entries = passwd.lines().filter_map(entry);
    let entry = entries.find(|entry| entry.name == user || Some(entry.uid) == number);
    let uid = entry.as_ref().map(|entry| entry.uid).or(number);
    let uid = uid.ok_or_else(|| UserError::NoUser(user.to_owned()))?;
    let own_gid = entry.as_ref().map_or(0, |entry| entry.gid);
    let (gid, groups) = match (wanted_group, &entry) {
        (Some(wanted), _) => (gid_of(wanted, group)?, Vec::new()),
        (None, Some(entry)) => (own_gid, groups_of(entry.name, group)),
        (None, None) => (own_gid, Vec::new()),
    };
    match [uid, gid].into_iter().chain(groups.iter().copied()).max() {
        Some(id) if id > MOST_ID => Err(UserError::TooHigh(id)),
        _ => Ok(Identity {
            uid,
            gid,
            groups,
            home: entry.map_or("/", |entry| entry.home).to_owned(),
        }),
    }
}

/// Reads a line of /etc/passwd; what is no entry is passed over, as the C library does.
fn entry(line: &str) -> Option<Entry<'_>> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, _, home, ..] = fields[..] else {
        return None;
    };
    Some(Entry {
        name,
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: if home.is_empty() { "/" } else { home },
    })
}

fn gid_of(wanted: &str, group: &str) -> Result<u32, UserError> {
    let named = group.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, gid, ..] = fields[..] else {
            return None;
        };
        (name == wanted).then(|| gid.parse().ok()).flatten()
    });
    named
        .or_else(|| wanted.parse().ok())
        .ok_or_else(|| UserError::NoGroup(wanted.to_owned()))
}

fn groups_of(user: &str, group: &str) -> Vec<u32> {
    let lines = group.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [_, _, gid, members] = fields[..] else {
            return None;
        };
        let is_member = members.split(',').any(|member| member == user);
        is_member.then(|| gid.parse().ok()).flatten()
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\nnot an entry\nredis:x:999:998::/var/lib/redis:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nredis:x:998:\ntty:x:5:redis,root\nbig:x:70000:\n";

    #[test]
    fn a_user_is_found_by_name_or_number() {
        let shown = |user| {
            let found = identity(user, PASSWD, GROUP).unwrap();
            let Identity {
                uid,
                gid,
                groups,
                home,
            } = found;
            format!("{uid}:{gid} {groups:?} {home}")
        };
        for (user, expected) in [
            ("", "0:0 [5] /root"),
            ("root", "0:0 [5] /root"),
            ("redis", "999:998 [5] /var/lib/redis"),
            ("999", "999:998 [5] /var/lib/redis"),
            ("redis:tty", "999:5 [] /var/lib/redis"),
            ("redis:77", "999:77 [] /var/lib/redis"),
            ("1000", "1000:0 [] /"),
            ("1000:1000", "1000:1000 [] /"),
        ] {
            assert_eq!(shown(user), expected, "{user}");
        }
    }

    #[test]
    fn whom_an_image_does_not_have_it_cannot_run_as() {
        for (user, expected) in [
            ("nginx", UserError::NoUser("nginx".into())),
            ("redis:web", UserError::NoGroup("web".into())),
            ("100000", UserError::TooHigh(100_000)),
            ("0:big", UserError::TooHigh(70_000)),
        ] {
            assert_eq!(identity(user, PASSWD, GROUP), Err(expected), "{user}");
        }
    }
}
