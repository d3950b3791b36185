//! The rules of the house that a machine can hold: sizes, purity, who may import what, what lies where.
//! Reads the work tree and cargo's metadata; changes nothing.

#![expect(
    clippy::unwrap_used,
    reason = "a rule that cannot be read is a rule that is broken"
)]

#[path = "tidy/image.rs"]
mod image;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/prose.rs"]
mod prose;
#[path = "tidy/tree.rs"]
mod tree;

use tree::{File, files, none, rust_files};

const LONGEST_FILE: usize = 500;
const PURE: [&str; 3] = ["plan.rs", "desired.rs", "observed.rs"];
const IMPURE: [&str; 9] = [
    "tokio",
    "zbus",
    "std::fs",
    "std::net::Tcp",
    "std::process",
    "now()",
    "rand::",
    "getrandom",
    "reqwest",
];
/// Taps and quotas need `unsafe` calls, so these repeat the workspace's lints but for that one.
const LINTS_OF_THEIR_OWN: [&str; 2] = ["agent/quota/Cargo.toml", "overlay/Cargo.toml"];
/// A workspace of its own, which cannot take anything from this one: fuzzing builds with other flags.
const FUZZ: &str = "master/slap/fuzz/Cargo.toml";
const TOP: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "agent",
    "image",
    "master",
    "overlay",
    "qa",
    "re6st",
];

#[test]
fn the_top_level_is_the_card() {
    let names = std::fs::read_dir(tree::workspace())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    names.sort();
    assert_eq!(names, TOP);
}

#[test]
fn every_folder_of_the_card_says_what_it_is() {
    const SHORTEST_README: usize = 10;
    let folders = TOP
        .iter()
        .filter(|name| tree::workspace().join(name).is_dir());
    none(folders.filter_map(|folder| {
        let lines = std::fs::read_to_string(tree::workspace().join(folder).join("README.md"))
            .unwrap_or_default()
            .lines()
            .count();
        (lines < SHORTEST_README).then(|| format!("{folder}/README.md has {lines} lines"))
    }));
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    none(
        rust_files()
            .filter(|file| !file.text.starts_with("//!"))
            .map(|file| file.path),
    );
}

#[test]
fn no_file_is_longer_than_people_read() {
    none(
        files()
            .filter(|file| file.is("rs") && file.text.lines().count() > LONGEST_FILE)
            .map(|file| file.path),
    );
}

#[test]
fn pure_modules_name_nothing_impure() {
    none(
        rust_files()
            .filter(|file| PURE.contains(&file.name()))
            .flat_map(|file| {
                let code: Vec<String> = file.code().map(str::to_owned).collect();
                let named = IMPURE
                    .iter()
                    .filter(move |word| code.iter().any(|line| line.contains(**word)));
                named
                    .map(move |word| format!("{} names {word}", file.path))
                    .collect::<Vec<_>>()
            }),
    );
}

#[test]
fn modules_are_never_called_mod() {
    none(
        rust_files()
            .filter(|file| file.name() == "mod.rs")
            .map(|file| file.path),
    );
}

#[test]
fn types_are_named_after_things() {
    const EMPTY_WORDS: [&str; 6] = ["Manager", "Helper", "Utils", "Handler", "Info", "Data"];
    none(rust_files().flat_map(|file| {
        let named = |line: &str| -> Option<String> {
            let mut words = line
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .skip_while(|word| word.starts_with("pub") || *word == "crate" || word.is_empty());
            matches!(words.next(), Some("struct" | "enum" | "trait"))
                .then(|| words.next().map(str::to_owned))
                .flatten()
        };
        let types: Vec<String> = file.code().filter_map(named).collect();
        let bad = types
            .into_iter()
            .filter(|name| EMPTY_WORDS.iter().any(|word| name.ends_with(word)));
        bad.map(|name| format!("{}: {name}", file.path))
            .collect::<Vec<_>>()
    }));
}

#[test]
fn what_is_left_to_do_has_an_owner() {
    let mark = ["TO", "DO"].concat();
    let owned = format!("{mark}(");
    none(files().flat_map(|file| {
        let lines: Vec<String> = file
            .text
            .lines()
            .filter(|line| line.contains(&mark) && !line.contains(&owned))
            .map(str::to_owned)
            .collect();
        lines
            .into_iter()
            .map(move |line| format!("{}: {line}", file.path))
            .collect::<Vec<_>>()
    }));
}

#[test]
fn no_test_is_switched_off() {
    let mark = ["#[ign", "ore"].concat();
    none(
        rust_files()
            .filter(|file| file.text.contains(&mark))
            .map(|file| file.path),
    );
}

#[test]
fn no_path_of_one_machine_and_no_mirror_is_committed() {
    const FOLDERS: [&str; 4] = ["root/", "work/", "farm/", "home/"];
    let mirror = ["://deb", ".debian.org"].concat();
    let names_a_machine = |line: &str| {
        line.match_indices('/').any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let free = before.is_none_or(|c| !(c.is_alphanumeric() || "_.$}/-*{)".contains(c)));
            let rest = &line[at + 1..];
            free && FOLDERS.iter().any(|folder| {
                rest.strip_prefix(folder)
                    .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
            })
        }) || line.contains(&mirror)
    };
    none(
        files()
            .filter(|file| file.name() != "Cargo.lock")
            .flat_map(|file: File| {
                let lines: Vec<String> = file
                    .text
                    .lines()
                    .filter(|line| names_a_machine(line))
                    .map(str::to_owned)
                    .collect();
                lines
                    .into_iter()
                    .map(move |line| format!("{}: {}", file.path, line.trim()))
                    .collect::<Vec<_>>()
            }),
    );
}

#[test]
fn every_crate_takes_versions_and_lints_from_the_workspace() {
    none(
        files()
            .filter(|file| file.name() == "Cargo.toml" && file.path != "Cargo.toml")
            .flat_map(|file| {
                let manifest: toml::Table = file.text.parse().unwrap();
                let mut wrong = Vec::new();
                if file.path == FUZZ {
                    return wrong;
                }
                let lints = manifest.get("lints").and_then(|it| it.get("workspace"));
                if lints.is_none() && !LINTS_OF_THEIR_OWN.contains(&file.path.as_str()) {
                    wrong.push(format!("{} sets lints of its own", file.path));
                }
                for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
                    let own = manifest
                        .get(table)
                        .and_then(toml::Value::as_table)
                        .into_iter()
                        .flatten();
                    // A crate may name itself, to test a feature of its own.
                    let own = own.filter(|(_, wish)| {
                        wish.get("workspace").is_none()
                            && wish
                                .get("path")
                                .is_none_or(|path| path.as_str() != Some("."))
                    });
                    wrong.extend(
                        own.map(|(name, _)| format!("{} sets a version of {name}", file.path)),
                    );
                }
                wrong
            }),
    );
}
