//! Partitions made for real: users, directories, addresses and taps, by root in namespaces of their own with an `/etc`
//! of their own, so that the machine keeps nothing of it.

use std::process::{Child, Command, Output, Stdio};

use serde::Deserialize;

/// A machine in namespaces; gone when dropped.
struct Machine {
    keep: tempfile::TempDir,
    holder: Child,
}

/// What `format --json` says.
#[derive(Debug, Deserialize)]
struct Outcome {
    changed: usize,
    failures: Vec<String>,
}

impl Machine {
    /// Starts a machine, if this is root and the kernel allows it.
    fn start() -> Option<Self> {
        let keep = tempfile::tempdir().unwrap();
        let etc = keep.path().join("etc");
        let script = format!(
            "cp -a /etc {etc} && mount --bind {etc} /etc && mount -t tmpfs tmpfs /run && \
             ip link set lo up && mkdir {root}/srv && echo ready && exec cat",
            etc = etc.display(),
            root = keep.path().display(),
        );
        let mut holder = Command::new("unshare")
            .args(["-n", "-m", "--propagation", "private", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        let output = holder.stdout.as_mut().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).unwrap();
        if line == "ready\n" {
            return Some(Self { keep, holder });
        }
        let output = holder.wait_with_output().unwrap();
        #[expect(clippy::print_stderr, reason = "a skipped test says why")]
        {
            let reason = String::from_utf8_lossy(&output.stderr);
            eprintln!("skipped: partitions are made by root in namespaces: {reason}");
        }
        None
    }

    fn run(&self, command: &[&str]) -> Output {
        let target = self.holder.id().to_string();
        Command::new("nsenter")
            .args(["-t", &target, "-n", "-m", "--"])
            .args(command)
            .output()
            .unwrap()
    }

    fn text(&self, command: &[&str]) -> String {
        let output = self.run(command);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn format(&self, partitions: &str) -> Result<Outcome, String> {
        let root = self.path("srv");
        let output = self.run(&[
            env!("CARGO_BIN_EXE_slapbox-agent"),
            "format",
            "--prefix",
            "fd12:3456:789a:1::/64",
            "--partitions",
            partitions,
            "--root",
            &root,
            "--json",
        ]);
        if output.status.success() {
            return Ok(serde_json::from_slice(&output.stdout).unwrap());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn path(&self, path: &str) -> String {
        self.keep.path().join(path).display().to_string()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // `cat` ends with its input.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

#[test]
fn two_hundred_partitions_are_made_once_repaired_and_never_taken_from_who_uses_them() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let first = machine.format("200").unwrap();
    assert_eq!(first.failures, Vec::<String>::new());
    assert!(first.changed > 1000, "{first:?}");
    let again = machine.format("200").unwrap();
    assert_eq!((again.changed, again.failures.len()), (0, 0), "{again:?}");
    is_whole(&machine);

    mischief(&machine);
    let repaired = machine.format("200").unwrap();
    assert!(
        repaired.changed >= 8 && repaired.failures.is_empty(),
        "{repaired:?}"
    );
    assert_eq!(machine.format("200").unwrap().changed, 0);
    is_whole(&machine);

    machine.text(&["touch", &machine.path("srv/slappart150/file")]);
    let refused = machine.format("100").unwrap_err();
    let words = "100 partitions are wanted, but slappart150 is in use: destroy its instance first";
    assert!(refused.contains(words), "{refused}");
    assert_eq!(machine.format("200").unwrap().changed, 0);
    machine.text(&["rm", &machine.path("srv/slappart150/file")]);
    assert!(machine.format("100").unwrap().changed > 100);
    assert_eq!(
        machine.text(&["ls", &machine.path("srv")]).lines().count(),
        101
    );
    assert!(!machine.text(&["ip", "-o", "link"]).contains("slaptap100"));
}

/// Breaks one of each thing.
fn mischief(machine: &Machine) {
    let path = |path: &str| machine.path(path);
    let acts: [&[&str]; 8] = [
        &["userdel", "slapuser5"],
        &["ip", "addr", "del", "10.0.0.9/32", "dev", "lo"],
        &[
            "ip",
            "-6",
            "addr",
            "del",
            "fd12:3456:789a:1::9/128",
            "dev",
            "lo",
        ],
        &["ip", "link", "del", "slaptap8"],
        &["rm", "-r", &path("srv/slappart9")],
        &["chmod", "777", &path("srv/slappart10")],
        &[
            "ln",
            "-sf",
            "/etc/shadow",
            &path("srv/slappart11/.slapos-resource"),
        ],
        &["chown", "root:root", &path("srv/slappart12")],
    ];
    for act in acts {
        machine.text(act);
    }
}

/// Looks at what a partition has.
fn is_whole(machine: &Machine) {
    for index in [0, 5, 7, 8, 9, 10, 11, 12, 199] {
        let (user, place) = (format!("slapuser{index}"), format!("srv/slappart{index}"));
        let id = machine.text(&["id", &user]);
        let (uid, groups) = (20_000 + index, format!("({user}),19999(slapsoft)"));
        assert!(
            id.contains(&format!("uid={uid}({user})")) && id.contains(&groups),
            "{id}"
        );
        let owner = machine.text(&["stat", "-c", "%a %U %G", &machine.path(&place)]);
        assert_eq!(owner, format!("750 {user} {user}\n"));
        let resource = machine.path(&format!("{place}/.slapos-resource"));
        let owner = machine.text(&["stat", "-c", "%F %a %U", &resource]);
        assert_eq!(owner, "regular file 644 root\n");
        let resource = machine.text(&["cat", &resource]);
        let address = format!("fd12:3456:789a:1::{:x}", index + 2);
        assert!(
            resource.contains(&format!("\"addr\": \"{address}\"")),
            "{resource}"
        );
        let addresses = machine.text(&["ip", "-o", "addr", "show", "dev", "lo"]);
        assert!(
            addresses.contains(&format!("inet6 {address}/128 ")),
            "{addresses}"
        );
        assert!(addresses.contains(&format!("inet 10.0.0.{}/32 ", index + 2)));
        let tap = machine.text(&["ip", "-d", "-o", "link", "show", &format!("slaptap{index}")]);
        let owned = format!("persist on user {user}");
        assert!(tap.contains("type tap") && tap.contains(&owned), "{tap}");
    }
}
