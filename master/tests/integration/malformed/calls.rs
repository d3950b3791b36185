//! The calls that make no sense, each with the status and the words that it must get.

mod documents;
mod forms;
mod unknown;

use crate::services::SOFTWARE;
pub(super) use documents::documents;
pub(super) use forms::slap;
pub(super) use unknown::unknown;

pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) body: Body,
    pub(super) status: u16,
    pub(super) words: &'static str,
}

#[derive(Clone)]
pub(super) enum Body {
    None,
    Form(Vec<(&'static str, String)>),
    Raw(&'static str, Vec<u8>),
}

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const HERE: [(&str, &str); 2] = [
    ("computer_id", "COMP-1"),
    ("computer_partition_id", "slappart0"),
];

fn get(path: &str, status: u16, words: &'static str) -> Call {
    Call {
        method: "GET",
        path: path.to_owned(),
        body: Body::None,
        status,
        words,
    }
}

fn raw(path: &str, kind: &'static str, bytes: Vec<u8>, status: u16, words: &'static str) -> Call {
    Call {
        method: "POST",
        path: path.to_owned(),
        body: Body::Raw(kind, bytes),
        status,
        words,
    }
}

fn post(path: &str, pairs: &[(&'static str, &str)], status: u16, words: &'static str) -> Call {
    let pairs = pairs.iter().map(|(key, value)| (*key, (*value).to_owned()));
    Call {
        method: "POST",
        path: path.to_owned(),
        body: Body::Form(pairs.collect()),
        status,
        words,
    }
}

fn here(path: &str, more: (&'static str, &str), status: u16, words: &'static str) -> Call {
    post(path, &[HERE[0], HERE[1], more], status, words)
}

/// A request of what would be there, but for one field.
fn request(field: (&'static str, &str), status: u16, words: &'static str) -> Call {
    let fields = [
        ("software_release", SOFTWARE),
        ("partition_reference", "new"),
        ("software_type", "default"),
        field,
    ];
    post("/requestComputerPartition", &fields, status, words)
}

fn marshalled(inner: &str) -> String {
    format!("<marshal>{inner}</marshal>")
}

/// What would be right at another time.
pub(super) fn contradictions() -> Vec<Call> {
    let announced = crate::lab::configuration(&"COMP-1".parse().unwrap(), 2);
    let mut twice = announced.clone();
    twice.partitions.push(announced.partitions[0].clone());
    vec![
        post(
            "/loadComputerConfigurationFromXML",
            &[("xml", &twice.to_xml())],
            400,
            "partition `slappart0` is announced twice",
        ),
        here(
            "/softwareInstanceRename",
            ("new_name", "other"),
            409,
            "other",
        ),
        here("/softwareInstanceRename", ("new_name", "db"), 409, "db"),
        post(
            "/supplySupply",
            &[("url", SOFTWARE), HERE[0], ("state", "destroyed")],
            409,
            "still run that software: destroy them first",
        ),
        post(
            "/destroyedSoftwareRelease",
            &[("url", SOFTWARE), HERE[0]],
            404,
            "nobody asked",
        ),
        post(
            "/buildingSoftwareRelease",
            &[("url", "https://other"), HERE[0]],
            404,
            "is not supplied on COMP-1",
        ),
        post(
            "/generateComputerCertificate",
            &[HERE[0]],
            404,
            "Certificate still active.",
        ),
        // A request of `db` for what requested it.
        post(
            "/requestComputerPartition",
            &[
                ("software_release", SOFTWARE),
                ("partition_reference", "web"),
                HERE[0],
                ("computer_partition_id", "slappart1"),
            ],
            400,
            "web",
        ),
        // Nothing of that title is there to be destroyed.
        request(
            ("state", &marshalled("<string>destroyed</string>")),
            408,
            "no such instance to destroy",
        ),
    ]
}
