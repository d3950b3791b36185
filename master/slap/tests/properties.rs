//! The codec against any value and any text: what is written is read again, and nothing that is read makes it panic.

use std::collections::BTreeMap;

use proptest::prelude::*;
use slap::forms::InstanceForm;
use slap::partition::{InstanceParameters, RESERVED_NAMES};
use slap::usage::Movement;
use slap::value::{Class, Object};
use slap::{
    ComputerId, Consumption, Journal, PartitionId, RequestForm, RequestedState, Title, Value,
    instance_xml, xml,
};

/// What XML can carry, with the characters that need care more often than chance has them.
fn text() -> impl Strategy<Value = String> + Clone {
    let awkward = prop::sample::select(vec![
        "&", "<", ">", "&amp;", "&lt;", "&#13;", "]]>", "\r", "\r\n", "\"", "'", "\u{7f}",
        "\u{85}", "é", "😀", " ", "\n",
    ]);
    let any = any::<char>().prop_filter("XML can carry it", |c| {
        matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
    });
    prop::collection::vec(
        prop_oneof![awkward.prop_map(str::to_owned), any.prop_map(String::from)],
        0..8,
    )
    .prop_map(|parts| parts.concat())
}

fn texts() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map(text(), text(), 0..5)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>()
            .prop_filter("equal to itself", |n| !n.is_nan())
            .prop_map(Value::Float),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        let items = prop::collection::vec(inner.clone(), 0..5);
        let entries = prop::collection::btree_map(text(), inner, 0..5);
        let class = prop::sample::select(vec![
            Class::Computer,
            Class::ComputerPartition,
            Class::SoftwareRelease,
            Class::SoftwareInstance,
        ]);
        prop_oneof![
            items.clone().prop_map(Value::Tuple),
            items.clone().prop_map(Value::List),
            items.clone().prop_map(Value::Set),
            entries.clone().prop_map(Value::Dict),
            (class, items, entries).prop_map(|(class, init, state)| Value::Object(Object {
                class,
                init,
                state
            })),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(value in value()) {
        let document = xml::write(&value);
        prop_assert!(document.is_ascii());
        prop_assert_eq!(xml::read(&document).unwrap(), value);
    }

    #[test]
    fn a_request_arrives_as_it_was_made(
        title in "[^\\p{C}]{1,40}", software in "[!-~]{1,40}", parameters in texts(), filter in texts(), shared: bool,
        state in prop::option::of(prop::sample::select(vec![RequestedState::Started, RequestedState::Stopped, RequestedState::Destroyed])),
        of_an_instance: bool,
    ) {
        let requester = of_an_instance.then(|| InstanceForm { computer: ComputerId::numbered(1), partition: PartitionId::indexed(7) });
        let form = RequestForm {
            project: None,
            requester, software_url: software, software_type: "default".into(), title: Title::new(title).unwrap(), shared, parameters, filter, state,
        };
        let fields = form.to_pairs().into_iter().map(|(field, text)| (field.to_owned(), text)).collect();
        prop_assert_eq!(RequestForm::from_fields(fields).unwrap(), form);
    }

    #[test]
    fn an_instance_gets_the_parameters_that_its_requester_gave(user in texts(), shared in prop::collection::vec(texts(), 0..3)) {
        let user: BTreeMap<_, _> = user.into_iter().filter(|(name, _)| !RESERVED_NAMES.contains(&name.as_str())).collect();
        let given = InstanceParameters { user, shared, ..InstanceParameters::default() };
        let document = xml::write(&given.to_value());
        prop_assert_eq!(InstanceParameters::from_value(xml::read(&document).unwrap()).unwrap(), given);
    }

    #[test]
    fn a_text_that_xml_cannot_carry_harms_nothing_else(text in any::<String>(), other in text()) {
        let value = Value::List(vec![Value::String(text), Value::String(other.clone())]);
        let Value::List(items) = xml::read(&xml::write(&value)).unwrap() else { panic!("no list") };
        prop_assert_eq!(&items[1], &Value::String(other));
    }

    #[test]
    fn a_partition_says_what_it_used_in_any_words(
        resource in text(), title in prop::option::of(text()), reference in prop::option::of(text()), vat in text(),
        categories in prop::collection::vec(text(), 0..3), quantity in any::<f64>(), price in any::<f64>(),
    ) {
        let (quantity, price) = (quantity.into(), price.into());
        let consumption = Consumption { movements: vec![Movement { resource, title, reference, quantity, price, vat, categories }] };
        prop_assert_eq!(Consumption::from_xml(&consumption.to_xml()).unwrap(), consumption);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        let _ = Journal::from_xml(&text);
        let _ = Consumption::from_xml(&format!("<consumption>{text}</consumption>"));
        let _ = xml::read(&text);
        let _ = xml::read(&format!("<marshal>{text}</marshal>"));
        let _ = instance_xml::read(&text);
    }

    #[test]
    fn no_mixture_of_marks_makes_the_reader_panic(marks in prop::collection::vec(prop::sample::select(vec![
        "<marshal>", "</marshal>", "<list id=\"i2\">", "</list>", "<dictionary id=\"i3\">", "</dictionary>", "<tuple>", "</tuple>",
        "<object id=\"i4\" module=\"slapos.slap.slap\" class=\"Computer\">", "</object>", "<reference id=\"i2\"/>", "<reference id=\"i3\"/>",
        "<string>", "</string>", "<int>", "</int>", "<none/>", "7", "&amp;", "&", "<", "\"",
    ]), 0..24)) {
        let _ = xml::read(&marks.concat());
    }

    #[test]
    fn a_damaged_document_is_an_error_or_a_value(value in value(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut document = xml::write(&value).into_bytes();
        let at = at.index(document.len());
        document[at] = byte;
        if let Ok(document) = std::str::from_utf8(&document) {
            let _ = xml::read(document);
        }
    }

    #[test]
    fn instance_xml_keeps_texts(parameters in prop::collection::btree_map(text(), text(), 0..5)) {
        let expected: BTreeMap<_, _> = parameters.iter().map(|(key, text)| (key.clone(), Some(text.clone()).filter(|t| !t.is_empty()))).collect();
        prop_assert_eq!(instance_xml::read(&instance_xml::write(&parameters)).unwrap(), expected);
    }
}
