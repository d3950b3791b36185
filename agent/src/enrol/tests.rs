//! What follows on each answer, without a master.

use super::*;

fn trouble(reason: &str) -> Answer {
    Answer::Trouble(Trouble::Other {
        reason: reason.into(),
    })
}

fn clock() -> Answer {
    Answer::Trouble(Trouble::Clock {
        reason: "the certificate counts only from tomorrow".into(),
    })
}

fn waits(step: Step) -> Duration {
    let Step::Ask { after, .. } = step else {
        panic!("{step:?} does not wait")
    };
    after
}

#[test]
fn an_unreachable_master_is_asked_forever_and_less_and_less_often() {
    let mut progress = Progress::default();
    let pauses: Vec<_> = (0..1000)
        .map(|_| waits(progress.after(trouble("no route"), 1.0)))
        .collect();
    assert!(pauses.is_sorted());
    assert_eq!(pauses.last(), Some(&Duration::from_secs(30)));
}

#[test]
fn a_refusal_waits_for_another_document_and_says_why() {
    let reason = "the master refused the token: it is unknown, expired or used".to_owned();
    let step = Progress::default().after(
        Answer::Refused {
            reason: reason.clone(),
        },
        0.0,
    );
    assert_eq!(
        step,
        Step::WaitForDocument {
            shown: Enrolment::Refused { reason }
        }
    );
}

#[test]
fn a_pending_box_asks_when_the_master_says_but_neither_at_once_nor_never() {
    for (said, waited) in [(0, 1), (10, 10), (100_000, 60)] {
        let answer = Answer::Pending {
            after: Duration::from_secs(said),
        };
        let step = Progress::default().after(answer, 0.5);
        let after = Duration::from_secs(waited);
        assert_eq!(
            step,
            Step::Ask {
                after,
                shown: Enrolment::Pending
            }
        );
    }
}

#[test]
fn a_doubtful_clock_is_set_once_and_then_said() {
    let mut progress = Progress::default();
    assert_eq!(progress.after(clock(), 0.5), Step::TakeTime);
    assert!(matches!(progress.after(clock(), 0.5), Step::Ask { .. }));
    assert_eq!(
        progress.after(clock(), 0.5),
        Step::TakeTime,
        "and again after the pause"
    );
}

#[test]
fn a_certificate_is_renewed_at_half_of_its_life() {
    let certificate = crate::identity::Certificate {
        pem: String::new(),
        public_key: Vec::new(),
        not_before: 1000,
        not_after: 2000,
    };
    for (now, expected) in [
        (1000, Renewal::NotYet),
        (1499, Renewal::NotYet),
        (1500, Renewal::Due),
        (2000, Renewal::Due),
        (2001, Renewal::Expired),
    ] {
        assert_eq!(renewal(&certificate, now), expected, "{now}");
    }
}
