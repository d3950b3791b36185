//! Getting in, and not getting in.

use slap::client::CallError;
use slap::v1::{Inventory, TokenRequest};

use crate::lab::{Key, Lab, enrolled, token};

pub(crate) fn code(error: &CallError) -> String {
    match error {
        CallError::NotReady(error)
        | CallError::Forbidden(error)
        | CallError::NotFound(error)
        | CallError::Status { error, .. } => error.error.clone(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_node_enrols_with_a_token_and_is_known_by_its_certificate() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    assert_eq!(node.id.as_str(), "COMP-1");
    let shown = operator.computer_status(&node.id).await.unwrap();
    assert_eq!(shown.reference, node.id);
    node.client
        .report(&slap::v1::NodeReport::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_lost_answer_is_given_again_and_another_key_is_refused() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let join = token(&operator, TokenRequest::default()).await;
    let key = Key::new();
    let (first, _) = enrolled(lab.enrol(&join, &key, Inventory::default()).await);
    lab.let_pass(7200);
    let (again, certificate) = enrolled(lab.enrol(&join, &key, Inventory::default()).await);
    assert_eq!(first, again);
    drop(certificate);
    let refused = lab.enrol(&join, &Key::new(), Inventory::default()).await;
    assert_eq!(code(&refused.unwrap_err()), "token_refused");
}
