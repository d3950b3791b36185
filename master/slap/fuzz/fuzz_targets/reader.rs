//! Whatever is sent, the readers of the codec end, use no memory to speak of, and never panic; what they accept they write again the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use slap::forms::{
    BangForm, ConnectionForm, ErrorForm, Fields, InstanceForm, RenameForm, RequestForm, SupplyForm,
};
use slap::{
    Computer, ComputerConfiguration, ComputerPartition, Journal, SoftwareInstance, instance_xml,
    xml,
};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    values(text);
    documents(text);
    forms(text);
});

fn values(text: &str) {
    let Ok(value) = xml::read(text) else {
        return;
    };
    let written = xml::write(&value);
    // Compared as text: a number that is none equals nothing, itself neither.
    let again = xml::read(&written).expect("what was written can be read");
    assert_eq!(xml::write(&again), written);
    let _json = value.to_json();
}

fn documents(text: &str) {
    if let Ok(computer) = Computer::from_xml(text) {
        assert_eq!(Computer::from_xml(&computer.to_xml()).unwrap(), computer);
    }
    if let Ok(partition) = ComputerPartition::from_xml(text) {
        let again = ComputerPartition::from_xml(&partition.to_xml()).unwrap();
        assert_eq!(again, partition);
    }
    if let Ok(instance) = SoftwareInstance::from_xml(text) {
        let again = SoftwareInstance::from_xml(&instance.to_xml()).unwrap();
        assert_eq!(again, instance);
    }
    if let Ok(configuration) = ComputerConfiguration::from_xml(text) {
        let again = ComputerConfiguration::from_xml(&configuration.to_xml()).unwrap();
        assert_eq!(again.reference, configuration.reference);
    }
    let _parameters = instance_xml::read(text);
    let _journal = Journal::from_xml(text);
}

/// The text as every field of every form, and as a header.
fn forms(text: &str) {
    const FIELDS: [&str; 18] = [
        "computer_id",
        "computer_partition_id",
        "software_release",
        "software_type",
        "partition_reference",
        "shared_xml",
        "partition_parameter_xml",
        "filter_xml",
        "state",
        "connection_xml",
        "slave_reference",
        "error_log",
        "message",
        "new_name",
        "url",
        "instance_reference_xml",
        "xml",
        "use_string",
    ];
    let fields = || -> Fields {
        FIELDS
            .iter()
            .map(|name| {
                let text = match *name {
                    "computer_id" => "COMP-1",
                    "computer_partition_id" => "slappart0",
                    _ => text,
                };
                ((*name).to_owned(), text.to_owned())
            })
            .collect()
    };
    if let Ok(form) = RequestForm::from_fields(fields()) {
        let pairs = form.to_pairs();
        let again = pairs
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text));
        assert_eq!(
            RequestForm::from_fields(again.collect()).unwrap().title,
            form.title
        );
    }
    let _connection = ConnectionForm::from_fields(fields());
    let _supply = SupplyForm::from_fields(fields());
    let _rename = RenameForm::from_fields(fields());
    let _error = ErrorForm::from_fields(fields());
    let _bang = BangForm::from_fields(fields());
    let _instance = InstanceForm::from_authorization(text);
}
