//! What came of a look, from what the board says after it. Pure: no I/O, no clock.

use crate::status::{Enrolment, Failure, Part, Status};

use super::words::{Ask, Outcome, is_on_its_way, status};

/// Begins what is said of a partition whose promise is not kept.
const PROMISE: &str = "Promise '";

/// Returns what came of it for those that are named, or for all; nothing as long as something of it is on its way.
pub(super) fn outcome(what: Ask, only: &[String], now: &Status) -> Option<Outcome> {
    if only.is_empty() {
        return of_all(what, now);
    }
    let is_meant = |name: &str| only.iter().any(|it| it == name);
    let mut now = now.clone();
    now.software.retain(|url, _| is_meant(url));
    let is_of_others =
        |it: &Failure| it.part == Part::Converge && !it.subject.as_deref().is_none_or(is_meant);
    now.failures.retain(|it| !is_of_others(it));
    of_all(what, &now)
}

fn of_all(what: Ask, now: &Status) -> Option<Outcome> {
    if !matches!(now.enrolment, Enrolment::Enrolled { .. }) {
        let words = format!("this node is not enrolled: {}", now.enrolment.words());
        return Some(Outcome::new(status::FAILED, words));
    }
    match what {
        Ask::Format => Some(format(now)),
        Ask::Software => software(now),
        Ask::Instance => settled(now).map(|()| instance(now)),
        Ask::Promise => settled(now).map(|()| promise(now)),
        Ask::Report => settled(now).map(|()| report(now)),
    }
}

fn format(now: &Status) -> Outcome {
    if let Some(words) = said(now, |it| it.part == Part::Partitions) {
        return Outcome::new(status::FAILED, words);
    }
    let untold = said(now, |it| it.part == Part::Announce);
    if let Some(words) = untold.or_else(|| away(now)) {
        return Outcome::new(status::PARTLY, words);
    }
    let made = &now.partitions;
    match (made.ready, made.wanted) {
        (ready, wanted) if ready < wanted => {
            let words = format!("{ready} of {wanted} partitions are made");
            Outcome::new(status::FAILED, words)
        }
        (ready, _) => Outcome::new(status::DONE, format!("{ready} partitions are made")),
    }
}

fn software(now: &Status) -> Option<Outcome> {
    if let Some(words) = away(now) {
        return Some(Outcome::new(status::FAILED, words));
    }
    if now.software.values().copied().any(is_on_its_way) {
        return None;
    }
    let of_release = |it: &Failure| {
        let subject = it.subject.as_deref().unwrap_or_default();
        it.part == Part::Converge && now.software.contains_key(subject)
    };
    match said(now, of_release) {
        Some(words) => Some(Outcome::new(status::FAILED, words)),
        // That one has failed is known a moment before why.
        None if now.software.values().any(|word| *word == "failed") => None,
        None => {
            let count = now.software.len();
            let words = format!("{count} releases are as wanted");
            Some(Outcome::new(status::DONE, words))
        }
    }
}

fn instance(now: &Status) -> Outcome {
    if let Some(words) = away(now) {
        return Outcome::new(status::OFFLINE, words);
    }
    if let Some(words) = said(now, is_more_than_a_promise) {
        return Outcome::new(status::FAILED, words);
    }
    if let Some(words) = said(now, is_promise) {
        return Outcome::new(status::PARTLY, words);
    }
    let instances = &now.instances;
    let words = format!(
        "{} instances are started, {} stopped",
        instances.started, instances.stopped
    );
    Outcome::new(status::DONE, words)
}

fn promise(now: &Status) -> Outcome {
    match said(now, is_promise) {
        Some(words) => Outcome::new(status::PARTLY, words),
        None => Outcome::new(status::DONE, "every promise is kept"),
    }
}

fn report(now: &Status) -> Outcome {
    if let Some(words) = away(now).or_else(|| said(now, is_more_than_a_promise)) {
        return Outcome::new(status::FAILED, words);
    }
    Outcome::new(status::DONE, "the master has been told")
}

fn settled(now: &Status) -> Option<()> {
    (now.instances.pending == 0).then_some(())
}

fn away(now: &Status) -> Option<String> {
    let why = now.master_away.as_ref()?;
    Some(format!("the master does not answer: {why}"))
}

fn is_promise(failure: &Failure) -> bool {
    failure.part == Part::Converge && failure.message.starts_with(PROMISE)
}

fn is_more_than_a_promise(failure: &Failure) -> bool {
    failure.part == Part::Converge && !failure.message.starts_with(PROMISE)
}

/// The failures of a kind, in words; nothing if there are none.
fn said(now: &Status, of_the_kind: impl Fn(&Failure) -> bool) -> Option<String> {
    let failures = now.failures.iter().filter(|it| of_the_kind(it));
    let lines: Vec<String> = failures
        .map(|it| match &it.subject {
            Some(subject) => format!("{subject}: {}", it.message),
            None => it.message.clone(),
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serving() -> Status {
        let mut status = Status {
            enrolment: Enrolment::Enrolled {
                reference: "COMP-2".to_owned(),
            },
            ..Status::default()
        };
        status.partitions.wanted = 4;
        status.partitions.ready = 4;
        status.instances.started = 2;
        status
            .software
            .insert("https://m/a".to_owned(), "available");
        status
    }

    fn failing(part: Part, subject: Option<&str>, message: &str) -> Status {
        let mut status = serving();
        status.failures.push(Failure {
            part,
            subject: subject.map(str::to_owned),
            message: message.to_owned(),
        });
        status
    }

    /// The status that each of the original's commands would end with.
    fn ends(now: &Status) -> [Option<u8>; 5] {
        let all = [
            Ask::Software,
            Ask::Instance,
            Ask::Promise,
            Ask::Report,
            Ask::Format,
        ];
        all.map(|what| outcome(what, &[], now).map(|it| it.status))
    }

    fn statuses(all: [u8; 5]) -> [Option<u8>; 5] {
        all.map(Some)
    }

    #[test]
    fn a_node_that_is_well_ends_every_look_well() {
        assert_eq!(ends(&serving()), statuses([0, 0, 0, 0, 0]));
    }

    #[test]
    fn each_failure_ends_the_looks_that_it_concerns() {
        let promise = failing(
            Part::Converge,
            Some("slappart0"),
            "Promise 'up' failed with output: no",
        );
        assert_eq!(ends(&promise), statuses([0, 2, 2, 0, 0]));
        let partition = failing(Part::Converge, Some("slappart0"), "instantiate failed");
        assert_eq!(ends(&partition), statuses([0, 1, 0, 1, 0]));
        let release = failing(Part::Converge, Some("https://m/a"), "404");
        assert_eq!(ends(&release), statuses([1, 1, 0, 1, 0]));
        let built = "it was not taken from the cache, but built here: x";
        let cache = failing(Part::Cache, Some("https://m/a"), built);
        assert_eq!(ends(&cache), statuses([0, 0, 0, 0, 0]));
        let users = failing(Part::Partitions, None, "no users");
        assert_eq!(ends(&users), statuses([0, 0, 0, 0, 1]));
        let untold = failing(Part::Announce, None, "time out");
        assert_eq!(ends(&untold), statuses([0, 0, 0, 0, 2]));
        let away = Status {
            master_away: Some("time out".to_owned()),
            ..serving()
        };
        assert_eq!(ends(&away), statuses([1, 3, 0, 1, 2]));
        let revoked = Status {
            enrolment: Enrolment::Revoked {
                reference: "COMP-2".to_owned(),
                reason: "gone".to_owned(),
            },
            ..serving()
        };
        assert_eq!(ends(&revoked), statuses([1, 1, 1, 1, 1]));
    }

    #[test]
    fn who_asks_for_one_hears_nothing_of_others() {
        let release = failing(Part::Converge, Some("https://m/a"), "404");
        let mut now = failing(Part::Converge, Some("slappart0"), "instantiate failed");
        now.failures.extend(release.failures);
        let ends = |what, only: &str| outcome(what, &[only.to_owned()], &now).map(|it| it.status);
        assert_eq!(ends(Ask::Instance, "slappart0"), Some(1));
        assert_eq!(ends(Ask::Instance, "slappart1"), Some(0));
        assert_eq!(ends(Ask::Software, "https://m/a"), Some(1));
        assert_eq!(ends(Ask::Software, "https://m/b"), Some(0));
        now.software.insert("https://m/b".to_owned(), "installing");
        let both = ["https://m/a", "https://m/b"].map(str::to_owned);
        assert_eq!(
            outcome(Ask::Software, &both[..1], &now).map(|it| it.status),
            Some(1)
        );
        assert_eq!(outcome(Ask::Software, &both, &now), None);
    }

    #[test]
    fn what_is_on_its_way_is_waited_for() {
        let mut now = serving();
        now.instances.pending = 1;
        assert_eq!(ends(&now), [Some(0), None, None, None, Some(0)]);
        let mut now = serving();
        now.software.insert("https://m/b".to_owned(), "installing");
        assert_eq!(ends(&now)[0], None);
        let mut now = serving();
        now.partitions.ready = 3;
        assert_eq!(ends(&now)[4], Some(1));
    }
}
