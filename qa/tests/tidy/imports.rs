//! Who may import what: the table of the house, and the bans that `cargo deny` would hold, without needing that tool.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Node, Package};

use crate::tree::{none, workspace};

/// A crate, and what its own code must not name.
const TABLE: [(&str, &[&str]); 11] = [
    (
        "slap",
        &["axum", "slapbox-agent", "slapbox-master", "sqlx", "zbus"],
    ),
    (
        "slapbox-overlay",
        &[
            "slap",
            "slapbox-agent",
            "slapbox-master",
            "slapbox-re6st",
            "reqwest",
        ],
    ),
    (
        "slapbox-re6st",
        &["slapbox-agent", "slapbox-master", "rtnetlink", "zbus"],
    ),
    (
        "slapbox-agent",
        &["slapbox-master", "sqlx", "axum", "rtnetlink"],
    ),
    (
        "slapbox-promises",
        &[
            "reqwest",
            "slap",
            "slapbox-agent",
            "slapbox-master",
            "tokio",
            "zbus",
        ],
    ),
    (
        "slapbox-quota",
        &["slap", "slapbox-agent", "slapbox-overlay", "tokio", "zbus"],
    ),
    (
        "slapbox-master",
        &[
            "slapbox-agent",
            "slapbox-overlay",
            "slapbox-re6st",
            "zbus",
            "rtnetlink",
            "nix",
        ],
    ),
    (
        "slapbox",
        &[
            "slapbox-agent",
            "slapbox-master",
            "slapbox-overlay",
            "slapbox-re6st",
            "axum",
            "sqlx",
            "zbus",
        ],
    ),
    (
        "slapbox-image",
        &[
            "slap",
            "slapbox-agent",
            "slapbox-master",
            "slapbox-overlay",
            "slapbox-re6st",
            "tokio",
        ],
    ),
    (
        "mkosi-config-builder",
        &[
            "slap",
            "slapbox-image",
            "slapbox-agent",
            "slapbox-master",
            "tokio",
            "clap",
        ],
    ),
    (
        "slapbox-qa",
        &[
            "slapbox-agent",
            "slapbox-master",
            "slapbox-overlay",
            "slapbox-re6st",
            "slapbox-image",
            "reqwest",
            "rustls",
        ],
    ),
];

/// What the protocol's crate may only name in its feature `client`.
const ONLY_FOR_CLIENTS: [&str; 3] = ["reqwest", "rustls", "tokio"];

#[test]
fn every_crate_imports_only_what_the_table_allows() {
    let metadata = metadata();
    none(TABLE.iter().flat_map(|(name, banned)| {
        let package = metadata
            .workspace_packages()
            .into_iter()
            .find(|package| package.name == *name)
            .unwrap();
        let own = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind != DependencyKind::Development);
        let wrong = own.filter(|dependency| banned.contains(&dependency.name.as_str()));
        wrong
            .map(|dependency| format!("{name} imports {}", dependency.name))
            .collect::<Vec<_>>()
    }));
}

#[test]
fn every_crate_of_the_workspace_is_in_the_table() {
    let metadata = metadata();
    let unknown = metadata
        .workspace_packages()
        .into_iter()
        .filter(|package| TABLE.iter().all(|(name, _)| package.name != *name));
    none(unknown.map(|package| package.name.to_string()));
}

#[test]
fn the_protocol_does_no_io_unless_a_client_asks_for_it() {
    let metadata = metadata();
    let slap = metadata
        .workspace_packages()
        .into_iter()
        .find(|package| package.name == "slap")
        .unwrap();
    let own = slap
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == DependencyKind::Normal && !dependency.optional);
    none(
        own.filter(|it| ONLY_FOR_CLIENTS.contains(&it.name.as_str()))
            .map(|it| it.name.clone()),
    );
}

#[test]
fn only_the_named_wrappers_use_a_banned_crate() {
    let bans = bans();
    let metadata = metadata();
    let packages: BTreeMap<_, _> = metadata.packages.iter().map(|it| (&it.id, it)).collect();
    none(
        metadata
            .resolve
            .as_ref()
            .unwrap()
            .nodes
            .iter()
            .flat_map(|node| {
                let user = packages[&node.id];
                let used = node.deps.iter().filter(|edge| {
                    edge.dep_kinds
                        .iter()
                        .any(|it| it.kind != DependencyKind::Development)
                });
                let used = used
                    .map(|edge| packages[&edge.pkg].name.as_str())
                    .filter(|used| is_enabled(user, node, used));
                let wrong = used.filter(|used| {
                    bans.get(*used)
                        .is_some_and(|wrappers| !wrappers.contains(user.name.as_str()))
                });
                wrong
                    .map(|used| format!("{} uses {used}", user.name))
                    .collect::<Vec<_>>()
            }),
    );
}

/// Cargo's metadata also lists optional dependencies that only a weak feature (`name?/…`) mentions; those are not built.
fn is_enabled(user: &Package, node: &Node, used: &str) -> bool {
    let wishes: Vec<_> = user
        .dependencies
        .iter()
        .filter(|it| it.name == used)
        .collect();
    wishes.iter().any(|it| !it.optional)
        || wishes.iter().any(|it| {
            let name = it.rename.as_ref().unwrap_or(&it.name);
            let explicit = format!("dep:{name}");
            let active = node
                .features
                .iter()
                .filter_map(|feature| user.features.get(&**feature));
            active
                .flatten()
                .any(|enabled| *enabled == explicit || enabled == name)
        })
}

fn bans() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(workspace().join(".deny.toml")).unwrap();
    let deny: toml::Table = text.parse().unwrap();
    let bans = deny["bans"]["deny"].as_array().unwrap();
    let wrappers = |ban: &toml::Value| -> BTreeSet<String> {
        let named = ban.get("wrappers").and_then(toml::Value::as_array);
        named
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    };
    bans.iter()
        .map(|ban| (ban["crate"].as_str().unwrap().to_owned(), wrappers(ban)))
        .collect()
}

fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.current_dir(workspace()).other_options([
        "--locked".to_owned(),
        "--filter-platform=x86_64-unknown-linux-gnu".to_owned(),
    ]);
    command.exec().unwrap()
}
