//! The codec against what the original peers really sent: read, understood, and written again byte for byte.

use std::collections::BTreeMap;

use slap::forms::{
    BangForm, ConnectionForm, ErrorForm, Fields, InstanceForm, Pairs, SoftwareForm, SupplyForm,
};
use slap::{
    Computer, ComputerConfiguration, ComputerPartition, RequestForm, RequestedState,
    SoftwareInstance, SupplyState, Value, instance_xml, xml,
};

macro_rules! golden {
    ($name:literal) => {
        include_str!(concat!("golden/", $name))
    };
}

const DOCUMENTS: [(&str, &str); 9] = [
    ("computer-free", golden!("computer-free.xml")),
    ("computer-started", golden!("computer-started.xml")),
    ("computer-destroyed", golden!("computer-destroyed.xml")),
    ("computer-tree", golden!("computer-tree.xml")),
    ("partition", golden!("partition.xml")),
    ("instance", golden!("instance.xml")),
    ("instance-published", golden!("instance-published.xml")),
    ("configuration", golden!("configuration.xml")),
    ("instance-list", golden!("instance-list.xml")),
];

#[test]
fn every_recorded_document_is_written_again_byte_for_byte() {
    for (name, document) in DOCUMENTS {
        let value = xml::read(document).unwrap();
        assert_eq!(xml::write(&value), document, "{name}");
    }
}

#[test]
fn typed_objects_lose_nothing_that_they_know() {
    for (name, document) in DOCUMENTS
        .into_iter()
        .filter(|(name, _)| name.starts_with("computer-"))
    {
        let computer = Computer::from_xml(document).unwrap();
        assert_eq!(
            Computer::from_xml(&computer.to_xml()).unwrap(),
            computer,
            "{name}"
        );
    }
    let instance = SoftwareInstance::from_xml(golden!("instance-published.xml")).unwrap();
    assert_eq!(
        SoftwareInstance::from_xml(&instance.to_xml()).unwrap(),
        instance
    );
    let configuration = ComputerConfiguration::from_xml(golden!("configuration.xml")).unwrap();
    assert_eq!(
        ComputerConfiguration::from_xml(&configuration.to_xml()).unwrap(),
        configuration
    );
}

#[test]
fn a_computer_without_instances_is_written_as_the_original_writes_it() {
    let document = golden!("computer-free.xml");
    assert_eq!(Computer::from_xml(document).unwrap().to_xml(), document);
}

#[test]
fn free_and_to_be_destroyed_are_told_apart() {
    let occupants = |document| {
        let computer = Computer::from_xml(document).unwrap();
        let states = computer
            .partitions
            .into_iter()
            .map(|p| p.occupant.map(|o| o.requested_state));
        states.collect::<Vec<_>>()
    };
    assert_eq!(occupants(golden!("computer-free.xml")), [None, None, None]);
    assert_eq!(
        occupants(golden!("computer-started.xml")),
        [Some(RequestedState::Started), None, None]
    );
    assert_eq!(
        occupants(golden!("computer-destroyed.xml")),
        [Some(RequestedState::Destroyed), None, None]
    );
}

#[test]
fn a_partition_says_what_to_run_and_with_what() {
    let partition = ComputerPartition::from_xml(golden!("partition.xml")).unwrap();
    let occupant = partition.occupant.unwrap();
    assert_eq!(occupant.software.url, "/srv/peer/sr/cookbook/software.cfg");
    assert_eq!(occupant.software.state(), SupplyState::Available);
    assert_eq!(occupant.parameters.user, texts([("color", "blue")]));
    assert_eq!(occupant.parameters.instance_title, "inst1");
    assert_eq!(occupant.parameters.timestamp.0, "1795208941.0225027");
    let addresses = occupant.parameters.addresses.iter();
    let addresses: Vec<_> = addresses
        .map(|a| format!("{} {}", a.interface, a.address))
        .collect();
    assert_eq!(addresses, ["slaptap0 10.0.55.48", "slaptap0 fd00:5ef:1::2"]);
}

#[test]
fn a_requester_sees_where_its_instance_is_and_what_it_published() {
    let instance = SoftwareInstance::from_xml(golden!("instance-published.xml")).unwrap();
    assert_eq!(instance.partition.as_str(), "slappart1");
    assert_eq!(instance.requested_state, Some(RequestedState::Started));
    assert_eq!(instance.connection["shout"], "I am the child on slappart1");
    // Published empty, which the original master makes nothing of.
    assert_eq!(instance.connection["cert-file"], "");
}

#[test]
fn an_announcement_says_what_partitions_there_are() {
    let computer = ComputerConfiguration::from_xml(golden!("configuration.xml")).unwrap();
    assert_eq!(computer.reference.as_str(), "slapref-node");
    assert_eq!(computer.partitions.len(), 3);
    let first = &computer.partitions[0];
    assert_eq!(first.reference.index(), Some(0));
    assert_eq!(first.user.name, "slapuser0");
    assert_eq!(first.addresses[1].address.to_string(), "fd00:5ef:1::2");
    assert_eq!(first.ipv6_range.unwrap().prefix_length, 64);
    assert_eq!(first.tap.ipv4, None);
    assert_eq!(
        first.tap.ipv6.unwrap().gateway.to_string(),
        "fd00:5ef:1:8001::1"
    );
}

#[test]
fn an_announced_partition_has_every_key_of_the_original() {
    let document = golden!("configuration.xml");
    let computer = ComputerConfiguration::from_xml(document).unwrap();
    let Value::Dict(mut original) = xml::read(document).unwrap() else {
        panic!("not a dictionary");
    };
    let Some(Value::List(partitions)) = original.remove("partition_list") else {
        panic!("no partitions");
    };
    for (ours, original) in computer.partitions.iter().zip(&partitions) {
        assert_eq!(ours.to_value(), *original);
    }
}

#[test]
fn a_resource_file_is_that_of_the_original() {
    let computer = ComputerConfiguration::from_xml(golden!("configuration.xml")).unwrap();
    insta::assert_snapshot!(computer.partitions[0].resource_file());
}

#[test]
fn a_request_of_a_person_is_understood() {
    let request = RequestForm::from_fields(fields(golden!("request-by-user.form"))).unwrap();
    assert_eq!(request.requester, None);
    assert_eq!(request.title.as_str(), "inst1");
    assert_eq!(request.software_type, "default");
    assert_eq!(request.parameters, texts([("color", "blue")]));
    assert_eq!(request.filter, texts([("computer_guid", "slapref-node")]));
    assert_eq!(request.state, None);
    let stopped = RequestForm::from_fields(fields(golden!("request-stopped.form"))).unwrap();
    assert_eq!(stopped.state, Some(RequestedState::Stopped));
}

#[test]
fn forms_are_sent_as_the_original_sends_them() {
    let same = |body: &str, pairs: Pairs| {
        let ours: Vec<_> = pairs
            .into_iter()
            .map(|(key, text)| (key.to_owned(), text))
            .collect();
        assert_eq!(ours, decode(body));
    };
    let body = golden!("request-by-instance.form");
    same(
        body,
        RequestForm::from_fields(fields(body)).unwrap().to_pairs(),
    );
    let body = golden!("connection.form");
    same(
        body,
        ConnectionForm::from_fields(fields(body))
            .unwrap()
            .to_pairs(),
    );
    let body = golden!("supply.form");
    same(
        body,
        SupplyForm::from_fields(fields(body)).unwrap().to_pairs(),
    );
    let body = golden!("software.form");
    same(
        body,
        SoftwareForm::from_fields(fields(body)).unwrap().to_pairs(),
    );
    let body = golden!("instance.form");
    let form = InstanceForm::from_fields(fields(body)).unwrap();
    same(body, form.to_pairs());
    assert_eq!(
        form.authorization(),
        "X-SlapPartition computer_id=slapref-node, computer_partition_id=slappart0"
    );
    let body = golden!("instance-error.form");
    same(
        body,
        ErrorForm::from_fields(fields(body)).unwrap().to_pairs(),
    );
    let body = golden!("bang.form");
    same(
        body,
        BangForm::from_fields(fields(body)).unwrap().to_pairs(),
    );
}

#[test]
fn instance_xml_is_written_as_masters_keep_it() {
    let document = golden!("instance-parameters.xml");
    let read = instance_xml::read(document).unwrap();
    let texts = read
        .into_iter()
        .map(|(key, text)| (key, text.unwrap()))
        .collect();
    assert_eq!(instance_xml::write(&texts), document);
}

fn texts<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, String> {
    entries
        .map(|(key, text)| (key.to_owned(), text.to_owned()))
        .into()
}

fn fields(body: &str) -> Fields {
    decode(body).into_iter().collect()
}

fn decode(body: &str) -> Vec<(String, String)> {
    let text = |coded: &str| {
        let mut bytes = coded.bytes();
        let mut plain = Vec::new();
        while let Some(byte) = bytes.next() {
            plain.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let digits = [
                        bytes.next().expect("a digit"),
                        bytes.next().expect("a digit"),
                    ];
                    u8::from_str_radix(std::str::from_utf8(&digits).expect("ASCII"), 16)
                        .expect("digits")
                }
                other => other,
            });
        }
        String::from_utf8(plain).expect("UTF-8")
    };
    body.split('&')
        .map(|pair| pair.split_once('=').expect("a pair"))
        .map(|(key, value)| (text(key), text(value)))
        .collect()
}
