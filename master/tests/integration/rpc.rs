//! JSON-RPC: every method is called, and what it answers is held against the committed description.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::{Value, json};
use slap::client::Identity;

use crate::lab::Lab;

const SOFTWARE: &str = "https://example.com/software.cfg";
pub(crate) const JOURNAL: &str = "<journal><transaction type='Sale Packing List'><start_date/><stop_date/><reference>COMP-1</reference>\
    <currency/><payment_mode/><arrow type='Administration'/><movement><resource>r</resource><quantity>1</quantity>\
    <price>0</price><VAT/></movement></transaction></journal>";

/// Calls methods, and holds each answer against the description.
struct Rpc<'a> {
    lab: &'a Lab,
    description: Value,
    called: BTreeSet<String>,
}

impl<'a> Rpc<'a> {
    fn new(lab: &'a Lab) -> Self {
        Self {
            lab,
            description: serde_json::from_str(include_str!("../../openapi.json")).unwrap(),
            called: BTreeSet::new(),
        }
    }

    async fn call(
        &mut self,
        identity: Option<&Identity>,
        method: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let answer = self
            .lab
            .http(identity)
            .post(format!("{}/slapos.{method}", self.lab.url()))
            .json(&body)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let said: Value = answer.json().await.unwrap();
        self.check(method, status, &said);
        (status, said)
    }

    /// Calls a method that answers well.
    async fn ok(&mut self, identity: &Identity, method: &str, body: Value) -> Value {
        let (status, said) = self.call(Some(identity), method, body).await;
        assert_eq!(status, StatusCode::OK, "{method}: {said}");
        self.called.insert(format!("/slapos.{method}"));
        said
    }

    /// Calls a method that refuses, and returns why.
    async fn refused(
        &mut self,
        identity: &Identity,
        method: &str,
        body: Value,
        expected: u16,
    ) -> String {
        let (status, said) = self.call(Some(identity), method, body).await;
        assert_eq!(status.as_u16(), expected, "{method}: {said}");
        assert_eq!(said["status"], expected);
        said["title"].as_str().unwrap().to_owned()
    }

    fn check(&self, method: &str, status: StatusCode, said: &Value) {
        let key = if status.is_success() { "200" } else { "4XX" };
        let answers = &self.description["paths"][format!("/slapos.{method}")]["post"]["responses"];
        let schema = &answers[key]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} is not described for {status}");
        let mut schema = schema.clone();
        schema["components"] = self.description["components"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let wrong: Vec<String> = validator
            .iter_errors(said)
            .map(|it| it.to_string())
            .collect();
        assert!(wrong.is_empty(), "{method}: {said}: {wrong:?}");
    }
}

#[tokio::test]
async fn the_committed_description_is_what_is_served() {
    let lab = Lab::open().await;
    let url = format!("{}/openapi.json", lab.url());
    let served = lab.http(None).get(url).send().await.unwrap();
    let served = served.text().await.unwrap();
    if std::env::var_os("SLAPBOX_ACCEPT").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        std::io::Write::write_all(&mut std::fs::File::create(path).unwrap(), served.as_bytes())
            .unwrap();
        return;
    }
    assert!(
        served == include_str!("../../openapi.json"),
        "openapi.json is not what is served: run this test with SLAPBOX_ACCEPT=1, and look at the difference"
    );
}

/// A body with something more in it.
fn with(mut body: Value, more: Value) -> Value {
    let Value::Object(more) = more else {
        panic!("no object: {more}");
    };
    body.as_object_mut().unwrap().extend(more);
    body
}

/// Announces a node with the software, as the node itself does.
async fn furnish(rpc: &mut Rpc<'_>, operator: &Identity, own: &Identity, node: &Value) {
    let address = json!({"ip-address": "10.0.0.2", "network-interface": "slaptap0", "netmask": "255.255.255.255"});
    let partitions: Vec<Value> = (0..3)
        .map(|index| {
            json!({"partition_id": format!("slappart{index}"), "ip_list": [address, {"ip-address": "fd00::2"}]})
        })
        .collect();
    let format = with(node.clone(), json!({"compute_partition_list": partitions}));
    rpc.ok(own, "put.v0.compute_node_format", format).await;
    let software = with(node.clone(), json!({"software_release_uri": SOFTWARE}));
    rpc.ok(operator, "post.v0.software_installation", software.clone())
        .await;
    for state in ["building", "available"] {
        let reported = with(software.clone(), json!({"reported_state": state}));
        rpc.ok(own, "put.v0.software_installation_reported_state", reported)
            .await;
    }
    let error = with(software, json!({"message": "no disk"}));
    rpc.ok(own, "put.v0.software_installation_error", error)
        .await;
    let list = "allDocs.v0.compute_node_software_installation_list";
    let listed = rpc.ok(own, list, node.clone()).await;
    assert_eq!(
        listed["result_list"],
        json!([{"software_release_uri": SOFTWARE, "state": "available"}])
    );
}

/// Requests a root, a share of it, and something that has to wait; returns the root.
async fn request(rpc: &mut Rpc<'_>, operator: &Identity, node: &Value) -> Value {
    let wish = json!({"title": "root", "software_release_uri": SOFTWARE, "software_type": "default",
        "parameters": {"a": "1", "deep": {"b": [1, null]}, "yes": true}, "sla_parameters": node});
    let root = rpc.ok(operator, "post.v0.software_instance", wish).await;
    assert_eq!(root["parameters"]["deep"], r#"{"b":[1,null]}"#);
    assert_eq!(root["parameters"]["yes"], "True");
    assert_eq!(root["compute_partition_id"], "slappart0");
    assert_eq!(root["ip_list"][1], json!(["slappart0", "fd00::2"]));
    let nowhere =
        json!({"title": "x", "software_release_uri": "https://other", "software_type": "default"});
    let waiting = rpc.ok(operator, "post.v0.software_instance", nowhere).await;
    assert_eq!(waiting["name"], "SoftwareInstanceNotReady");
    assert_eq!(waiting["status"], 102);
    let waiting = rpc
        .ok(operator, "get.v0.instance_tree", json!({"title": "x"}))
        .await;
    assert_eq!(
        waiting["message"],
        "the software is supplied on no enrolled computer of the project `default`"
    );
    let share = json!({"title": "share", "software_release_uri": SOFTWARE, "software_type": "default", "shared": true});
    rpc.ok(operator, "post.v0.software_instance", share).await;
    root
}

async fn read(rpc: &mut Rpc<'_>, operator: &Identity, own: &Identity, node: &Value, root: &Value) {
    let guid = json!({"instance_guid": root["instance_guid"]});
    let read = rpc.ok(own, "get.v0.software_instance", guid.clone()).await;
    assert_eq!(read["title"], "root");
    let partition = with(node.clone(), json!({"compute_partition_id": "slappart0"}));
    assert_eq!(
        rpc.ok(own, "get.v0.compute_partition", partition).await,
        read
    );
    let tree = json!({"title": "root"});
    assert_eq!(rpc.ok(operator, "get.v0.instance_tree", tree).await, read);
    let trees = rpc
        .ok(operator, "allDocs.v0.instance_tree_list", json!({}))
        .await;
    assert_eq!(
        trees["result_list"],
        json!([{"title": "root"}, {"title": "share"}, {"title": "x"}])
    );
    let here = rpc
        .ok(own, "allDocs.v0.compute_node_instance_list", node.clone())
        .await;
    assert_eq!(
        here["result_list"][0]["instance_guid"],
        root["instance_guid"]
    );
    let shares = rpc
        .ok(own, "allDocs.v0.instance_node_instance_list", guid)
        .await;
    assert_eq!(shares["result_list"][0]["title"], "share");
}

/// All that a node says of an instance.
async fn report(rpc: &mut Rpc<'_>, own: &Identity, root: &Value) {
    let guid = json!({"instance_guid": root["instance_guid"]});
    let of = |more: Value| with(guid.clone(), more);
    let published = of(json!({"connection_parameter_dict": {"url": "http://x", "port": 80}}));
    rpc.ok(
        own,
        "put.v0.software_instance_connection_parameter",
        published,
    )
    .await;
    let message = of(json!({"message": "broke"}));
    rpc.ok(own, "put.v0.software_instance_error", message.clone())
        .await;
    let read = rpc.ok(own, "get.v0.software_instance", guid.clone()).await;
    assert_eq!(
        read["connection_parameters"],
        json!({"url": "http://x", "port": "80"})
    );
    assert_eq!(
        read["access_status_message"],
        "#error while instanciating: broke"
    );
    rpc.ok(own, "put.v0.software_instance_bang", message).await;
    let again = rpc.ok(own, "get.v0.software_instance", guid.clone()).await;
    assert!(again["processing_timestamp"].as_i64() > read["processing_timestamp"].as_i64());
    let title = of(json!({"title": "top"}));
    rpc.ok(own, "put.v0.software_instance_title", title).await;
    for state in ["started", "stopped"] {
        let state = of(json!({"reported_state": state}));
        rpc.ok(own, "put.v0.software_instance_reported_state", state)
            .await;
    }
    let made = rpc
        .ok(own, "get.v0.software_instance_certificate", guid.clone())
        .await;
    assert!(made["key"].as_str().unwrap().contains("PRIVATE KEY"));
}

async fn look_after(rpc: &mut Rpc<'_>, operator: &Identity, own: &Identity, node: &Value) {
    let id = node["computer_guid"].as_str().unwrap();
    let bang = with(node.clone(), json!({"message": "boot"}));
    rpc.ok(own, "put.v0.compute_node_bang", bang).await;
    let status = rpc
        .ok(own, "get.v0.compute_node_status", node.clone())
        .await;
    assert_eq!(status["text"], format!("#access {id} is heard of"));
    let usage = with(node.clone(), json!({"tioxml": JOURNAL}));
    rpc.ok(own, "post.v0.compute_node_usage", usage).await;
    let url = rpc.ok(own, "get.v0.hateoas_url", json!({})).await;
    assert_eq!(url["hateoas_url"], format!("{}/hateoas/", rpc.lab.url()));
    let nodes = rpc
        .ok(own, "allDocs.WIP.compute_node_list", json!({}))
        .await;
    assert_eq!(nodes["result_list"], json!([node]));
    let certificate = "post.v0.compute_node_certificate";
    let active = rpc.refused(operator, certificate, node.clone(), 403).await;
    assert_eq!(active, "Certificate still active.");
    rpc.ok(operator, "remove.v0.compute_node_certificate", node.clone())
        .await;
    let made = rpc.ok(operator, certificate, node.clone()).await;
    let pem = made["certificate"].as_str().unwrap();
    assert!(pem.contains("BEGIN CERTIFICATE"));
}

#[tokio::test]
async fn every_method_answers_as_it_is_described() {
    let lab = Lab::open().await;
    let operator = lab.operator_identity().await;
    let enrolled = lab.node(&lab.client(operator.clone())).await;
    let (node, own) = (json!({"computer_guid": enrolled.id}), &enrolled.identity);
    let mut rpc = Rpc::new(&lab);
    furnish(&mut rpc, &operator, own, &node).await;
    let root = request(&mut rpc, &operator, &node).await;
    read(&mut rpc, &operator, own, &node, &root).await;
    report(&mut rpc, own, &root).await;
    look_after(&mut rpc, &operator, own, &node).await;
    let described = rpc.description["paths"].as_object().unwrap();
    let described: BTreeSet<String> = described.keys().cloned().collect();
    assert_eq!(rpc.called, described, "a method was not called");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_words() {
    let lab = Lab::open().await;
    let operator = lab.operator_identity().await;
    let mut rpc = Rpc::new(&lab);
    let instance = "get.v0.software_instance";
    let wish = json!({"title": "t", "software_release_uri": "x", "software_type": "y", "state": "running"});
    for (method, body, words) in [
        (instance, json!({}), "missing field `instance_guid`"),
        (
            instance,
            json!({"instance_guid": 3}),
            "invalid type: integer `3`",
        ),
        (
            instance,
            json!({"instance_guid": "../x"}),
            "cannot name a instance",
        ),
        (
            instance,
            json!({"instance_guid": "S-9", "more": 1}),
            "unknown field `more`",
        ),
        (
            "post.v0.software_instance",
            wish,
            "unknown variant `running`",
        ),
    ] {
        let said = rpc.refused(&operator, method, body, 400).await;
        assert!(said.contains(words), "{method}: {said}");
    }
    let node = lab.node(&lab.client(operator)).await;
    let usage = json!({"computer_guid": "COMP-1", "tioxml": "<x/>"});
    let said = rpc
        .refused(&node.identity, "post.v0.compute_node_usage", usage, 400)
        .await;
    assert!(said.contains("no `<journal>`"), "{said}");
}

/// Nobody learns by asking what exists.
#[tokio::test]
async fn what_is_not_there_and_what_is_not_allowed_are_one() {
    let lab = Lab::open().await;
    let operator = lab.operator_identity().await;
    let node = lab.node(&lab.client(operator.clone())).await;
    let mut rpc = Rpc::new(&lab);
    let instance = "get.v0.software_instance";
    let status = "get.v0.compute_node_status";
    let nobody = json!({"instance_guid": "SOFTINST-9"});
    let other = json!({"computer_guid": "COMP-9"});
    let supply = json!({"computer_guid": "COMP-1", "software_release_uri": "x"});
    for (identity, method, body, words) in [
        (&operator, instance, nobody.clone(), "there is no instance"),
        (
            &operator,
            status,
            other.clone(),
            "there is no computer `COMP-9`",
        ),
        (
            &node.identity,
            status,
            other,
            "COMP-1 may not ask about COMP-9",
        ),
        (
            &node.identity,
            "post.v0.software_installation",
            supply,
            "only an operator may do this",
        ),
    ] {
        let said = rpc.refused(identity, method, body, 403).await;
        assert!(said.contains(words), "{method}: {said}");
    }
    let (status, said) = rpc.call(None, instance, nobody).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let title = said["title"].as_str().unwrap();
    assert!(title.contains("needs a certificate"), "{said}");
}

#[tokio::test]
async fn what_is_no_call_is_refused_too() {
    let lab = Lab::open().await;
    let operator = lab.operator_identity().await;
    let http = lab.http(Some(&operator));
    let url = format!("{}/slapos.get.v0.software_instance", lab.url());
    let got = http.get(&url).send().await.unwrap();
    assert_eq!(got.status(), StatusCode::METHOD_NOT_ALLOWED);
    let said: Value = got.json().await.unwrap();
    assert_eq!(
        (&said["status"], &said["type"]),
        (&json!(405), &json!("Method Not Allowed"))
    );
    let picky = http
        .post(&url)
        .header("accept", "text/html")
        .json(&json!({}));
    assert_eq!(
        picky.send().await.unwrap().status(),
        StatusCode::NOT_ACCEPTABLE
    );
    let no_json = http
        .post(&url)
        .body("{")
        .header("content-type", "application/json");
    let answer = no_json.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let large = http
        .post(&url)
        .body(vec![b' '; 3 << 20])
        .header("content-type", "application/json");
    assert_eq!(
        large.send().await.unwrap().status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
}
