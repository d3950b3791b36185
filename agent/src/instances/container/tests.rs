//! Containers as reviewed.

use super::specification::Container;
use super::user::Identity;
use super::*;
use crate::devices::Device;
use crate::instances::confinement::Place;
use crate::instances::limits::Limits;
use crate::partitions::homes::Folder;

fn place() -> Place {
    Place {
        partition: PartitionName::new(7),
        ids: Ids {
            uid: 20_007,
            gid: 20_008,
        },
        directory: "/srv/slapgrid/slappart7".into(),
        ipv6: Some("fd12:3456:789a:1::9".parse().unwrap()),
        ipv4: Some("10.0.0.9".parse().unwrap()),
        folders: vec![Folder {
            on_node: "/mnt/disk1/slappart7".into(),
            seen: "/srv/storage/data0/slappart7".into(),
        }],
        devices: vec![Device {
            node: "/dev/sdb".into(),
            seen: "/dev/disk/by-id/ata-X".into(),
        }],
        limits: Limits::default(),
        project: None,
    }
}

fn runs() -> Runs {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Runs {
        entrypoint: texts(&["docker-entrypoint.sh"]),
        cmd: texts(&["redis-server"]),
        env: texts(&["PATH=/usr/bin", "no-equals", "BAD NAME=x", "MODE=image"]),
        working_dir: "/data".into(),
        user: "redis".into(),
        stop_signal: "SIGQUIT".into(),
        volumes: ["/data", "/var/lib/redis"]
            .map(|path| path.parse().unwrap())
            .into(),
        exposed_ports: ["6379", "53/udp"].map(|port| port.parse().unwrap()).into(),
        devices: BTreeSet::new(),
    }
}

#[test]
fn a_stock_image_is_contained_as_reviewed() {
    let (place, runs) = (place(), runs());
    let identity = Identity {
        uid: 999,
        gid: 998,
        groups: vec![5],
        home: "/var/lib/redis".into(),
    };
    let text = |text: &str| text.to_owned();
    let parameters = BTreeMap::from([
        (text("MODE"), text("requested")),
        (text("LINES"), text("a\nb")),
    ]);
    let bundle = bundle(place.partition);
    let container = Container {
        place: &place,
        runs: &runs,
        identity: &identity,
        mapping: Mapping::of(place.partition, place.ids),
        parameters: &parameters,
        bundle: &bundle,
    };
    let mut specification = container.specification();
    // As long as it is dull; that nothing dangerous is in it is held below.
    let allowed = specification["linux"]["seccomp"]["syscalls"][0]["names"].take();
    insta::assert_snapshot!(serde_json::to_string_pretty(&specification).unwrap());
    let allowed: Vec<String> = serde_json::from_value(allowed).unwrap();
    for name in ["read", "setuid", "chown", "chroot", "openat2"] {
        assert!(allowed.iter().any(|one| one == name), "{name}");
    }
    for name in [
        "clone", "clone3", "unshare", "setns", "mount", "socket", "bpf", "keyctl", "ptrace",
    ] {
        assert!(allowed.iter().all(|one| one != name), "{name}");
    }
}

#[test]
fn its_unit_is_made_as_reviewed() {
    let all = properties(PartitionName::new(7), &runs());
    let lines = all.iter().map(|one| {
        let kind = zbus::OwnedVariant::from(&one.value);
        format!("{one} ({})", kind.value_signature())
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn no_user_of_one_partition_is_one_of_another() {
    let last = |index| {
        let partition = PartitionName::new(index);
        Mapping::of(partition, place().ids).on_node(Ids {
            uid: 65_535,
            gid: 0,
        })
    };
    let first = |index| {
        let partition = PartitionName::new(index);
        Mapping::of(partition, place().ids).on_node(Ids { uid: 1, gid: 1 })
    };
    assert_eq!(last(0).gid, 20_008);
    for index in [0, 1, 198] {
        assert!(last(index).uid < first(index + 1).uid);
    }
    // The end of what systemd sets aside for containers.
    assert!(last(16_382).uid <= 1_879_048_191);
    let mapping = Mapping::of(PartitionName::new(1), place().ids);
    assert_eq!(
        mapping.of_mount(),
        "u:0:20007:1 u:1:589825:65535 g:0:20008:1 g:1:589825:65535"
    );
}

#[test]
fn an_image_publishes_where_it_listens() {
    let address = "fd00::2".parse().unwrap();
    let shown = |ports: &[&str]| {
        let ports = ports.iter().map(|port| port.parse().unwrap()).collect();
        let all = published(Some(address), &ports)?;
        Some(format!("{all:?}"))
    };
    assert_eq!(shown(&[]), None);
    assert_eq!(
        shown(&["80"]).unwrap(),
        r#"{"ipv6": "fd00::2", "ports": "80/tcp", "url": "http://[fd00::2]"}"#
    );
    assert_eq!(
        shown(&["53/udp", "53", "443"]).unwrap(),
        r#"{"ipv6": "fd00::2", "ports": "53/tcp 443/tcp 53/udp", "url": "tcp://[fd00::2]:53", "url-443": "https://[fd00::2]", "url-53": "tcp://[fd00::2]:53"}"#
    );
    assert_eq!(published(None, &["80".parse().unwrap()].into()), None);
}

#[test]
fn a_stop_signal_is_a_name_or_a_number() {
    for (text, number) in [
        ("", 15),
        ("SIGQUIT", 3),
        ("QUIT", 3),
        ("10", 10),
        ("SIGRTMIN+3", 15),
    ] {
        assert_eq!(stop_signal(text), number, "{text}");
    }
}
