//! What the built image holds, and what it must not hold. Looks into the very file that is shipped.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use camino::Utf8PathBuf;
use slapbox_qa::files;
use slapbox_qa::gpt::load_partitions;
use slapbox_qa::product::{self, Product};

/// What only a debug image may have: other ways in, and tools of tests.
const UNWANTED_PACKAGES: [&str; 10] = [
    "openssh-server",
    "openssh-client",
    "dropbear-bin",
    "telnetd",
    "gdb",
    "strace",
    "tcpdump",
    "curl",
    "wget",
    "python3-minimal",
];
const OURS: [&str; 5] = [
    "slapbox",
    "slapbox-agent",
    "slapbox-master",
    "slapbox-promises",
    "slapbox-re6st",
];

#[test]
fn the_disk_has_an_esp_two_slots_and_a_seed() -> Result<()> {
    let Some(product) = built()? else {
        return Ok(());
    };
    let partitions = load_partitions(&product.image)?;
    let labels: Vec<&str> = partitions.iter().map(|it| it.label.as_str()).collect();
    let [esp, usr, verity, "_empty", "_empty", seed] = labels[..] else {
        anyhow::bail!("the partitions are {labels:?}")
    };
    ensure!(
        (esp, seed) == ("esp", "slapbox-seed"),
        "the partitions are {labels:?}"
    );
    ensure!(
        usr.starts_with("slapbox_") && verity == format!("{usr}_verity"),
        "the partitions are {labels:?}"
    );
    ensure!(
        partitions[1].length == partitions[3].length,
        "the slots differ in size"
    );
    ensure!(
        partitions[2].length == partitions[4].length,
        "the slots' hash trees differ in size"
    );
    Ok(())
}

#[test]
fn no_package_opens_another_way_in() -> Result<()> {
    let Some(product) = built()? else {
        return Ok(());
    };
    let lock = product.image.with_file_name("packages.lock");
    let text = std::fs::read_to_string(&lock).with_context(|| format!("cannot read {lock}"))?;
    let names: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.split(['=', ' ', '\t']).next())
        .collect();
    let unwanted: Vec<&&str> = UNWANTED_PACKAGES
        .iter()
        .filter(|name| names.contains(**name))
        .collect();
    ensure!(
        !names.is_empty() && unwanted.is_empty(),
        "the image has {unwanted:?}"
    );
    Ok(())
}

#[test]
fn the_system_has_our_programs_and_nobody_can_log_in() -> Result<()> {
    let Some(product) = built()? else {
        return Ok(());
    };
    let usr = extract_usr(&product, "usr-programs")?;
    for program in OURS {
        ensure!(
            usr.join("bin").join(program).is_file(),
            "/usr/bin/{program} is missing"
        );
    }
    let slapos = usr.join("bin/slapos");
    let leads_to = slapos.read_link_utf8();
    ensure!(
        leads_to.as_ref().is_ok_and(|it| it == "slapbox"),
        "/usr/bin/slapos is no link to slapbox: {leads_to:?}"
    );
    for way_in in [
        "bin/login",
        "bin/sshd",
        "sbin/sshd",
        "sbin/agetty",
        "sbin/sulogin",
    ] {
        ensure!(!usr.join(way_in).exists(), "/usr/{way_in} is there");
    }
    for unit in [
        "getty@.service",
        "serial-getty@.service",
        "debug-shell.service",
        "ssh.service",
    ] {
        ensure!(
            !usr.join("lib/systemd/system").join(unit).exists(),
            "{unit} is there"
        );
    }
    std::fs::remove_dir_all(&usr).with_context(|| format!("cannot remove {usr}"))
}

#[test]
fn no_program_gives_its_caller_more_rights() -> Result<()> {
    let Some(product) = built()? else {
        return Ok(());
    };
    let usr = extract_usr(&product, "usr-rights")?;
    let output = std::process::Command::new("find")
        .args([usr.as_str(), "-perm", "/6000", "-type", "f"])
        .output();
    let found = String::from_utf8_lossy(&output.context("cannot run find")?.stdout).into_owned();
    ensure!(found.is_empty(), "these are set-uid or set-gid:\n{found}");
    std::fs::remove_dir_all(&usr).with_context(|| format!("cannot remove {usr}"))
}

fn built() -> Result<Option<Product>> {
    match Product::find() {
        Ok(product) => Ok(Some(product)),
        Err(missing) => product::skip("the image", &format!("{missing:#}")).map(|()| None),
    }
}

fn extract_usr(product: &Product, name: &str) -> Result<Utf8PathBuf> {
    let partitions = load_partitions(&product.image)?;
    let usr = partitions
        .iter()
        .find(|it| it.is_usr())
        .context("the image has no /usr")?;
    let folder = product::target()?.join("qa").join(name);
    files::empty_folder(&folder)?;
    let mut command = product.tools.command("fsck.erofs");
    command.args([
        &format!("--extract={folder}"),
        "--no-preserve-owner",
        "--preserve-perms",
        "--overwrite",
    ]);
    let output = command
        .args([&format!("--offset={}", usr.start), product.image.as_str()])
        .output();
    let output = output.context("cannot run fsck.erofs")?;
    ensure!(
        output.status.success(),
        "fsck.erofs failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(folder)
}
