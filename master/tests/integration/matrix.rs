//! The matrix of who may do what: every endpoint, called by every kind of caller.
//! Those who may not are told so (401 without a certificate, 403 with one; JSON-RPC says 403 for both) and change nothing.

mod endpoints;

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, StatusCode};
use slap::client::{Client, Identity};
use slap::forms::RequestForm;
use slap::v1::{Role, TokenKind, TokenRequest};
use slap::{Value, xml};

use crate::lab::{Lab, Node};
use crate::services::{at, supply, wish};
use endpoints::{CHANGES_WHO_IS_WHO, DOCUMENTS, Endpoint, HERE, ON, RPC, SLAP};

/// Who calls. Everything is about the instance `a` in the first partition of COMP-1, which is in the project `default`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    /// Without a certificate.
    Stranger,
    /// COMP-2.
    OtherComputer,
    /// The instance `b`, on the same computer, of another tree.
    OtherTree,
    /// A person without any role.
    Outsider,
    /// A person who manages another project.
    OtherManager,
    /// A person who is a member of the project.
    Member,
    /// The instance that `a` requested.
    Child,
    /// The instance `a`.
    Itself,
    /// COMP-1.
    Computer,
    /// A person of the organisation.
    Person,
    /// The organisation that requested `a`, a member of the project.
    Organisation,
    /// A person who manages the project.
    Manager,
    Operator,
}

use Who::{
    Child, Computer, Itself, Manager, Member, Operator, Organisation, OtherComputer, OtherManager,
    OtherTree, Outsider, Person, Stranger,
};

/// Those who may do least come first, so that what is done by those who may is not missed by the others.
const ALL: [Who; 13] = [
    Stranger,
    OtherComputer,
    OtherTree,
    Outsider,
    OtherManager,
    Member,
    Child,
    Itself,
    Computer,
    Person,
    Organisation,
    Manager,
    Operator,
];

/// Who is invited under which name, with which role where.
type Invitation = (Who, &'static str, Option<(&'static str, Role)>);

const USERS: [Invitation; 6] = [
    (Outsider, "olga", None),
    (OtherManager, "otto", Some(("elsewhere", Role::Manager))),
    (Member, "mia", Some(("default", Role::Member))),
    (Person, "ann", None),
    (Organisation, "acme", Some(("default", Role::Member))),
    (Manager, "max", Some(("default", Role::Manager))),
];

/// COMP-1 runs `a`, which the organisation requested and which requested `db`, and `b`; COMP-2 runs nothing; COMP-3 has never called.
struct World {
    lab: Lab,
    operator: Identity,
    node: Node,
    other: Node,
    users: BTreeMap<Who, Identity>,
    /// `a`, `db` and `b`.
    instances: Vec<Identity>,
    guid: String,
}

impl World {
    async fn new() -> Self {
        let lab = Lab::open().await;
        let operator = lab.operator_identity().await;
        let client = lab.client(operator.clone());
        let (node, other) = (lab.node(&client).await, lab.node(&client).await);
        node.announce(3).await;
        supply(&client, &node.id).await;
        let users = invite_all(&lab, &client).await;
        let acme = lab.client(users[&Organisation].clone());
        let root = acme.request(&wish("a")).await.unwrap();
        let child = RequestForm {
            requester: Some(at(&node, 0)),
            ..wish("db")
        };
        node.client.request(&child).await.unwrap();
        client.request(&wish("b")).await.unwrap();
        let mut world = Self {
            lab,
            operator,
            node,
            other,
            users,
            instances: Vec::new(),
            guid: root.guid.unwrap().to_string(),
        };
        for index in 0..3 {
            let identity = world.certificate(index).await;
            world.instances.push(identity);
        }
        let title = "computer_title=new";
        world
            .send(Operator, "POST", "/requestComputer", title)
            .await;
        world
    }

    async fn certificate(&self, index: u16) -> Identity {
        let path = format!(
            "/getComputerPartitionCertificate?computer_id=COMP-1&computer_partition_id=slappart{index}"
        );
        let (_, text) = self.send(Computer, "GET", &path, "").await;
        let Value::Dict(mut made) = xml::read(&text).unwrap() else {
            panic!("{text}");
        };
        let mut text = |key: &str| made.remove(key).unwrap().scalar_text().unwrap();
        Identity {
            certificate_pem: text("certificate"),
            key_pem: text("key"),
        }
    }

    fn identity(&self, who: Who) -> Option<&Identity> {
        match who {
            Stranger => None,
            OtherComputer => Some(&self.other.identity),
            OtherTree => Some(&self.instances[2]),
            Child => Some(&self.instances[1]),
            Itself => Some(&self.instances[0]),
            Computer => Some(&self.node.identity),
            Operator => Some(&self.operator),
            Outsider | OtherManager | Member | Person | Organisation | Manager => {
                self.users.get(&who)
            }
        }
    }

    async fn send(&self, who: Who, method: &str, path: &str, body: &str) -> (StatusCode, String) {
        let fill = |text: &str| {
            text.replace("{here}", HERE)
                .replace("{on}", ON)
                .replace("{guid}", &self.guid)
                .replace(
                    "{configuration}",
                    &crate::lab::configuration(&self.node.id, 3).to_xml(),
                )
        };
        let (path, body) = (fill(path), fill(body));
        let kind = if body.starts_with('{') {
            "application/json"
        } else {
            "application/x-www-form-urlencoded"
        };
        let method: Method = method.parse().unwrap();
        let answer = self
            .lab
            .http(self.identity(who))
            .request(method, format!("{}{path}", self.lab.url()))
            .header("content-type", kind)
            .body(body)
            .send()
            .await
            .unwrap();
        (answer.status(), answer.text().await.unwrap())
    }
}

async fn invite_all(lab: &Lab, operator: &Client) -> BTreeMap<Who, Identity> {
    let elsewhere = "elsewhere".parse().unwrap();
    operator.create_project(&elsewhere).await.unwrap();
    let mut users = BTreeMap::new();
    for (who, name, role) in USERS {
        let request = TokenRequest {
            kind: if who == Organisation {
                TokenKind::Organisation
            } else {
                TokenKind::Person
            },
            name: Some(name.parse().unwrap()),
            project: role.map(|(project, _)| project.parse().unwrap()),
            role: role.map(|(_, role)| role),
            ..TokenRequest::default()
        };
        users.insert(who, lab.joined(operator, request).await);
    }
    let (acme, ann) = ("acme".parse().unwrap(), "ann".parse().unwrap());
    operator.set_affiliation(&acme, &ann, true).await.unwrap();
    users
}

/// Calls each endpoint as each caller, and returns where somebody was let in or kept out who should not.
async fn differences(endpoints: &[Endpoint]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut world = World::new().await;
    for (method, path, body, may) in endpoints {
        for who in ALL {
            let (status, text) = world.send(who, method, path, body).await;
            let refusals = [
                StatusCode::UNAUTHORIZED,
                StatusCode::FORBIDDEN,
                // Refused too often before.
                StatusCode::TOO_MANY_REQUESTS,
            ];
            let refused = refusals.contains(&status);
            if refused == may.contains(&who) || status.is_server_error() {
                wrong.push(format!("{who:?} {method} {path}: {status} {text}"));
            }
            if !refused && CHANGES_WHO_IS_WHO.contains(path) {
                world = World::new().await;
            }
        }
    }
    wrong
}

#[tokio::test]
async fn slap_is_for_those_whom_it_is_about() {
    let wrong = differences(SLAP).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn documents_and_v1_are_for_those_whom_they_are_about() {
    let wrong = differences(DOCUMENTS).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn json_rpc_is_for_those_whom_it_is_about() {
    let wrong = differences(RPC).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_matrix_has_every_endpoint() {
    let mut served = BTreeSet::new();
    let mut folders = vec![std::path::PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/api"
    ))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for route in text.split(".route(").skip(1) {
                let path = route.split('"').nth(1).unwrap();
                // What stands for a name is cut off on both sides.
                served.insert(path.split('{').next().unwrap().to_owned());
            }
        }
    }
    assert!(served.len() > 70, "the routes were not found");
    let called: Vec<&str> = [SLAP, DOCUMENTS, RPC]
        .concat()
        .iter()
        .map(|(_, path, ..)| *path)
        .collect();
    let missing: Vec<_> = served
        .iter()
        .filter(|route| {
            !called.iter().any(|path| {
                let path = path.split('?').next().unwrap();
                path == *route || (route.ends_with('/') && path.starts_with(route.as_str()))
            })
        })
        .collect();
    assert!(missing.is_empty(), "nobody calls {missing:?}");
}
