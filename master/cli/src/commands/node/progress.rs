//! The way of a machine to being a node, in words: what is new since the last look, and whether it has come to its end. Pure.

use super::state::NodeState;

/// Whether to go on waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    GoesOn,
    Done(String),
    /// Waiting longer is of no use.
    Failed(String),
}

/// Returns what has happened between two looks, a line each.
pub(super) fn news(before: &NodeState, now: &NodeState) -> Vec<String> {
    let mut lines = Vec::new();
    if before.enrolment != now.enrolment {
        lines.extend(enrolment(now));
    }
    let told = (&before.overlay.state, &before.overlay.reason);
    if told != (&now.overlay.state, &now.overlay.reason) {
        lines.extend(overlay(now));
    }
    if before.partitions.ready != now.partitions.ready {
        let made = &now.partitions;
        lines.push(format!(
            "partitions: {} of {} are made",
            made.ready, made.wanted
        ));
    }
    if before.master_away != now.master_away
        && let Some(why) = &now.master_away
    {
        lines.push(format!("the master does not answer: {why}"));
    }
    let is_new = |notice: &&String| !before.notices.contains(notice);
    lines.extend(now.notices.iter().filter(is_new).cloned());
    for failure in &now.failures {
        if !before.failures.contains(failure) {
            lines.push(match &failure.subject {
                Some(subject) => format!("{subject}: {}", failure.message),
                None => failure.message.clone(),
            });
        }
    }
    lines
}

fn enrolment(now: &NodeState) -> Option<String> {
    let why = now.enrolment.reason.as_deref();
    let because = |words: &str| match why {
        Some(why) => format!("{words}: {why}"),
        None => words.to_owned(),
    };
    match now.enrolment.state.as_str() {
        "enrolling" => Some(because(&format!(
            "enrolling with {}",
            now.masters.join(", ")
        ))),
        "preparing" => Some(because("preparing")),
        "pending" => Some(format!(
            "waiting until an operator approves this machine; its code is {}",
            now.code.as_deref().unwrap_or("not known")
        )),
        "enrolled" => Some(format!("enrolled as {}", reference(now))),
        // What ends the waiting is told as its end.
        _ => None,
    }
}

fn overlay(now: &NodeState) -> Option<String> {
    let overlay = &now.overlay;
    match overlay.state.as_str() {
        "" | "none" => None,
        "connected" => Some(format!(
            "overlay: connected, with the prefix {}",
            overlay.prefix.as_deref().unwrap_or("of its master")
        )),
        state if overlay.reason.is_empty() => Some(format!("overlay: {state}")),
        state => Some(format!("overlay: {state}, {}", overlay.reason)),
    }
}

/// Returns whether the machine has become a node, or cannot.
pub(super) fn verdict(now: &NodeState) -> Verdict {
    let why = now.enrolment.reason.as_deref();
    match (now.enrolment.state.as_str(), why) {
        ("refused", why) => Verdict::Failed(format!(
            "the master refuses this machine: {}. `slapbox token create` makes another line, and \
             `slapbox node register` takes it",
            why.unwrap_or("it does not say why").trim_end_matches('.')
        )),
        ("revoked", why) => Verdict::Failed(format!(
            "the master has shut this machine out: {}",
            why.unwrap_or("it does not say why")
        )),
        ("unconfigured", Some(why)) => {
            Verdict::Failed(format!("the agent does not take its configuration: {why}"))
        }
        ("enrolled", _) if now.is_connected() && now.is_laid_out() => Verdict::Done(format!(
            "this machine is {}, a node of {}, with {} partitions",
            reference(now),
            now.masters.join(", "),
            now.partitions.ready
        )),
        _ => Verdict::GoesOn,
    }
}

/// Returns how far it has come, for somebody who does not wait longer.
pub(super) fn standing(now: &NodeState) -> String {
    match now.enrolment.state.as_str() {
        "" => "the agent has said nothing".to_owned(),
        "enrolled" => {
            let last = [
                overlay(now),
                now.failures.first().map(|it| it.message.clone()),
            ];
            let last: Vec<String> = last.into_iter().flatten().collect();
            let made = &now.partitions;
            format!(
                "it is enrolled as {}, {} of {} partitions are made; {}",
                reference(now),
                made.ready,
                made.wanted,
                last.join("; ")
            )
        }
        state => enrolment(now).unwrap_or_else(|| format!("it is {state}")),
    }
}

fn reference(now: &NodeState) -> &str {
    now.enrolment.reference.as_deref().unwrap_or("a computer")
}

#[cfg(test)]
mod tests {
    use super::super::state::SERVING;
    use super::*;

    fn state(json: &str) -> NodeState {
        NodeState::parse(json).unwrap()
    }

    /// What is said on the way, and how it ends.
    fn told(steps: &[&str]) -> (Vec<String>, Verdict) {
        let mut before = NodeState::default();
        let mut lines = Vec::new();
        for step in steps {
            let now = state(step);
            lines.extend(news(&before, &now));
            before = now;
        }
        (lines, verdict(&before))
    }

    #[test]
    fn the_way_is_told_step_by_step_and_nothing_twice() {
        let asks = r#"{"masters": ["https://192.0.2.1"], "enrolment": {"state": "enrolling"}}"#;
        let waits = r#"{"code": "K7QD-M2XA", "enrolment": {"state": "pending"}}"#;
        let links = r#"{"enrolment": {"state": "enrolled", "reference": "COMP-2"},
            "overlay": {"state": "connecting", "reason": "no answer of COMP-1"}, "partitions": {"wanted": 200}}"#;
        let (lines, verdict) = told(&[asks, asks, waits, links, links, SERVING]);
        assert_eq!(
            lines,
            [
                "enrolling with https://192.0.2.1",
                "waiting until an operator approves this machine; its code is K7QD-M2XA",
                "enrolled as COMP-2",
                "overlay: connecting, no answer of COMP-1",
                "overlay: connected, with the prefix fd12:3456:789a:1::/64",
                "partitions: 200 of 200 are made",
            ]
        );
        let Verdict::Done(words) = verdict else {
            panic!("{verdict:?}")
        };
        assert_eq!(
            words,
            "this machine is COMP-2, a node of https://192.0.2.1, with 200 partitions"
        );
    }

    #[test]
    fn a_refusal_ends_the_waiting_with_the_masters_words_and_what_to_do() {
        let (lines, verdict) = told(&[
            r#"{"enrolment": {"state": "refused", "reason": "the token is unknown, used or expired."}}"#,
        ]);
        assert_eq!(lines, Vec::<String>::new());
        let Verdict::Failed(words) = verdict else {
            panic!("{verdict:?}")
        };
        assert!(
            words.starts_with("the master refuses this machine: the token is unknown, used or expired. `slapbox token create`"),
            "{words}"
        );
        let (_, unread) = told(&[r#"{"enrolment": {"state": "unconfigured"}}"#]);
        assert_eq!(unread, Verdict::GoesOn, "the agent has not looked yet");
    }

    #[test]
    fn trouble_on_the_way_is_told_once_and_waited_for() {
        let trouble = r#"{"enrolment": {"state": "enrolled", "reference": "COMP-2"}, "master_away": "time out",
            "failures": [{"subject": "slappart3", "message": "no room"}, {"subject": null, "message": "no taps"}],
            "notices": ["the stick cannot be read"]}"#;
        let (lines, verdict) = told(&[trouble, trouble]);
        assert_eq!(
            lines,
            [
                "enrolled as COMP-2",
                "the master does not answer: time out",
                "the stick cannot be read",
                "slappart3: no room",
                "no taps",
            ]
        );
        assert_eq!(verdict, Verdict::GoesOn);
        assert_eq!(
            standing(&state(trouble)),
            "it is enrolled as COMP-2, 0 of 0 partitions are made; no room"
        );
    }
}
