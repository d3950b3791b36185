//! From wishes to rules, as reviewed. That the kernel takes them, and what they hold, is tested in a box (`qa`).

use slap::RequestedState;

use super::*;
use crate::causes::in_one_line;
use crate::desired::{Instance, Routed, SoftwareUrl};

const IDS: Ids = Ids {
    uid: 20_007,
    gid: 20_007,
};

fn partition() -> PartitionName {
    PartitionName::new(7)
}

fn prefix() -> Ipv6Net {
    "fd12:3456:789a:1::/64".parse().unwrap()
}

fn instance(said: &[(&str, &str)]) -> Instance {
    let text = |text: &str| text.to_owned();
    Instance {
        state: RequestedState::Started,
        software: SoftwareUrl::new("https://x/demo.oci.tar"),
        software_type: text("default"),
        title: text("site"),
        root_title: text("site"),
        reference: text("SOFTINST-1"),
        timestamp: text("1"),
        parameters: BTreeMap::new(),
        shared: Vec::new(),
        ip_list: ["10.0.0.9", "fd12:3456:789a:1::9"]
            .map(|address| (text("slaptap7"), address.parse().unwrap()))
            .into(),
        asked: BTreeMap::new(),
        routed: vec![Routed {
            interface: text("route_slaptap7"),
            address: "203.0.113.9".parse().unwrap(),
            gateway: text("203.0.113.1"),
            netmask: text("255.255.255.240"),
            network: text("203.0.113.0"),
        }],
        firewall: said
            .iter()
            .map(|(key, value)| (text(key), text(value)))
            .collect(),
        retention_days: 0.0,
        connection: BTreeMap::new(),
    }
}

fn document() -> config::Firewall {
    config::Firewall {
        authorized_sources: BTreeSet::from(["192.0.2.7/32".parse().unwrap()]),
    }
}

/// The guard of an instance whose tree has another one on this node, and one elsewhere.
fn guard(
    said: &[(&str, &str)],
    whitelist: Option<&str>,
    settings: Option<&config::Firewall>,
) -> Result<Option<Guard>, WishError> {
    let (instance, ranges) = (instance(said), ranges(prefix(), partition(), IDS));
    let wishes = Wishes {
        partition: partition(),
        ids: IDS,
        instance: &instance,
        whitelist: whitelist.map(str::as_bytes),
        ranges: &ranges,
        settings,
    };
    let tree = [
        "10.0.0.9",
        "fd12:3456:789a:1::9",
        "fd12:3456:789a:1::a",
        "fd12:3456:789a:2::5",
    ];
    let accounts = accounts();
    wishes.guard(&tree.map(|address| address.parse().unwrap()), |nets| {
        users_in(prefix(), nets, &accounts)
    })
}

fn text(said: &[(&str, &str)], whitelist: Option<&str>) -> String {
    let guard = guard(said, whitelist, None).unwrap();
    rules::rules(guard.iter())
}

#[test]
fn where_nobody_says_anything_nobody_is_kept_from_anybody() {
    assert_eq!(guard(&[], None, None), Ok(None));
    insta::assert_snapshot!(rules::rules([].iter()));
}

#[test]
fn what_is_routed_is_protected_where_the_document_says_so() {
    let guard = guard(&[], None, Some(&document())).unwrap();
    insta::assert_snapshot!(rules::rules(guard.iter()));
}

#[test]
fn the_requester_says_who_reaches_it() {
    let sources = "198.51.100.0/24 198.51.100.7, 2001:db8::7";
    insta::assert_snapshot!(text(&[("fw_authorized_sources", sources)], None));
}

#[test]
fn the_requester_says_who_does_not_reach_it() {
    let said = [
        ("fw_restricted_access", "off"),
        (
            "fw_rejected_sources",
            "198.51.100.7 2001:db8::/32 10.0.0.11",
        ),
    ];
    insta::assert_snapshot!(text(&said, None));
    // Nobody is rejected.
    assert_eq!(text(&said[..1], None), rules::rules([].iter()));
}

#[test]
fn a_partition_says_whom_it_reaches() {
    insta::assert_snapshot!(text(&[], Some(r#"["198.51.100.7", "2001:db8::7"]"#)));
    let nobody = text(&[], Some("[]"));
    assert!(
        nobody.contains("ip daddr { 10.0.0.9, 203.0.113.9 } accept"),
        "{nobody}"
    );
}

#[test]
fn what_cannot_be_understood_is_said() {
    let mut table = String::new();
    for said in [
        ("fw_restricted_access", "no"),
        ("fw_authorized_sources", "198.51.100.0/33"),
        ("fw_authorized_sources", "198.51.100.7 somebody"),
        ("fw_authorized_sources", "0.0.0.0/0;reject"),
        ("fw_rejected_sources", "2001:db8::/129"),
    ] {
        let error = guard(&[said], None, None).unwrap_err();
        table.push_str(&format!("{said:?}\n    {error}\n"));
    }
    for file in ["", "{}", "[7]", "[\"198.51.100.0/24\"]", "[\"somebody\"]"] {
        let error = guard(&[], Some(file), None).unwrap_err();
        table.push_str(&format!("{file}\n    {error}\n"));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn other_wishes_are_told_from_these() {
    let made_for = |said: &[(&str, &str)], whitelist: Option<&str>| {
        let guard = guard(said, whitelist, None).unwrap();
        guard.map(|guard| guard.made_for)
    };
    let all = [
        made_for(&[], None),
        made_for(&[("fw_restricted_access", "on")], None),
        made_for(&[("fw_authorized_sources", "::1")], None),
        made_for(&[("fw_authorized_sources", "::2")], None),
        made_for(&[], Some("[]")),
        made_for(&[], Some("[\"10.0.0.1\"]")),
    ];
    let different: BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len());
    assert_eq!(all[0], None);
}

/// Partitions 7, 8 and 9 of this node.
fn accounts() -> Accounts {
    let (mut users, mut groups) = (
        String::new(),
        String::from("slapsoft:x:19999:slapuser7,slapuser8,slapuser9\n"),
    );
    for number in 7..10 {
        users.push_str(&format!(
            "slapuser{number}:x:2000{number}:2000{number}::/:/usr/sbin/nologin\n"
        ));
        groups.push_str(&format!("slapuser{number}:x:2000{number}:\n"));
    }
    Accounts::parse(&users, &groups)
}

#[test]
fn neighbours_are_known_by_their_addresses() {
    let of = |net: &str| {
        let nets = BTreeSet::from([net.parse().unwrap()]);
        let users = users_in(prefix(), &nets, &accounts());
        users
            .into_iter()
            .map(|(first, _)| first)
            .filter(|first| *first < 30_000)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("fd12:3456:789a:1::a/128"), [20_008]);
    assert_eq!(of("10.0.0.10/32"), [20_008]);
    assert_eq!(of("fd12::/16"), [20_007, 20_008, 20_009]);
    assert_eq!(of("fd12:3456:789a:2::a/128"), Vec::<u32>::new());
    assert_eq!(of("198.51.100.0/24"), Vec::<u32>::new());
}

fn firewall(folder: &tempfile::TempDir) -> Firewall {
    let folder = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    Firewall::of(&Paths {
        guards: folder.join("firewall.json"),
        ..Paths::default()
    })
}

#[tokio::test]
async fn a_node_on_which_nobody_wants_a_rule_needs_no_firewall() {
    let folder = tempfile::tempdir().unwrap();
    let firewall = firewall(&folder);
    firewall.restore().await.unwrap();
    firewall.set(partition(), None).await.unwrap();
    assert_eq!(firewall.made_for().await, BTreeMap::new());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_rule_that_cannot_be_set_is_none_that_holds() {
    if Utf8PathBuf::from(NFT).exists() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let firewall = firewall(&folder);
    let guard = guard(&[], Some("[]"), None).unwrap();
    let error = firewall.set(partition(), guard).await.unwrap_err();
    let said = "this node has no `/usr/sbin/nft`, which sets its firewall: it is in the package `nftables`";
    assert_eq!(in_one_line(&error), said);
    assert_eq!(firewall.made_for().await, BTreeMap::new());
}

#[tokio::test]
async fn notes_that_are_spoilt_are_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let firewall = firewall(&folder);
    disk::replace(&firewall.notes, b"{").unwrap();
    firewall.restore().await.unwrap();
    assert!(!firewall.notes.exists());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
