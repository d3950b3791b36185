//! Redirections as partitions write them, and the units that they become.

use super::*;
use crate::causes::in_one_line;
use crate::desired::PartitionName;
use crate::instances::limits::Limits;
use crate::partitions::users::Ids;

fn own() -> Vec<IpAddr> {
    ["fd12:3456:789a:1::9", "10.0.0.9", "203.0.113.9"]
        .map(|address| address.parse().unwrap())
        .into()
}

fn all(text: &str) -> Result<Vec<String>, String> {
    let all = parse(text.as_bytes(), &own()[..2], &own()).map_err(|error| in_one_line(&error))?;
    Ok(all.values().map(ToString::to_string).collect())
}

#[test]
fn redirections_are_read_as_the_original_writes_them() {
    let text = r#"[{"srcPort": 80, "destPort": "8080"},
        {"srcPort": 53, "destPort": 5353, "srcAddress": "10.0.0.9", "destAddress": "203.0.113.9", "type": "UDP"}]"#;
    assert_eq!(
        all(text).unwrap(),
        [
            "tcp 10.0.0.9:80 → [fd12:3456:789a:1::9]:8080",
            "udp 10.0.0.9:53 → 203.0.113.9:5353"
        ]
    );
    assert_eq!(all("[]").unwrap(), Vec::<String>::new());
}

#[test]
fn what_is_wrong_with_a_redirection_is_said() {
    let mut table = String::new();
    for text in [
        "",
        "{}",
        "[7]",
        r#"[{"srcPort": 80}]"#,
        r#"[{"srcPort": 0, "destPort": 80}]"#,
        r#"[{"srcPort": 80, "destPort": "http"}]"#,
        r#"[{"srcPort": 80, "destPort": 65536}]"#,
        r#"[{"srcPort": 80, "destPort": 80, "type": "sctp"}]"#,
        r#"[{"srcPort": 80, "destPort": 80, "srcAddress": "0.0.0.0"}]"#,
        r#"[{"srcPort": 80, "destPort": 80, "srcAddress": "10.0.0.8"}]"#,
        r#"[{"srcPort": 80, "destPort": 80, "srcAddress": "203.0.113.9"}]"#,
        r#"[{"srcPort": 80, "destPort": 80, "destAddress": "localhost"}]"#,
        r#"[{"srcPort": 80, "destPort": 80, "destAddress": "::1"}]"#,
        r#"[{"srcPort": 80, "destPort": 80}, {"srcPort": 80, "destPort": 81}]"#,
    ] {
        table.push_str(&format!("{text}\n    {}\n", all(text).unwrap_err()));
    }
    let nothing = parse(br#"[{"srcPort": 80, "destPort": 80}]"#, &[], &[]).unwrap_err();
    table.push_str(&in_one_line(&nothing));
    insta::assert_snapshot!(table);
}

#[test]
fn another_redirection_has_another_name() {
    let names = |text: &str| {
        let all = parse(text.as_bytes(), &own()[..2], &own()).unwrap();
        all.into_keys()
            .map(|name| name.to_string())
            .collect::<Vec<_>>()
    };
    let one = names(r#"[{"srcPort": 80, "destPort": 8080}]"#);
    let two = names(r#"[{"srcPort": 80, "destPort": 8081}]"#);
    assert!(
        one[0].starts_with("tcp-80-") && one[0].len() == 23,
        "{one:?}"
    );
    assert_ne!(one, two);
}

#[test]
fn what_carries_is_confined_as_reviewed() {
    let place = Place {
        partition: PartitionName::new(7),
        ids: Ids {
            uid: 20_007,
            gid: 20_007,
        },
        directory: "/srv/slapgrid/slappart7".into(),
        ipv6: None,
        ipv4: None,
        folders: Vec::new(),
        devices: Vec::new(),
        limits: Limits::default(),
        project: None,
    };
    let text = |properties: Vec<Property>| {
        let lines: Vec<_> = properties.iter().map(ToString::to_string).collect();
        lines.join("\n")
    };
    let udp = Redirect {
        transport: Transport::Udp,
        from: "203.0.113.9:53".parse().unwrap(),
        to: "[fd12:3456:789a:1::9]:5353".parse().unwrap(),
    };
    let tcp = Redirect {
        transport: Transport::Tcp,
        ..udp
    };
    let units = [
        text(tcp.socket(&place)),
        text(tcp.service(&place)),
        text(udp.service(&place)),
    ];
    insta::assert_snapshot!(units.join("\n\n"));
}
