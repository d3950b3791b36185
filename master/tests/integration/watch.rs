//! Long polls: woken at once, and cheap to hold.

use std::time::{Duration, Instant};

use crate::lab::{Lab, code};
use crate::services::{supply, wish};

#[tokio::test]
async fn a_held_poll_is_woken_by_any_change_of_the_desired_state() {
    let lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    node.announce(1).await;
    let mut generation = node.client.watch(&node.id, u64::MAX).await.unwrap();
    for step in 0..3 {
        let watching = node.client.watch(&node.id, generation);
        let change = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let begun = Instant::now();
            match step {
                0 => supply(&operator, &node.id).await,
                1 => drop(operator.request(&wish("web")).await.unwrap()),
                _ => operator.revoke_computer(&node.id).await.unwrap(),
            }
            begun
        };
        let (moved, begun) = tokio::join!(watching, change);
        // Not by the end of the poll; how fast it truly is, the bench measures on an idle machine.
        assert!(begun.elapsed() < Duration::from_secs(10));
        let moved = moved.unwrap();
        assert!(moved > generation);
        generation = moved;
    }
    let shut_out = node.client.watch(&node.id, generation).await.unwrap_err();
    assert_eq!(code(&shut_out), "revoked");
}

#[tokio::test]
async fn a_stop_answers_held_polls() {
    let mut lab = Lab::open().await;
    let operator = lab.operator().await;
    let node = lab.node(&operator).await;
    let generation = node.client.watch(&node.id, u64::MAX).await.unwrap();
    let polls: Vec<_> = (0..50)
        .map(|_| {
            let (client, id) = (lab.client(node.identity.clone()), node.id.clone());
            tokio::spawn(async move { client.watch(&id, generation).await })
        })
        .collect();
    while lab.master().store.generations().waiting(&node.id) < polls.len() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    lab.stop().await;
    for poll in polls {
        assert_eq!(poll.await.unwrap().unwrap(), generation);
    }
}
