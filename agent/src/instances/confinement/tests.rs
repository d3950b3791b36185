//! The properties of units, as reviewed.

use super::*;
use crate::instances::limits::Limits;
use crate::instances::periodicity::Periodicity;
use crate::software::Runs;

fn place() -> Place {
    Place {
        partition: PartitionName::new(7),
        ids: Ids {
            uid: 20_007,
            gid: 20_007,
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

fn release(env: &[&str]) -> Release {
    Release {
        rootfs: "/srv/slapgrid/software/0123456789abcdef0123456789abcdef/rootfs".into(),
        runs: Runs {
            env: env.iter().map(|entry| (*entry).to_owned()).collect(),
            ..Runs::default()
        },
        makes: Makes::Script,
        periodicity: Periodicity::default(),
    }
}

fn program(run: Run) -> Program {
    Program {
        command: vec!["/srv/slapgrid/slappart7/etc/service/nginx".into()],
        run,
        folder: None,
        environment: BTreeMap::new(),
    }
}

fn text(properties: &[Property]) -> String {
    let lines = properties.iter().map(ToString::to_string);
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_service_is_confined_as_reviewed() {
    let all = properties(&place(), &release(&[]), &program(Run::Service));
    insta::assert_snapshot!(text(&all));
}

#[test]
fn a_task_and_a_promise_differ_only_in_how_they_run() {
    let service = properties(&place(), &release(&[]), &program(Run::Service));
    let task = properties(&place(), &release(&[]), &program(Run::Task));
    let promise = Run::Once(Duration::from_secs(20));
    let promise = properties(&place(), &release(&[]), &program(promise));
    let only = |of: &[Property]| {
        let own = of.iter().filter(|one| !service.contains(one)).cloned();
        text(&own.collect::<Vec<_>>())
    };
    assert_eq!(only(&task), "Restart=on-failure\nRemainAfterExit=yes");
    assert_eq!(
        only(&promise),
        "Type=oneshot\nRestart=no\nTimeoutStartUSec=20000000\nNice=19"
    );
}

#[test]
fn the_slice_accounts_for_everything() {
    insta::assert_snapshot!(text(&slice_properties(
        PartitionName::new(7),
        &Limits::default()
    )));
}

#[test]
fn an_image_may_set_its_path_but_not_who_the_instance_is() {
    let image = [
        "PATH=/opt/bin",
        "HOME=/root",
        "SLAPOS_IPV6=::",
        "=x",
        "1A=x",
        "no-equals",
        "BELL=\u{7}",
        "GOOD=a=b",
    ];
    let environment = environment(&place(), &release(&image), &program(Run::Service));
    insta::assert_snapshot!(environment.join("\n"));
}

#[test]
fn a_description_says_what_a_unit_was_started_as() {
    let fingerprint = Fingerprint::of(b"x");
    let description = description(PartitionName::new(7), "nginx", &fingerprint);
    assert_eq!(fingerprint_of(&description), Some(fingerprint));
    for other in ["", "a [b", "a b]", "nginx"] {
        assert_eq!(fingerprint_of(other), None, "{other}");
    }
}

#[test]
fn every_property_has_the_type_that_systemd_expects() {
    let mut all = properties(&place(), &release(&[]), &program(Run::Task));
    all.extend(properties(&place(), &release(&[]), &program(Run::Service)));
    let once = Run::Once(Duration::from_secs(20));
    all.extend(properties(&place(), &release(&[]), &program(once)));
    all.extend(slice_properties(PartitionName::new(7), &Limits::default()));
    let mut types: BTreeMap<&str, String> = BTreeMap::new();
    for property in &all {
        let variant = zbus::OwnedVariant::from(&property.value);
        types.insert(property.name, variant.value_signature().to_string());
    }
    let lines: Vec<_> = types
        .iter()
        .map(|(name, kind)| format!("{name} {kind}"))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_release_opens_the_devices_that_it_asks_for_and_no_others() {
    let without = properties(&place(), &release(&[]), &program(Run::Service));
    let mut release = release(&[]);
    release.runs.devices = [software::Device::Kvm, software::Device::Tun].into();
    let with = properties(&place(), &release, &program(Run::Service));
    let added: Vec<_> = with
        .into_iter()
        .filter(|one| !without.contains(one))
        .collect();
    assert_eq!(
        text(&added),
        "DeviceAllow=/dev/kvm rw\nBindPaths=-/dev/kvm:/dev/kvm\nSupplementaryGroups=kvm\n\
         DeviceAllow=/dev/net/tun rw\nBindPaths=-/dev/net/tun:/dev/net/tun"
    );
}
