//! People, organisations and projects: who sees what, whose services are whose, on whose nodes they may be.

use slap::client::{CallError, Client};
use slap::forms::{RequestForm, SupplyForm};
use slap::v1::{Role, TokenKind, TokenRequest};
use slap::{ProjectName, SupplyState, UserName};

use crate::lab::{Lab, Node, code, token, words};
use crate::services::{at, supply, wish};

fn name(text: &str) -> UserName {
    text.parse().unwrap()
}

fn project(text: &str) -> ProjectName {
    text.parse().unwrap()
}

fn invitation(who: &str, role: Option<(&str, Role)>) -> TokenRequest {
    TokenRequest {
        kind: TokenKind::Person,
        name: Some(name(who)),
        project: role.map(|(it, _)| project(it)),
        role: role.map(|(_, it)| it),
        ..TokenRequest::default()
    }
}

/// A master with the projects `web` and `lab`, and a node with two partitions in each; what is wished is supplied on both.
struct Town {
    lab: Lab,
    operator: Client,
    web: Node,
    research: Node,
}

impl Town {
    async fn new() -> Self {
        let lab = Lab::open().await;
        let operator = lab.operator().await;
        let mut nodes = Vec::new();
        for it in ["web", "lab"] {
            operator.create_project(&project(it)).await.unwrap();
            let node = lab.node(&operator).await;
            operator
                .move_computer(&node.id, &project(it))
                .await
                .unwrap();
            node.announce(2).await;
            supply(&operator, &node.id).await;
            nodes.push(node);
        }
        let research = nodes.pop().unwrap();
        let web = nodes.pop().unwrap();
        Self {
            lab,
            operator,
            web,
            research,
        }
    }

    async fn invite(&self, who: &str, role: Option<(&str, Role)>) -> Client {
        self.joined(invitation(who, role)).await
    }

    async fn joined(&self, request: TokenRequest) -> Client {
        self.lab
            .client(self.lab.joined(&self.operator, request).await)
    }
}

async fn titles(client: &Client) -> Vec<String> {
    let services = client.services().await.unwrap().services;
    services.iter().map(|it| it.title.to_string()).collect()
}

#[tokio::test]
async fn people_request_on_the_nodes_of_their_project_and_see_their_own() {
    let town = Town::new().await;
    let ann = town.invite("ann", Some(("web", Role::Member))).await;
    let bob = town.invite("bob", Some(("web", Role::Member))).await;
    let eve = town.invite("eve", Some(("lab", Role::Member))).await;
    let anns = ann.request(&wish("site")).await.unwrap();
    let bobs = bob.request(&wish("site")).await.unwrap();
    assert_ne!(anns.guid, bobs.guid, "each has a service of that title");
    for instance in [&anns, &bobs] {
        assert_eq!(instance.computer, town.web.id);
    }
    assert_eq!(titles(&ann).await, ["site"]);
    assert_eq!(titles(&eve).await, <[&str; 0]>::default());
    let shown = ann.service(&"site".parse().unwrap()).await.unwrap();
    assert_eq!(Some(shown.reference.clone()), anns.guid);
    assert_eq!(shown.owner, Some(name("ann")));
    // An operator means one of them by its reference.
    let refused = town
        .operator
        .service(&"site".parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(code(&refused), "conflict");
    assert!(words(&refused).contains("of ann in web"), "{refused}");
    let reference = shown.reference.as_str().parse().unwrap();
    let meant = town.operator.service(&reference).await.unwrap();
    assert_eq!(meant.owner, Some(name("ann")));
    // The project's nodes are seen, and no others.
    let seen = ann.computers().await.unwrap().computers;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].reference, town.web.id);
    let refused = ann.computer_status(&town.research.id).await.unwrap_err();
    assert!(matches!(refused, CallError::Forbidden(_)), "{refused}");
    // The third finds both partitions taken, though the other project has room.
    let refused = bob.request(&wish("third")).await.unwrap_err();
    assert!(matches!(refused, CallError::NotReady(_)), "{refused}");
    assert!(words(&refused).contains("no free partition on COMP-1"));
}

#[tokio::test]
async fn what_an_organisation_has_its_people_have() {
    let town = Town::new().await;
    let request = TokenRequest {
        kind: TokenKind::Organisation,
        ..invitation("acme", Some(("web", Role::Member)))
    };
    let acme = town.joined(request).await;
    let ann = town.invite("ann", None).await;
    let refused = ann.request(&wish("mine")).await.unwrap_err();
    assert_eq!(words(&refused), "ann has no role in any project");
    acme.set_affiliation(&name("acme"), &name("ann"), true)
        .await
        .unwrap();
    let site = acme.request(&wish("site")).await.unwrap();
    let stopped = RequestForm {
        state: Some(slap::RequestedState::Stopped),
        ..wish("site")
    };
    let same = ann.request(&stopped).await.unwrap();
    assert_eq!(same.guid, site.guid);
    ann.request(&wish("mine")).await.unwrap();
    assert_eq!(titles(&ann).await, ["mine", "site"]);
    // The organisation does not own what its people have for themselves.
    assert_eq!(titles(&acme).await, ["site"]);
    acme.set_affiliation(&name("acme"), &name("ann"), false)
        .await
        .unwrap();
    assert_eq!(titles(&ann).await, ["mine"]);
    let refused = ann.request(&wish("more")).await.unwrap_err();
    assert_eq!(words(&refused), "ann has no role in any project");
    let refused = town
        .operator
        .set_affiliation(&name("ann"), &name("acme"), true)
        .await
        .unwrap_err();
    assert_eq!(words(&refused), "`ann` is a person, not an organisation");
}

#[tokio::test]
async fn managers_let_in_whom_their_project_is_for_and_nobody_else() {
    let town = Town::new().await;
    let max = town.invite("max", Some(("web", Role::Manager))).await;
    town.invite("eve", Some(("lab", Role::Manager))).await;
    let web = |kind| TokenRequest {
        kind,
        project: Some(project("web")),
        ..TokenRequest::default()
    };
    let join = token(&max, web(TokenKind::Node)).await;
    let node = town
        .lab
        .enrol(
            &join,
            &crate::lab::Key::new(),
            slap::v1::Inventory::default(),
        )
        .await;
    let (reference, _) = crate::lab::enrolled(node);
    let seen = max
        .computer_status(&reference.parse().unwrap())
        .await
        .unwrap();
    assert_eq!(seen.project, project("web"));
    let form = SupplyForm {
        url: "https://example.com/other".to_owned(),
        computer: seen.reference.clone(),
        state: SupplyState::Available,
    };
    max.supply(&form).await.unwrap();
    max.revoke_computer(&seen.reference).await.unwrap();
    for refused in [
        web(TokenKind::Operator),
        web(TokenKind::Organisation),
        TokenRequest::default(),
        invitation("dan", Some(("lab", Role::Member))),
    ] {
        let refused = max.create_token(&refused).await.unwrap_err();
        assert_eq!(code(&refused), "forbidden");
    }
    // Whoever is somebody already does not become another's.
    let join = token(&max, invitation("eve", Some(("web", Role::Member)))).await;
    let key = crate::lab::Key::new();
    let refused = town
        .lab
        .enrol(&join, &key, slap::v1::Inventory::default())
        .await
        .unwrap_err();
    assert_eq!(code(&refused), "conflict");
    assert!(words(&refused).contains("there is a `eve` already"));
    // Of tokens they see those for their project.
    let seen = max.tokens().await.unwrap().tokens;
    assert!(seen.iter().all(|it| it.project == Some(project("web"))));
    let all = town.operator.tokens().await.unwrap().tokens;
    assert!(all.len() > seen.len());
}

#[tokio::test]
async fn who_is_shut_out_is_so_at_once_and_their_services_stay() {
    let town = Town::new().await;
    let ann = town.invite("ann", Some(("web", Role::Manager))).await;
    ann.request(&wish("site")).await.unwrap();
    let left = token(&ann, invitation("bob", Some(("web", Role::Member)))).await;
    town.operator.revoke_user(&name("ann")).await.unwrap();
    let refused = ann.services().await.unwrap_err();
    assert_eq!(code(&refused), "revoked");
    assert_eq!(titles(&town.operator).await, ["site"]);
    // Nor do those come whom they invited, nor they by another invitation.
    let key = crate::lab::Key::new();
    let nothing = slap::v1::Inventory::default();
    let refused = town.lab.enrol(&left, &key, nothing.clone()).await;
    assert_eq!(code(&refused.unwrap_err()), "token_refused");
    let again = token(&town.operator, invitation("ann", None)).await;
    let refused = town.lab.enrol(&again, &key, nothing).await;
    assert_eq!(code(&refused.unwrap_err()), "revoked");
    let own = town.operator.users().await.unwrap().users;
    let own = own
        .iter()
        .find(|it| it.kind == slap::v1::UserKind::Operator);
    let refused = town.operator.revoke_user(&own.unwrap().name).await;
    assert_eq!(code(&refused.unwrap_err()), "conflict");
}

#[tokio::test]
async fn who_has_several_projects_says_which_once() {
    let town = Town::new().await;
    let ann = town.invite("ann", Some(("web", Role::Member))).await;
    town.operator
        .set_role(&project("lab"), &name("ann"), Some(Role::Member))
        .await
        .unwrap();
    let refused = ann.request(&wish("site")).await.unwrap_err();
    assert_eq!(
        words(&refused),
        "say in which project, by `project_guid`: lab, web"
    );
    let by_condition = RequestForm {
        filter: [("project_guid".to_owned(), "lab".to_owned())].into(),
        ..wish("site")
    };
    let site = ann.request(&by_condition).await.unwrap();
    assert_eq!(site.computer, town.research.id);
    // What is there tells the project from then on; so does the computer that is asked for.
    let same = ann.request(&wish("site")).await.unwrap();
    assert_eq!(same.guid, site.guid);
    let by_computer = RequestForm {
        filter: [("computer_guid".to_owned(), town.web.id.to_string())].into(),
        ..wish("other")
    };
    let other = ann.request(&by_computer).await.unwrap();
    assert_eq!(other.computer, town.web.id);
    let elsewhere = RequestForm {
        project: Some(project("default")),
        ..wish("third")
    };
    let refused = ann.request(&elsewhere).await.unwrap_err();
    assert_eq!(words(&refused), "ann has no role in the project `default`");
    let nowhere = RequestForm {
        project: Some(project("nowhere")),
        ..wish("third")
    };
    let refused = town.operator.request(&nowhere).await.unwrap_err();
    assert!(matches!(refused, CallError::NotFound(_)), "{refused}");
}

#[tokio::test]
async fn a_tree_stays_in_its_project() {
    let town = Town::new().await;
    let ann = town.invite("ann", Some(("web", Role::Member))).await;
    ann.request(&wish("site")).await.unwrap();
    let child = RequestForm {
        requester: Some(at(&town.web, 0)),
        ..wish("db")
    };
    let db = town.web.client.request(&child).await.unwrap();
    assert_eq!(db.computer, town.web.id);
    let elsewhere = RequestForm {
        filter: [("project_guid".to_owned(), "lab".to_owned())].into(),
        requester: Some(at(&town.web, 0)),
        ..wish("far")
    };
    let refused = town.web.client.request(&elsewhere).await.unwrap_err();
    assert_eq!(
        words(&refused),
        "no node matches `project_guid=lab`: the instance is in the project `web`"
    );
    // What is to be shared is looked for in the project too.
    let bob = town.invite("bob", Some(("lab", Role::Member))).await;
    let share = RequestForm {
        shared: true,
        ..wish("share")
    };
    let refused = bob.request(&share).await.unwrap_err();
    assert!(matches!(refused, CallError::NotReady(_)), "{refused}");
    ann.request(&share).await.unwrap();
}

#[tokio::test]
async fn projects_and_nodes_in_use_stay_where_they_are() {
    let town = Town::new().await;
    let ann = town.invite("ann", Some(("web", Role::Member))).await;
    ann.request(&wish("site")).await.unwrap();
    let operator = &town.operator;
    let refused = operator
        .move_computer(&town.web.id, &project("lab"))
        .await
        .unwrap_err();
    assert!(words(&refused).contains("1 instance(s) of the project `web` are on COMP-1"));
    let refused = operator.delete_project(&project("web")).await.unwrap_err();
    assert!(words(&refused).contains("1 computer(s) and 1 service(s) are in `web`"));
    let refused = operator
        .delete_project(&project("default"))
        .await
        .unwrap_err();
    assert_eq!(code(&refused), "conflict");
    operator.create_project(&project("empty")).await.unwrap();
    operator
        .set_role(&project("empty"), &name("ann"), Some(Role::Manager))
        .await
        .unwrap();
    operator.delete_project(&project("empty")).await.unwrap();
    let left = operator.projects().await.unwrap().projects;
    let left: Vec<_> = left.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(left, ["default", "lab", "web"]);
    let refused = operator
        .set_role(&project("empty"), &name("ann"), None)
        .await
        .unwrap_err();
    assert_eq!(code(&refused), "not_found");
}
