//! How this machine is as a node.

use crate::commands::node::NodeState;

use super::layout::{facts, moment, single, table};

pub(crate) fn node(state: &NodeState) -> String {
    let or_nothing = |text: &Option<String>| text.clone().unwrap_or_default();
    let contact = state.last_contact.map(moment).unwrap_or_default();
    let mut text = facts(&[
        ("name", state.name.clone()),
        ("version", state.version.clone()),
        ("role", or_nothing(&state.role)),
        ("master", state.masters.join(", ")),
        ("enrolment", enrolment(state)),
        ("last contact", contact),
        ("master away", or_nothing(&state.master_away)),
        ("overlay", overlay(state)),
        ("address", or_nothing(&state.overlay.address)),
        ("partitions", partitions(state)),
        ("instances", instances(state)),
    ]);
    if !state.software.is_empty() {
        let rows = state.software.iter();
        let rows = rows.map(|(url, word)| [url.clone(), word.clone()]);
        text.push('\n');
        text.push_str(&table(["SOFTWARE", "STATE"], rows.collect()));
    }
    if !state.failures.is_empty() {
        let rows = state.failures.iter().map(|failure| {
            let subject = failure.subject.as_deref().unwrap_or("this node");
            [subject.to_owned(), failure.message.clone()]
        });
        text.push('\n');
        text.push_str(&table(["FAILURE OF", "WHAT"], rows.collect()));
    }
    for notice in &state.notices {
        text.push_str(&format!("\n{}\n", single(notice)));
    }
    text
}

fn enrolment(state: &NodeState) -> String {
    let enrolment = &state.enrolment;
    let mut words = match (enrolment.state.as_str(), &enrolment.reference) {
        ("pending", _) => format!(
            "waiting for approval, code {}",
            state.code.as_deref().unwrap_or("not known")
        ),
        (word, Some(reference)) => format!("{word} as {reference}"),
        (word, None) => word.to_owned(),
    };
    if let Some(reason) = &enrolment.reason {
        words.push_str(&format!(": {reason}"));
    }
    words
}

fn overlay(state: &NodeState) -> String {
    let overlay = &state.overlay;
    let mut words = overlay.state.clone();
    if let Some(prefix) = &overlay.prefix {
        words.push_str(&format!(", {prefix}"));
    }
    if overlay.links > 0 {
        words.push_str(&format!(", {} links up", overlay.links));
    }
    if !overlay.reason.is_empty() {
        words.push_str(&format!(": {}", overlay.reason));
    }
    words
}

fn partitions(state: &NodeState) -> String {
    let made = &state.partitions;
    format!(
        "{} of {} ready, {} in use",
        made.ready, made.wanted, made.used
    )
}

fn instances(state: &NodeState) -> String {
    let count = &state.instances;
    format!(
        "{} started, {} stopped, {} on their way",
        count.started, count.stopped, count.pending
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::node::SERVING;

    #[test]
    fn a_node_that_serves_is_a_short_table() {
        insta::assert_snapshot!(node(&serde_json::from_str(SERVING).unwrap()));
    }

    #[test]
    fn what_has_failed_is_shown_and_moves_no_cursor() {
        let state = serde_json::from_str(
            r#"{"name": "edge-1", "enrolment": {"state": "enrolled", "reference": "COMP-2"},
                "overlay": {"state": "connecting", "reason": "no answer"}, "partitions": {"wanted": 4, "ready": 3},
                "failures": [{"subject": "slappart3", "message": "no\u001b[2J room"}, {"message": "no taps"}],
                "notices": ["the stick cannot\nbe read"], "master_away": "time out"}"#,
        );
        insta::assert_snapshot!(node(&state.unwrap()));
    }
}
