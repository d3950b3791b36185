//! Screens as a person sees them, compared with those that were looked at before.

use super::*;
use crate::status::{Instances, LoginLine, Overlay, Part, Partitions};

const NOW: i64 = 1_795_228_200;

fn fresh() -> Status {
    Status {
        version: "0.1.0".into(),
        code: Some("ABCD-EFGH".into()),
        addresses: vec![
            "10.0.2.15".parse().unwrap(),
            "fec0::5054:ff:fe12:3456".parse().unwrap(),
        ],
        ..Status::default()
    }
}

fn serving() -> Status {
    Status {
        name: "edge-1".into(),
        role: Some("node"),
        masters: vec!["https://10.0.2.2:4430".into()],
        enrolment: Enrolment::Enrolled {
            reference: "COMP-2".into(),
        },
        overlay: Overlay {
            state: "connected".into(),
            prefix: "fd12:3456:789a:2::/64".parse().ok(),
            address: "fd12:3456:789a:2::1".parse().ok(),
            links: 1,
            reason: String::new(),
        },
        partitions: Partitions {
            wanted: 200,
            ready: 200,
            used: 1,
            seconds: 1.87,
        },
        software: [(
            "https://10.0.2.2:4430/releases/demo.oci.tar".to_owned(),
            "available",
        )]
        .into(),
        instances: Instances {
            started: 1,
            stopped: 0,
            pending: 0,
        },
        last_contact: Some(NOW - 3),
        ..fresh()
    }
}

fn drawn(status: &Status) -> String {
    let screen = render(status, NOW);
    let rows: usize = screen
        .lines
        .iter()
        .map(|line| line.len().div_ceil(COLUMNS).max(1))
        .sum();
    assert!(rows <= ROWS, "{rows} rows");
    for line in &screen.lines {
        assert!(
            line.is_ascii() && !line.contains(char::is_control),
            "{line:?}"
        );
        assert!(
            line.len() <= COLUMNS || line.starts_with("slapbox login "),
            "{line:?}"
        );
    }
    screen.lines.join("\n")
}

fn enrolling(enrolment: Enrolment) -> String {
    let masters = vec!["https://10.0.2.2:4430".into()];
    drawn(&Status {
        enrolment,
        role: Some("node"),
        masters,
        ..fresh()
    })
}

#[test]
fn a_box_without_a_document_says_what_it_needs() {
    insta::assert_snapshot!(
        "unconfigured",
        drawn(&Status {
            enrolment: Enrolment::Unconfigured { reason: None },
            ..fresh()
        })
    );
    let reason = "the configuration on the stick labelled SLAPBOX is not good: line 2, column 1: \
                  unknown key `jion`: did you mean `join`?";
    insta::assert_snapshot!(
        "malformed",
        drawn(&Status {
            enrolment: Enrolment::Unconfigured {
                reason: Some(reason.into())
            },
            ..fresh()
        })
    );
}

#[test]
fn each_step_of_enrolment_says_why_it_takes_so_long() {
    let away = "the master at 10.0.2.2:4430 does not answer: the connection is refused";
    insta::assert_snapshot!(
        "enrolling",
        enrolling(Enrolment::Enrolling {
            reason: Some(away.into())
        })
    );
    insta::assert_snapshot!("pending", enrolling(Enrolment::Pending));
    let refused = "the master refused the token: it is unknown, expired or used";
    insta::assert_snapshot!(
        "refused",
        enrolling(Enrolment::Refused {
            reason: refused.into()
        })
    );
}

#[test]
fn the_lines_that_people_and_the_bench_look_for_are_there() {
    let text = drawn(&serving());
    assert!(text.contains("State      enrolled as COMP-2\n"), "{text}");
    let text = enrolling(Enrolment::Refused {
        reason: "the master refused the token: it is unknown, expired or used".into(),
    });
    assert!(
        text.contains("Reason     the master refused the token: it is unknown, expired or used\n"),
        "{text}"
    );
}

#[test]
fn a_serving_box_shows_what_it_does() {
    insta::assert_snapshot!("serving", drawn(&serving()));
    let troubled = Status {
        master_away: Some("the master at 10.0.2.2:4430 does not answer in time".into()),
        failures: vec![
            Failure {
                part: Part::Converge,
                subject: Some("slappart0".into()),
                message: "the promise nginx-answers fails: connection refused".into(),
            },
            Failure {
                part: Part::Converge,
                subject: None,
                message: "x".repeat(400),
            },
        ],
        notices: vec!["the used token is still on the stick labelled SLAPBOX, take it away".into()],
        ..serving()
    };
    insta::assert_snapshot!("troubled", drawn(&troubled));
}

#[test]
fn the_first_operator_gets_a_line_to_copy_in_one_piece() {
    let line = format!("slapbox login slapbox1.{}", "x".repeat(290));
    let status = Status {
        role: Some("master"),
        login: Some(LoginLine(line.clone())),
        ..serving()
    };
    let text = drawn(&status);
    assert!(text.ends_with(&format!("\n{line}")), "{text}");
    insta::assert_snapshot!("login", text);
}

#[test]
fn what_comes_from_outside_moves_no_cursor_and_breaks_no_line() {
    let status = Status {
        name: "\u{1b}[2Jbad\u{7}\u{202e}漢字".into(),
        enrolment: Enrolment::Enrolling {
            reason: Some("\r\n\u{1b}]0;title\u{7} “quoted” — x".into()),
        },
        masters: vec!["https://".to_owned() + &"a".repeat(300)],
        addresses: vec!["2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap(); 40],
        notices: vec!["n ".repeat(500); 9],
        failures: vec![
            Failure {
                part: Part::Converge,
                subject: None,
                message: "f ".repeat(900)
            };
            30
        ],
        ..serving()
    };
    drawn(&status);
    drawn(&Status {
        enrolment: Enrolment::Enrolled {
            reference: "\u{9b}31m".repeat(99),
        },
        ..status
    });
}

#[test]
fn any_time_can_be_shown() {
    for (now, shown) in [
        (0, "1970-01-01 00:00 UTC"),
        (NOW, "2026-11-21 02:30 UTC"),
        (i64::MAX, "the clock is wrong"),
    ] {
        let first = render(&serving(), now).lines.remove(0);
        assert!(first.ends_with(shown), "{first}");
    }
}

#[test]
fn a_terminal_gets_the_screen_from_its_upper_left_corner() {
    let screen = Screen {
        lines: vec!["one".into(), "two".into()],
    };
    assert_eq!(
        screen.for_terminal(),
        "\u{1b}[0m\u{1b}[Hone\u{1b}[K\r\ntwo\u{1b}[K\u{1b}[J"
    );
}
