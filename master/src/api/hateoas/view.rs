//! One document as a form of fields, and the columns of a row: what `service info` and `computer info` read.

use serde_json::{Map, Value as Json, json};
use slap::{Value, instance_xml};

use crate::api::slap::status;
use crate::clock::Moment;
use crate::instance::Instance;
use crate::store::computers::Computer;
use crate::store::supplies::Supply;

/// Where trees, computers and so on lie.
pub(super) const TREES: &str = "instance_tree_module";
pub(super) const COMPUTERS: &str = "compute_node_module";
pub(super) const INSTANCES: &str = "software_instance_module";
pub(super) const INSTALLATIONS: &str = "software_installation_module";

/// Returns the columns of a tree's row, from its root.
pub(super) fn tree_row(root: &Instance) -> Map<String, Json> {
    columns([
        ("uid", json!(root.tree.0)),
        ("title", json!(root.tree_title)),
        ("reference", json!(root.tree.0)),
        ("relative_url", json!(format!("{TREES}/{}", root.tree))),
        ("portal_type", json!("Instance Tree")),
        ("url_string", json!(root.software_url)),
    ])
}

pub(super) fn computer_row(computer: &Computer) -> Map<String, Json> {
    let reference = computer.reference.as_str();
    columns([
        ("uid", json!(reference)),
        ("title", json!(computer.title())),
        ("reference", json!(reference)),
        ("relative_url", json!(format!("{COMPUTERS}/{reference}"))),
        ("portal_type", json!("Compute Node")),
    ])
}

pub(super) fn instance_row(instance: &Instance, now: Moment) -> Map<String, Json> {
    let reference = instance.reference.as_str();
    let kind = kind_of(instance);
    columns([
        ("uid", json!(reference)),
        ("title", json!(instance.title)),
        ("reference", json!(reference)),
        ("relative_url", json!(format!("{INSTANCES}/{reference}"))),
        ("portal_type", json!(kind)),
        ("url_string", json!(instance.software_url)),
        (
            "text_content",
            json!(instance_xml::write(&instance.parameters)),
        ),
        ("getConnectionXmlAsDict", json!(instance.connection)),
        ("SoftwareInstance_getNewsDict", instance_news(instance, now)),
    ])
}

pub(super) fn installation_row(supply: &Supply, now: Moment) -> Map<String, Json> {
    let key = format!("{INSTALLATIONS}/{}/{}", supply.computer, supply.url);
    let status = Some(&supply.status).filter(|it| !it.text.is_empty());
    let state = supply.reported.map(|it| it.as_str()).unwrap_or_default();
    let news = status::entries(&supply.url, "Software Installation", state, status, now);
    columns([
        ("uid", json!(key)),
        ("relative_url", json!(key)),
        ("portal_type", json!("Software Installation")),
        ("url_string", json!(supply.url)),
        (
            "SoftwareInstallation_getNewsDict",
            Value::Dict(news).to_json(),
        ),
    ])
}

/// Returns the form of a tree: its root, and what is heard of all its members.
pub(super) fn tree(root: &Instance, members: &[Instance], now: Moment) -> Json {
    let news: Vec<Json> = members.iter().map(|it| instance_news(it, now)).collect();
    let connection: Vec<Json> = root
        .connection
        .iter()
        .map(|(key, value)| json!({"connection_key": key, "connection_value": value}))
        .collect();
    form(
        "Instance Tree",
        TREES,
        [
            ("my_title", "StringField", json!(root.tree_title)),
            ("my_reference", "StringField", json!(root.tree.0)),
            (
                "my_slap_state",
                "StringField",
                json!(root.requested.as_str()),
            ),
            (
                "my_text_content",
                "TextAreaField",
                json!(instance_xml::write(&root.parameters)),
            ),
            (
                "my_connection_parameter_list",
                "StringField",
                json!(connection),
            ),
            ("my_url_string", "StringField", json!(root.software_url)),
            (
                "my_source_reference",
                "StringField",
                json!(root.software_type),
            ),
            (
                "my_root_slave",
                "IntegerField",
                json!(u8::from(root.shared)),
            ),
            ("your_news", "StringField", json!({"instance": news})),
        ],
    )
}

/// Returns the form of a computer, with what is heard of it and of its partitions.
pub(super) fn computer(
    computer: &Computer,
    heard: Option<Moment>,
    partitions: &[Instance],
    now: Moment,
) -> Json {
    let reference = computer.reference.as_str();
    let contact = heard.map(|at| status::contact(&computer.reference, at));
    let own = status::entries(reference, "Compute Node", "", contact.as_ref(), now);
    let mut of_partitions = Map::new();
    for instance in partitions {
        if let Some(place) = &instance.place {
            of_partitions.insert(place.partition.to_string(), instance_news(instance, now));
        }
    }
    let news = json!({"computer": Value::Dict(own).to_json(), "partition": of_partitions});
    form(
        "Compute Node",
        COMPUTERS,
        [
            ("my_title", "StringField", json!(computer.title())),
            ("my_reference", "StringField", json!(reference)),
            ("your_news", "StringField", news),
        ],
    )
}

fn instance_news(instance: &Instance, now: Moment) -> Json {
    let status = Some(&instance.status).filter(|it| !it.text.is_empty());
    let state = instance.reported.map(|it| it.as_str()).unwrap_or_default();
    let reference = instance.reference.as_str();
    let entries = status::entries(reference, kind_of(instance), state, status, now);
    let mut news = Value::Dict(entries).to_json();
    news["title"] = json!(instance.title);
    if !instance.waiting.is_empty() {
        news["text"] = json!(format!("#error {}", instance.waiting));
    }
    news
}

fn kind_of(instance: &Instance) -> &'static str {
    if instance.shared {
        "Slave Instance"
    } else {
        "Software Instance"
    }
}

fn columns<const N: usize>(columns: [(&str, Json); N]) -> Map<String, Json> {
    columns
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn form<const N: usize>(kind: &str, module: &str, fields: [(&str, &str, Json); N]) -> Json {
    let mut view = Map::new();
    view.insert(
        "form_id".to_owned(),
        json!({"type": "StringField", "key": "form_id", "default": "view"}),
    );
    for (name, field, value) in fields {
        let key = format!("field_{name}");
        view.insert(
            name.to_owned(),
            json!({"type": field, "key": key, "default": value}),
        );
    }
    json!({
        "_embedded": {"_view": view},
        "_links": {
            "type": {"name": kind},
            "parent": {"href": format!("urn:jio:get:{module}")},
        },
    })
}
