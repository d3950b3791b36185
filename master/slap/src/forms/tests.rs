//! Forms that peers may send besides the usual, and those that are refused, in which words.

use std::error::Error as _;

use super::*;
use crate::state::{RequestedState, SupplyState};

fn fields(pairs: &[(&str, &str)]) -> Fields {
    let owned = |(field, text): &(&str, &str)| ((*field).to_owned(), (*text).to_owned());
    pairs.iter().map(owned).collect()
}

fn request(more: &[(&str, &str)]) -> Result<RequestForm, String> {
    let mut pairs = vec![
        ("software_release", "https://h/x"),
        ("partition_reference", "site"),
    ];
    pairs.extend(more);
    RequestForm::from_fields(fields(&pairs)).map_err(|error| match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    })
}

#[test]
fn what_is_absent_empty_or_none_is_the_same() {
    let plain = request(&[]).unwrap();
    assert_eq!(plain.software_type, "default");
    assert_eq!((plain.shared, plain.state), (false, None));
    for nothing in ["", "None", "none"] {
        let more = [
            "software_type",
            "state",
            "filter_xml",
            "partition_parameter_xml",
            "shared_xml",
            "computer_id",
        ];
        assert_eq!(request(&more.map(|field| (field, nothing))).unwrap(), plain);
    }
    assert_eq!(
        request(&[("filter_xml", "<marshal><none/></marshal>")]).unwrap(),
        plain
    );
}

#[test]
fn an_instance_may_be_called_none() {
    assert_eq!(
        request(&[("partition_reference", "None")])
            .unwrap()
            .title
            .as_str(),
        "None"
    );
}

#[test]
fn numbers_among_parameters_become_texts_as_masters_make_them() {
    let xml = "<marshal><dictionary><string>a</string><int>1</int><string>b</string><bool>1</bool><string>c</string><none/></dictionary></marshal>";
    let parameters = request(&[("partition_parameter_xml", xml)])
        .unwrap()
        .parameters;
    let texts: Vec<_> = parameters.values().map(String::as_str).collect();
    assert_eq!(texts, ["1", "True", ""]);
}

#[test]
fn a_state_may_be_wished_in_marshalled_form_only() {
    let state = |text| request(&[("state", text)]);
    assert_eq!(
        state("<marshal><string>stopped</string></marshal>")
            .unwrap()
            .state,
        Some(RequestedState::Stopped)
    );
    assert!(state("stopped").is_err());
}

#[test]
fn what_is_wrong_with_a_form_is_said_in_words() {
    for (field, text, words) in [
        (
            "partition_reference",
            "",
            "field `partition_reference` is missing",
        ),
        (
            "partition_reference",
            "a\nb",
            "field `partition_reference` is wrong: `a\nb` cannot name a request: 1 to 255 characters, none of them a control character",
        ),
        (
            "computer_id",
            "../x",
            "field `computer_id` is wrong: `../x` cannot name a computer: 1 to 128 letters, digits, `.`, `_`, `-`, the first a letter or a digit",
        ),
        (
            "computer_id",
            "COMP-1",
            "field `computer_partition_id` is missing",
        ),
        (
            "filter_xml",
            "x",
            "field `filter_xml` cannot be read: not one marshalled value in `<marshal>`",
        ),
        (
            "partition_parameter_xml",
            "<marshal><list/></marshal>",
            "field `partition_parameter_xml` is not what was expected: partition_parameter_xml: expected a dictionary, found a list",
        ),
        (
            "partition_parameter_xml",
            "<marshal><dictionary><string>a</string><list/></dictionary></marshal>",
            "field `partition_parameter_xml` is not what was expected: partition_parameter_xml.a: expected a text, found a list",
        ),
        (
            "state",
            "<marshal><string>gone</string></marshal>",
            "field `state` is not what was expected: state: `gone` is no state; it must be `started`, `stopped` or `destroyed`",
        ),
        (
            "shared_xml",
            "<marshal><string>maybe</string></marshal>",
            "field `shared_xml` is not what was expected: shared_xml: expected a bool, found a text",
        ),
    ] {
        assert_eq!(request(&[(field, text)]).unwrap_err(), words, "{field}");
    }
}

#[test]
fn a_supply_without_a_state_is_one() {
    let supply = |pairs: &[(&str, &str)]| SupplyForm::from_fields(fields(pairs));
    let plain = [("url", "u"), ("computer_id", "COMP-1")];
    assert_eq!(supply(&plain).unwrap().state, SupplyState::Available);
    assert!(supply(&[plain[0], plain[1], ("state", "wished")]).is_err());
    assert!(supply(&[("computer_id", "COMP-1")]).is_err());
}
