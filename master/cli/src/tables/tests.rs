//! What people see.

use serde_json::json;

use super::*;

const NOW: i64 = 1_800_000_000;

fn a_computer() -> Computer {
    serde_json::from_value(json!({
        "reference": "COMP-2", "state": "enrolled", "code": "ABCD-EFGH",
        "inventory": {"name": "edge-1", "memory_bytes": 536_870_912_u64, "cpus": 2, "serial": "S1", "smbios_uuid": "u"},
        "labels": {"site": "lille"}, "last_contact": NOW - 30, "partitions": 200, "partitions_used": 1,
        "report": {"version": "0.1.0", "overlay": {"address": "fd00::1:0:0:0:1", "state": "connected"},
                   "failures": [{"partition": "slappart3", "message": "promise nginx-answers failed"}]},
        "software": [{"url": "https://m/releases/demo.oci.tar", "requested_state": "available", "reported_state": "error",
                      "status": "cannot fetch\nsecond line"}],
        "usage": {"date": "2027-01-14", "partitions": [
            {"partition": "slappart0", "cpu_seconds": 12.34, "memory_average_bytes": 52_428_800, "memory_peak_bytes": 104_857_600,
             "disk_bytes": 7_340_032, "io_read_bytes": 0, "io_written_bytes": 4096, "network_received_bytes": 3_000_000_000_u64,
             "network_sent_bytes": 2048},
            {"partition": "slappart17", "cpu_seconds": 0.04}]},
        "warnings": ["COMP-3 has another key and the same SMBIOS UUID u"]
    }))
    .expect("a computer")
}

#[test]
fn computers_are_a_table() {
    let pending = Computer {
        state: ComputerState::Pending,
        last_contact: None,
        report: None,
        ..a_computer()
    };
    insta::assert_snapshot!(computers(
        &Computers {
            computers: vec![a_computer(), pending]
        },
        NOW
    ));
}

#[test]
fn a_computer_is_a_list_of_facts() {
    insta::assert_snapshot!(computer(&a_computer(), NOW));
}

#[test]
fn tokens_say_how_long_they_live() {
    let token = |id: &str, used: u32, expires_at: i64, revoked: bool, auto_approve: bool| {
        json!({"id": id, "kind": "node", "uses": 2, "used": used, "expires_at": expires_at, "revoked": revoked,
               "auto_approve": auto_approve, "created_at": NOW, "created_by": "urn:slapbox:operator:operator-1"})
    };
    let list = json!({"tokens": [
        token("aaaaaaaaaaaa", 0, NOW + 3600, false, true), token("bbbbbbbbbbbb", 2, NOW + 1, false, true),
        token("cccccccccccc", 1, NOW - 1, false, false), token("dddddddddddd", 0, NOW + 9, true, true),
    ]});
    insta::assert_snapshot!(tokens(&serde_json::from_value(list).unwrap(), NOW));
}

#[test]
fn services_and_releases_are_tables() {
    let list = json!({"services": [
        {"title": "site", "reference": "SOFTINST-1", "software_url": "u", "software_type": "default", "requested_state": "started",
         "reported_state": "started", "computer": "COMP-2", "partition": "slappart0"},
        {"title": "a longer title", "reference": "SOFTINST-2", "software_url": "u", "software_type": "default",
         "requested_state": "stopped", "status": "no computer fits: computer_guid=COMP-9 is unknown"},
    ]});
    insta::assert_snapshot!(services(&serde_json::from_value(list).unwrap()));
    let list = json!({"releases": [{"name": "demo.oci.tar", "url": "https://m/releases/demo.oci.tar", "sha256": "x",
                                    "size": 41_943_040, "published_at": NOW - 86_400 * 3, "published_by": "operator-1"}]});
    insta::assert_snapshot!(releases(&serde_json::from_value(list).unwrap(), NOW));
}

#[test]
fn an_instance_is_shown_with_what_it_published() {
    let shown = SoftwareInstance {
        computer: "COMP-2".parse().unwrap(),
        partition: "slappart0".parse().unwrap(),
        guid: Some("SOFTINST-1".parse().unwrap()),
        requested_state: Some(slap::RequestedState::Started),
        software_url: "u".into(),
        software_type: "default".into(),
        parameters: [].into(),
        connection: [("url".to_owned(), "http://[fd00::2]:8080/".to_owned())].into(),
        addresses: vec![slap::partition::NetworkAddress {
            interface: "slaptap0".into(),
            address: "fd00::2".parse().unwrap(),
        }],
        instance_title: None,
        root_instance_title: None,
    };
    insta::assert_snapshot!(instance("site", &shown));
}

#[test]
fn a_service_is_a_list_of_facts() {
    let service: Service = serde_json::from_value(json!({
        "title": "site", "reference": "SOFTINST-1", "software_url": "u", "software_type": "default", "requested_state": "started",
        "reported_state": "error", "status": "#error while instanciating: it\ndoes not start", "computer": "COMP-2",
        "partition": "slappart0", "ip_list": [["slaptap0", "fd00::2"]], "parameters": {"greeting": "hello"},
        "connection": {"url": "http://[fd00::2]:8080/"}
    }))
    .unwrap();
    insta::assert_snapshot!(super::service(&service, false));
    let whole = super::service(&service, true);
    assert!(whole.contains("it does not start"), "{whole}");
}

#[test]
fn the_log_says_who_did_what_when() {
    let entries: Vec<LogEntry> = serde_json::from_value(json!([
        {"number": 1, "at": NOW, "actor": "urn:slapbox:operator:operator-1", "action": "create token", "subject": "abcdef", "detail": "node"},
        {"number": 2, "at": NOW + 61, "actor": "urn:slapbox:computer:COMP-1", "action": "report", "subject": "SOFTINST-1", "detail": "started\u{1b}[2J"},
    ]))
    .unwrap();
    insta::assert_snapshot!(log(&entries));
    assert_eq!(
        log_line(&entries[1]),
        "2027-01-15 08:01:01Z  COMP-1            report              SOFTINST-1      started [2J"
    );
}
