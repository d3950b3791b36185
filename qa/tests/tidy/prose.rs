//! What the READMEs promise is there: the commands they name are commands, the folders they link to exist.

use std::process::Command;

use crate::tree::{File, files, none, workspace};

#[test]
fn links_of_the_readmes_lead_somewhere() {
    none(readmes().flat_map(|readme| {
        let folder = workspace().join(&readme.path).parent().unwrap().to_owned();
        let links: Vec<String> = readme
            .text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
            .map(str::to_owned)
            .collect();
        let local = links
            .into_iter()
            .filter(|link| !link.contains("://") && !link.starts_with('#'));
        let dead = local.filter(|link| !folder.join(link.split('#').next().unwrap()).exists());
        dead.map(|link| format!("{}: {link}", readme.path))
            .collect::<Vec<_>>()
    }));
}

#[test]
fn commands_of_the_bench_that_a_readme_names_exist() {
    check("cargo qa ", env!("CARGO_BIN_EXE_slapbox-qa"));
}

#[test]
fn commands_of_the_image_that_a_readme_names_exist() {
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_slapbox-qa"))
        .parent()
        .unwrap();
    check(
        "cargo image ",
        folder.join("slapbox-image").to_str().unwrap(),
    );
}

#[test]
fn commands_of_people_that_a_readme_names_exist() {
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_slapbox-qa"))
        .parent()
        .unwrap();
    check("`slapbox ", folder.join("slapbox").to_str().unwrap());
}

/// Compares the words after `prefix` in all READMEs with the commands that `program --help` lists.
fn check(prefix: &str, program: &str) {
    let help = Command::new(program)
        .arg("--help")
        .output()
        .map(|output| output.stdout)
        .unwrap_or_default();
    let help = String::from_utf8_lossy(&help).into_owned();
    let list = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"));
    let listed: Vec<&str> = list
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(
        !listed.is_empty(),
        "{program} says no commands: `cargo build --workspace` makes it"
    );
    none(readmes().flat_map(|readme| {
        let named = readme.text.split(prefix).skip(1).map(first_word);
        let unknown = named
            .filter(|word| !word.is_empty() && !word.starts_with('-') && !listed.contains(word));
        unknown
            .map(|word| format!("{}: {prefix}{word}", readme.path))
            .collect::<Vec<_>>()
    }));
}

fn first_word(text: &str) -> &str {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .next()
        .unwrap_or_default()
}

fn readmes() -> impl Iterator<Item = File> {
    files().filter(|file| file.name() == "README.md")
}
