//! What SLAP sends in forms: documents that are none, of other types, too large, too deep, no text.

use slap::{Value, xml};

use super::{Call, FORM, HERE, JSON, get, here, marshalled, post, raw, request};

/// One value in so many lists.
fn deep(levels: usize) -> String {
    let (open, close) = ("<list>".repeat(levels), "</list>".repeat(levels));
    marshalled(&format!("{open}{close}"))
}

/// A small document that would be a huge one, if references were resolved without counting.
fn references() -> String {
    let mut text = String::from("<list id=\"i2\"><string>0123456789</string></list>");
    for level in 3..30 {
        let before = level - 1;
        text = format!(
            "{text}<list id=\"i{level}\">{}</list>",
            format!("<reference id=\"i{before}\"/>").repeat(10)
        );
    }
    marshalled(&format!("<list>{text}</list>"))
}

const ENTITIES: &str = "<!DOCTYPE marshal [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]><marshal><string>&b;</string></marshal>";
const OUTSIDE: &str = "<!DOCTYPE marshal [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><marshal><string>&a;</string></marshal>";
const FOREIGN: &str = "<marshal><object id=\"i2\" module=\"os\" class=\"system\"><tuple/><dictionary/></object></marshal>";
const STRANGE: &str = "<marshal><object id=\"i2\" module=\"slapos.slap.slap\" class=\"Supply\"><tuple/><dictionary/></object></marshal>";

/// Marshalled documents that are wrong by themselves, wherever they come.
fn documents_that_are_none() -> Vec<(String, &'static str)> {
    vec![
        (deep(100), "nests more than 64 containers"),
        (references(), "references make it too large"),
        (ENTITIES.to_owned(), "a document type or an entity"),
        (OUTSIDE.to_owned(), "a document type or an entity"),
        (
            FOREIGN.to_owned(),
            "refusing to make an object of class `system` of `os`",
        ),
        (
            STRANGE.to_owned(),
            "refusing to make an object of class `Supply`",
        ),
        (marshalled("<unicorn/>"), "unknown element `unicorn`"),
        (marshalled("<int>many</int>"), "`many` is no"),
        (marshalled(""), "not one marshalled value"),
        (marshalled("<none/><none/>"), "not one marshalled value"),
        ("<marshal><none/>".to_owned(), "not "),
        ("\u{1}".to_owned(), "none of XML"),
        ("no document".to_owned(), "not "),
        (
            marshalled("<string>&#0;</string>"),
            "an entity is declared or used",
        ),
        (marshalled("<reference id=\"i7\"/>"), "i7"),
    ]
}

pub(in crate::malformed) fn slap() -> Vec<Call> {
    let mut calls = Vec::new();
    for (text, words) in documents_that_are_none() {
        let mut add = |call| calls.push(call);
        add(request(("partition_parameter_xml", &text), 400, words));
        add(request(("filter_xml", &text), 400, words));
        add(request(("shared_xml", &text), 400, words));
        add(request(("state", &text), 400, words));
        add(post(
            "/loadComputerConfigurationFromXML",
            &[("xml", &text)],
            400,
            words,
        ));
        add(here(
            "/setComputerPartitionConnectionXml",
            ("connection_xml", &text),
            400,
            words,
        ));
        let related = "/updateComputerPartitionRelatedInstanceList";
        add(here(related, ("instance_reference_xml", &text), 400, words));
    }
    calls.extend(of_wrong_types());
    calls.extend(of_forms());
    calls.extend(of_bytes());
    calls
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn of_wrong_types() -> Vec<Call> {
    let list = marshalled("<list/>");
    let text = marshalled("<string>x</string>");
    let nested = xml::write(&Value::Dict(
        [("a".to_owned(), Value::List(Vec::new()))]
            .into_iter()
            .collect(),
    ));
    vec![
        request(
            ("partition_parameter_xml", &list),
            400,
            "partition_parameter_xml",
        ),
        request(
            ("partition_parameter_xml", &nested),
            400,
            "partition_parameter_xml",
        ),
        request(("filter_xml", &list), 400, "filter_xml"),
        request(("shared_xml", &text), 400, "shared_xml"),
        request(("state", &list), 400, "state"),
        request(
            ("state", &marshalled("<string>running</string>")),
            400,
            "state",
        ),
        post(
            "/loadComputerConfigurationFromXML",
            &[("xml", &list)],
            400,
            "list",
        ),
        post(
            "/loadComputerConfigurationFromXML",
            &[("xml", &marshalled("<dictionary/>"))],
            400,
            "reference",
        ),
        here(
            "/setComputerPartitionConnectionXml",
            ("connection_xml", &list),
            400,
            "connection_xml",
        ),
        here(
            "/updateComputerPartitionRelatedInstanceList",
            ("instance_reference_xml", &text),
            400,
            "must be a list",
        ),
        post(
            "/supplySupply",
            &[("url", "x"), HERE[0], ("state", "started")],
            400,
            "field `state` is wrong",
        ),
        post(
            "/useComputer",
            &[HERE[0], ("use_string", "<x/>")],
            400,
            "no `<journal>`",
        ),
        post(
            "/useComputer",
            &[HERE[0], ("use_string", ENTITIES)],
            400,
            "a document type or an entity is declared",
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn of_forms() -> Vec<Call> {
    let long = "x".repeat(10_000);
    let mut calls = vec![
        request(
            ("partition_reference", ""),
            400,
            "field `partition_reference` is missing",
        ),
        request(("partition_reference", "a\nb"), 400, "partition_reference"),
        request(("partition_reference", &long), 400, "partition_reference"),
        request(
            ("software_release", ""),
            400,
            "field `software_release` is missing",
        ),
        request(
            ("computer_id", "../COMP-1"),
            400,
            "field `computer_id` is wrong",
        ),
        request(
            ("computer_id", "COMP-1"),
            400,
            "field `computer_partition_id` is missing",
        ),
        here("/softwareInstanceRename", ("new_name", ""), 400, "new_name"),
        here(
            "/softwareInstanceRename",
            ("new_name", "a\u{0}b"),
            400,
            "new_name",
        ),
        get(
            "/getFullComputerInformation?computer_id=",
            400,
            "computer_id",
        ),
        get(
            "/getFullComputerInformation?computer_id=%00",
            400,
            "computer_id",
        ),
        get(
            "/registerComputerPartition?computer_reference=COMP-1",
            400,
            "computer_partition_reference",
        ),
        get(
            "/registerComputerPartition?computer_reference=COMP-1&computer_partition_reference=../0",
            400,
            "partition",
        ),
        get(
            "/getSoftwareReleaseListFromSoftwareProduct",
            400,
            "say either",
        ),
    ];
    for path in [
        "/computerBang",
        "/useComputer",
        "/supplySupply",
        "/buildingSoftwareRelease",
        "/availableSoftwareRelease",
        "/destroyedSoftwareRelease",
        "/softwareReleaseError",
        "/requestComputerPartition",
        "/startedComputerPartition",
        "/stoppedComputerPartition",
        "/destroyedComputerPartition",
        "/softwareInstanceError",
        "/softwareInstanceBang",
        "/setComputerPartitionConnectionXml",
        "/softwareInstanceRename",
        "/updateComputerPartitionRelatedInstanceList",
        "/loadComputerConfigurationFromXML",
        "/requestComputer",
        "/generateComputerCertificate",
        "/revokeComputerCertificate",
    ] {
        calls.push(post(path, &[], 400, "is missing"));
        // Not a form at all.
        calls.push(raw(
            path,
            JSON,
            b"{}".to_vec(),
            400,
            "application/x-www-form-urlencoded",
        ));
    }
    calls
}

fn of_bytes() -> Vec<Call> {
    let too_large = vec![b'x'; (8 << 20) + 100];
    let parameters =
        b"partition_reference=new&software_release=x&partition_parameter_xml=".to_vec();
    let broken = |text: &str| [parameters.clone(), text.as_bytes().to_vec()].concat();
    vec![
        raw(
            "/requestComputerPartition",
            FORM,
            too_large.clone(),
            413,
            "limit",
        ),
        raw(
            "/loadComputerConfigurationFromXML",
            FORM,
            too_large,
            413,
            "limit",
        ),
        raw(
            "/requestComputerPartition",
            FORM,
            broken("%ff%fe"),
            400,
            "UTF-8",
        ),
        raw(
            "/requestComputerPartition",
            FORM,
            b"partition_reference=%ff&software_release=x".to_vec(),
            400,
            "UTF-8",
        ),
        raw(
            "/requestComputerPartition",
            FORM,
            b"\xff\xfe=\xff".to_vec(),
            400,
            "UTF-8",
        ),
        get(
            "/getFullComputerInformation?computer_id=%ff",
            400,
            "computer",
        ),
        get("/getFullComputerInformation?%ff", 400, "computer_id"),
    ]
}
