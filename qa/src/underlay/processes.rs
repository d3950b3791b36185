//! Which processes run at a site.

use anyhow::{Context as _, Result};
use camino::Utf8Path;

use super::Site;
use crate::load::Usage;

/// A process at a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The id that this machine knows it by.
    pub id: u32,
    /// Its command line.
    pub words: Vec<String>,
}

impl Site {
    /// All processes at the site, but for the one that keeps it.
    pub fn processes(&self) -> Result<Vec<Process>> {
        let keeper = self.namespace.first_process()?;
        let here = namespace_of(keeper).context("the site has ended")?;
        let all = Utf8Path::new("/proc").read_dir_utf8();
        let all = all.context("cannot read /proc")?.flatten();
        let ids = all.filter_map(|entry| entry.file_name().parse().ok());
        Ok(ids
            .filter(|&id| id != keeper && namespace_of(id).as_deref() == Some(&here))
            .filter_map(Process::read)
            .collect())
    }
}

impl Process {
    /// Nothing if it has ended meanwhile.
    fn read(id: u32) -> Option<Self> {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let words = line.split_terminator('\0').map(str::to_owned).collect();
        Some(Self { id, words })
    }

    /// The name of the program that it runs, which is the script's where it is one.
    pub fn program(&self) -> &str {
        let mut words = self.words.iter().map(|word| base(word));
        let first = words.next().unwrap_or_default();
        let is_interpreter = first.starts_with("python") || first == "sh";
        words.next().filter(|_| is_interpreter).unwrap_or(first)
    }

    /// What it took of the machine until now.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.id)
    }
}

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or_default()
}

fn namespace_of(process: u32) -> Option<String> {
    let link = Utf8Path::new("/proc").join(format!("{process}/ns/pid"));
    Some(link.read_link_utf8().ok()?.into_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_known_by_its_own_name() {
        let program = |line: &str| {
            let words = line.split(' ').map(str::to_owned).collect();
            Process { id: 1, words }.program().to_owned()
        };
        assert_eq!(program("/usr/sbin/babeld -h 4"), "babeld");
        assert_eq!(program("openvpn --dev tap0"), "openvpn");
        assert_eq!(
            program("/venv/bin/python3 /venv/bin/re6stnet @x"),
            "re6stnet"
        );
    }
}
