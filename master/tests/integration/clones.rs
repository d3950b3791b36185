//! Two machines that claim to be one, and one that claims to be two.

use slap::v1::{Inventory, TokenRequest};

use crate::lab::{Lab, enrolled, token};

fn machine(smbios_uuid: &str) -> Inventory {
    Inventory {
        smbios_uuid: smbios_uuid.to_owned(),
        ..Inventory::default()
    }
}

#[tokio::test]
async fn one_key_on_two_machines_is_flagged() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node_like(&operator, machine("a1-b2")).await;
    let join = token(&operator, TokenRequest::default()).await;
    let (same, _) = enrolled(lab.enrol(&join, &node.key, machine("c3-d4")).await);
    assert_eq!(same, node.id.as_str());
    let shown = operator.computer_status(&node.id).await.unwrap();
    assert_eq!(
        shown.warnings,
        ["its key is also on a machine with SMBIOS UUID c3-d4"]
    );
}

#[tokio::test]
async fn one_machine_with_two_keys_is_flagged_on_both() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let first = lab.node_like(&operator, machine("a1-b2")).await;
    let second = lab.node_like(&operator, machine("a1-b2")).await;
    for (node, twin) in [(&first, &second), (&second, &first)] {
        let shown = operator.computer_status(&node.id).await.unwrap();
        let expected = format!("{} has another key and the same SMBIOS UUID a1-b2", twin.id);
        assert_eq!(shown.warnings, [expected]);
    }
}

#[tokio::test]
async fn a_machine_that_was_reset_and_revoked_is_no_clone() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let before = lab.node_like(&operator, machine("a1-b2")).await;
    operator.revoke_computer(&before.id).await.unwrap();
    let after = lab.node_like(&operator, machine("a1-b2")).await;
    let shown = operator.computer_status(&after.id).await.unwrap();
    assert_eq!(shown.warnings, Vec::<String>::new());
}
