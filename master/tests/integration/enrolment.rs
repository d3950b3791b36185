//! Getting in, and not getting in.

use slap::client::{CallError, Client, Settings, TlsRefusal};
use slap::v1::{ComputerState, EnrolReply, Inventory, TokenKind, TokenRequest, Wanted};
use slapbox_master::minting::Mint;

use crate::lab::{Key, Lab, code, enrolled, token, words};

#[tokio::test]
async fn a_node_enrols_with_a_token_and_is_known_by_its_certificate() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let inventory = Inventory {
        name: "edge-1".into(),
        cpus: 2,
        ..Inventory::default()
    };
    let node = lab.node_like(&operator, inventory.clone()).await;
    assert_eq!(node.id.as_str(), "COMP-1");
    let report = slap::v1::NodeReport {
        version: "1.2.3".into(),
        ..slap::v1::NodeReport::default()
    };
    node.client.report(&report).await.unwrap();
    let shown = operator.computer_status(&node.id).await.unwrap();
    assert_eq!(shown.state, ComputerState::Enrolled);
    assert_eq!(shown.inventory, inventory);
    assert_eq!(shown.report, Some(report));
    assert!(shown.last_contact.is_some());
    assert_eq!(shown.warnings, Vec::<String>::new());
    assert_eq!(operator.computers().await.unwrap().computers, [shown]);
}

#[tokio::test]
async fn a_lost_answer_is_given_again_and_another_key_is_refused() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let join = token(&operator, TokenRequest::default()).await;
    let key = Key::new();
    let (first, _) = enrolled(lab.enrol(&join, &key, Inventory::default()).await);
    let refused = lab.enrol(&join, &Key::new(), Inventory::default()).await;
    assert_eq!(code(&refused.unwrap_err()), "token_refused");

    lab.let_pass(2 * 3600);
    let (again, certificate) = enrolled(lab.enrol(&join, &key, Inventory::default()).await);
    assert_eq!(first, again);
    assert_eq!(operator.computers().await.unwrap().computers.len(), 1);
    let tokens = operator.tokens().await.unwrap().tokens;
    let used = tokens.iter().find(|it| it.id == join.token.id()).unwrap();
    assert_eq!(used.used, 1);
    // The certificate that came at last is as good as the one that got lost.
    lab.client(key.identity(certificate))
        .watch(&first.parse().unwrap(), 99)
        .await
        .unwrap();
}

#[tokio::test]
async fn two_lost_answers_at_once_are_one_computer() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let join = token(&operator, TokenRequest::default()).await;
    let key = Key::new();
    let tries = (0..8).map(|_| lab.enrol(&join, &key, Inventory::default()));
    for reply in futures_util::future::join_all(tries).await {
        assert_eq!(enrolled(reply).0, "COMP-1");
    }
    let others: Vec<Key> = (0..8).map(|_| Key::new()).collect();
    let join = token(&operator, TokenRequest::default()).await;
    let tries = others
        .iter()
        .map(|key| lab.enrol(&join, key, Inventory::default()));
    let replies = futures_util::future::join_all(tries).await;
    assert_eq!(replies.iter().filter(|it| it.is_ok()).count(), 1);
}

#[tokio::test]
async fn unknown_used_expired_and_revoked_tokens_look_alike() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let mut joins = Vec::new();
    let mut unknown = token(&operator, TokenRequest::default()).await;
    unknown.token = slap::join::Token::from_random([7; 12], [7; 32]);
    joins.push(unknown);
    let mut guessed = token(&operator, TokenRequest::default()).await;
    guessed.token = format!("{}.{}", guessed.token.id(), "A".repeat(43))
        .parse()
        .unwrap();
    joins.push(guessed);
    let used = token(&operator, TokenRequest::default()).await;
    enrolled(lab.enrol(&used, &Key::new(), Inventory::default()).await);
    joins.push(used);
    let revoked = token(&operator, TokenRequest::default()).await;
    operator.revoke_token(revoked.token.id()).await.unwrap();
    joins.push(revoked);
    let serial = TokenRequest {
        expected_serial: Some("S-1".into()),
        ..TokenRequest::default()
    };
    joins.push(token(&operator, serial).await);
    let short = TokenRequest {
        lifetime_seconds: 60,
        ..TokenRequest::default()
    };
    joins.push(token(&operator, short).await);
    lab.let_pass(61);

    let mut answers = Vec::new();
    for join in &joins {
        let refused = lab.enrol(join, &Key::new(), Inventory::default()).await;
        answers.push(refused.unwrap_err().to_string());
    }
    answers.dedup();
    assert_eq!(
        answers,
        ["refused: the token is unknown, expired or used up"]
    );
}

#[tokio::test]
async fn a_token_for_a_serial_number_lets_that_machine_in() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let request = TokenRequest {
        expected_serial: Some("S-1".into()),
        ..TokenRequest::default()
    };
    let join = token(&operator, request).await;
    let inventory = Inventory {
        serial: "S-1".into(),
        ..Inventory::default()
    };
    enrolled(lab.enrol(&join, &Key::new(), inventory).await);
}

#[tokio::test]
async fn a_token_with_two_uses_lets_two_in_and_labels_them() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let request = TokenRequest {
        uses: 2,
        labels: [("site".to_owned(), "north".to_owned())].into(),
        ..TokenRequest::default()
    };
    let join = token(&operator, request).await;
    for _ in 0..2 {
        enrolled(lab.enrol(&join, &Key::new(), Inventory::default()).await);
    }
    let refused = lab.enrol(&join, &Key::new(), Inventory::default()).await;
    assert_eq!(code(&refused.unwrap_err()), "token_refused");
    for computer in operator.computers().await.unwrap().computers {
        assert_eq!(computer.labels["site"], "north");
    }
}

#[tokio::test]
async fn where_the_token_does_not_approve_an_operator_does() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let request = TokenRequest {
        auto_approve: false,
        lifetime_seconds: 60,
        ..TokenRequest::default()
    };
    let join = token(&operator, request).await;
    let key = Key::new();
    let EnrolReply::Pending { code: shown, .. } =
        lab.enrol(&join, &key, Inventory::default()).await.unwrap()
    else {
        panic!("let in without approval");
    };
    let waiting = operator.computers().await.unwrap().computers.remove(0);
    assert_eq!(waiting.state, ComputerState::Pending);
    assert_eq!(waiting.code, shown);

    // However long the operator takes: the token was redeemed in time.
    lab.let_pass(3600);
    operator.approve_computer(&waiting.reference).await.unwrap();
    let (reference, _) = enrolled(lab.enrol(&join, &key, Inventory::default()).await);
    assert_eq!(reference, waiting.reference.as_str());
}

#[tokio::test]
async fn a_revoked_computer_is_shut_out_at_once_and_for_good() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    node.client.computer(&node.id).await.unwrap();
    operator.revoke_computer(&node.id).await.unwrap();
    let refused = node.client.computer(&node.id).await.unwrap_err();
    assert_eq!(words(&refused), "this certificate is revoked");
    let renewal = node.client.renew(&node.key.csr()).await.unwrap_err();
    assert_eq!(code(&renewal), "revoked");
    let join = token(&operator, TokenRequest::default()).await;
    let again = lab.enrol(&join, &node.key, Inventory::default()).await;
    assert_eq!(code(&again.unwrap_err()), "revoked");
    let approval = operator.approve_computer(&node.id).await.unwrap_err();
    assert_eq!(code(&approval), "conflict");
}

#[tokio::test]
async fn a_certificate_is_renewed_with_the_one_before() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    let new_key = Key::new();
    let renewed = node.client.renew(&new_key.csr()).await.unwrap();
    assert_eq!(renewed.ca, lab.ca());
    let client = lab.client(new_key.identity(renewed.certificate));
    client.computer(&node.id).await.unwrap();
    // The key of another computer is not taken over.
    let other = lab.node(&operator).await;
    let refused = client.renew(&other.key.csr()).await.unwrap_err();
    assert_eq!(code(&refused), "conflict");
}

#[tokio::test]
async fn a_computer_that_was_off_for_long_comes_back_by_its_key() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    let join = lab.local_token(Mint::operator()).await;
    lab.let_pass(30 * 24 * 3600);
    let stranger = lab.stranger(&join);
    let renewed = stranger.renew(&node.key.csr()).await.unwrap();
    let credential = slapbox_master::identity::Credential::read(&der(&renewed.certificate));
    assert_eq!(credential.unwrap().identity.name(), node.id.as_str());

    let unknown = stranger.renew(&Key::new().csr()).await.unwrap_err();
    assert_eq!(code(&unknown), "no_certificate");
    let operator = lab.operator().await;
    operator.revoke_computer(&node.id).await.unwrap();
    let revoked = stranger.renew(&node.key.csr()).await.unwrap_err();
    assert_eq!(code(&revoked), "revoked");
}

fn der(pem: &str) -> Vec<u8> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_slice(pem.as_bytes())
        .unwrap()
        .to_vec()
}

#[tokio::test]
async fn an_expired_certificate_ends_even_on_an_open_connection() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    node.client.computer(&node.id).await.unwrap();
    lab.let_pass(8 * 24 * 3600);
    let refused = node.client.computer(&node.id).await.unwrap_err();
    assert_eq!(
        words(&refused),
        "the certificate has expired: renew it, or enrol again"
    );
    let refused = lab.client(node.identity.clone()).computer(&node.id).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn a_guesser_is_slowed_down() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let mut join = token(&operator, TokenRequest::default()).await;
    let good = join.clone();
    join.token = slap::join::Token::from_random([7; 12], [7; 32]);
    let key = Key::new();
    for _ in 0..10 {
        let refused = lab.enrol(&join, &key, Inventory::default()).await;
        assert_eq!(code(&refused.unwrap_err()), "token_refused");
    }
    let slowed = lab.enrol(&join, &key, Inventory::default()).await;
    assert_eq!(code(&slowed.unwrap_err()), "slow_down");
    lab.let_pass(60);
    enrolled(lab.enrol(&good, &key, Inventory::default()).await);
}

#[tokio::test]
async fn a_request_that_proves_no_key_is_refused_and_burns_no_token() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let join = token(&operator, TokenRequest::default()).await;
    let request = |csr: String| slap::v1::EnrolRequest {
        token: join.token.clone(),
        csr,
        wanted: None,
        inventory: Inventory::default(),
    };
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let params = rcgen::CertificateParams::default();
    let other_curve = params.serialize_request(&p384).unwrap().pem().unwrap();
    let stranger = lab.stranger(&join);
    for csr in ["nonsense".to_owned(), other_curve] {
        let refused = stranger.enrol(&request(csr)).await.unwrap_err();
        assert_eq!(code(&refused), "bad_request", "{refused}");
    }
    enrolled(lab.enrol(&join, &Key::new(), Inventory::default()).await);
}

#[tokio::test]
async fn the_first_operator_logs_in_with_the_words_of_welcome() {
    let mut lab = Lab::open().await;
    let before = std::fs::read_to_string(lab.welcome()).unwrap();
    lab.restart().await;
    let welcome = std::fs::read_to_string(lab.welcome()).unwrap();
    assert_ne!(before, welcome);
    let welcome: serde_json::Value = serde_json::from_str(&welcome).unwrap();
    assert_eq!(welcome["urls"][0], "https://127.0.0.1:1");
    let login = welcome["login"].as_str().unwrap();
    let join = login
        .strip_prefix("slapbox login ")
        .unwrap()
        .parse()
        .unwrap();
    let key = Key::new();
    let (name, certificate) = enrolled(lab.enrol(&join, &key, Inventory::default()).await);
    assert_eq!(name, "operator-1");
    lab.client(key.identity(certificate))
        .tokens()
        .await
        .unwrap();
    for _ in 0..100 {
        if !lab.welcome().exists() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the words stay though there is an operator");
}

#[tokio::test]
async fn an_operator_is_called_what_the_tokens_maker_says() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let request = TokenRequest {
        kind: TokenKind::Operator,
        name: Some("ann".parse().unwrap()),
        ..TokenRequest::default()
    };
    // The second time she lost her key, or has another machine.
    for _ in 0..2 {
        let join = token(&operator, request.clone()).await;
        let (name, _) = enrolled(lab.enrol(&join, &Key::new(), Inventory::default()).await);
        assert_eq!(name, "ann");
    }
}

#[tokio::test]
async fn a_token_for_somebody_else_is_refused_in_words_and_stays_good() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    for (kind, wanted, words) in [
        (
            TokenKind::Node,
            Wanted::User,
            "the token is a node's, not a user's: `slapbox user invite` makes one",
        ),
        (
            TokenKind::Operator,
            Wanted::Node,
            "the token is a user's, not a node's: `slapbox token create` makes one",
        ),
    ] {
        let request = TokenRequest {
            kind,
            ..TokenRequest::default()
        };
        let join = token(&operator, request).await;
        let key = Key::new();
        let mistaken = slap::v1::EnrolRequest {
            token: join.token.clone(),
            csr: key.csr(),
            wanted: Some(wanted),
            inventory: Inventory::default(),
        };
        let refused = lab.stranger(&join).enrol(&mistaken).await.unwrap_err();
        assert_eq!(code(&refused), "token_of_other_kind");
        assert!(refused.to_string().contains(words), "{refused}");
        enrolled(lab.enrol(&join, &key, Inventory::default()).await);
    }
}

#[tokio::test]
async fn no_token_is_made_that_makes_no_sense() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let default = TokenRequest::default;
    for request in [
        TokenRequest {
            uses: 0,
            ..default()
        },
        TokenRequest {
            lifetime_seconds: 0,
            ..default()
        },
        TokenRequest {
            lifetime_seconds: u64::MAX,
            ..default()
        },
        TokenRequest {
            kind: TokenKind::Operator,
            uses: 2,
            ..default()
        },
    ] {
        let refused = operator.create_token(&request).await.unwrap_err();
        assert_eq!(code(&refused), "bad_request");
    }
    let unknown = operator.revoke_token("nobody").await.unwrap_err();
    assert!(matches!(unknown, CallError::NotFound(_)));
}

#[tokio::test]
async fn the_master_tells_what_it_is_and_what_time_it_is() {
    let lab = Lab::open().await;
    let join = lab.local_token(Mint::operator()).await;
    let stranger = lab.stranger(&join);
    let discovery = stranger.discover().await.unwrap();
    assert_eq!(discovery.version, 1);
    assert_eq!(
        discovery.endpoints,
        ["watch", "report", "enrol", "forward", "cache"]
    );
    assert_eq!(stranger.ca().await.unwrap(), lab.ca());
    let time = stranger.time(&[7; 16]).await.unwrap();
    assert_eq!(time / 100, lab.world().clock.now().seconds() / 100);
    let short = stranger.time(&[7; 15]).await.unwrap_err();
    assert_eq!(code(&short), "bad_request");
}

#[tokio::test]
async fn another_ca_is_not_believed() {
    let (lab, other) = (Lab::open().await, Lab::open().await);
    let join = other.local_token(Mint::operator()).await;
    let settings = Settings {
        urls: vec![lab.url()],
        ..Settings::joining(&join)
    };
    let refused = Client::new(&settings)
        .unwrap()
        .discover()
        .await
        .unwrap_err();
    let CallError::TlsRefused { refusal, .. } = refused else {
        panic!("{refused}");
    };
    assert_eq!(refusal, TlsRefusal::OtherCa);
}
