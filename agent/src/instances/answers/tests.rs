//! What is asked when, and what is told of it.

use super::*;
use crate::desired::tests::instance;

fn requested(titles: &[&str]) -> Requested {
    let wishes = titles.iter().map(|title| {
        let wish = serde_json::json!({ "title": title });
        serde_json::from_value(wish).unwrap()
    });
    let mut requested = Requested::default();
    requested.adopt(wishes.collect());
    requested
}

fn ready(url: &str) -> Answer {
    Answer {
        ready: true,
        connection: BTreeMap::from([("url".into(), url.into())]),
        ..Answer::default()
    }
}

#[test]
fn what_is_requested_is_asked_for_once_an_order() {
    let mut one = instance();
    assert_eq!(Requested::default().due(&one, 100), None);
    let mut requested = requested(&["db"]);
    let subject = requested.due(&one, 100).unwrap();
    requested.hear(subject.clone(), vec![Ok(ready("a"))], 100);
    assert_eq!(requested.due(&one, 1_000_000), None);
    assert_eq!(requested.trouble(), None);
    // It is told when what it requested publishes something.
    one.timestamp = "2".into();
    assert_ne!(requested.due(&one, 100), Some(subject));
    assert!(requested.due(&one, 100).is_some());
}

#[test]
fn what_is_not_ready_is_asked_for_again_after_a_while() {
    let one = instance();
    let mut requested = requested(&["cache", "db"]);
    let subject = requested.due(&one, 100).unwrap();
    let not_yet = Err(Refusal::NotReady("no free partition".into()));
    requested.hear(subject.clone(), vec![Ok(ready("a")), not_yet], 100);
    assert_eq!(requested.due(&one, 129), None);
    assert_eq!(requested.due(&one, 130), Some(subject.clone()));
    // A clock that was set back does not hold it up for years.
    assert_eq!(requested.due(&one, 99), Some(subject));
    assert_eq!(
        requested.trouble().unwrap(),
        "it waits for what it requested: `db`: no free partition"
    );
    let told = serde_json::to_string(&requested.told).unwrap();
    assert_eq!(
        told,
        r#"{"cache":{"ready":true,"connection":{"url":"a"}},"db":{"ready":false}}"#
    );
}

#[test]
fn what_nobody_knows_now_is_as_it_was() {
    let one = instance();
    let mut requested = requested(&["db"]);
    let subject = requested.due(&one, 100).unwrap();
    requested.hear(subject.clone(), vec![Ok(ready("a"))], 100);
    let away = Err(Refusal::Unknown("the master is away".into()));
    requested.hear(subject, vec![away], 200);
    assert_eq!(requested.told["db"], ready("a"));
    assert!(
        requested
            .trouble()
            .unwrap()
            .ends_with("`db`: the master is away")
    );
    // What is not requested any more is not told of.
    requested.adopt(Vec::new());
    assert_eq!(requested, Requested::default());
}

#[test]
fn that_what_shall_go_is_gone_is_no_trouble() {
    let mut requested = requested(&["db"]);
    requested.wishes[0].state = RequestedState::Destroyed;
    let subject = requested.due(&instance(), 100).unwrap();
    let gone = Err(Refusal::NotReady("there is no such instance".into()));
    requested.hear(subject, vec![gone], 100);
    assert_eq!(requested.trouble(), None);
    assert!(!requested.told["db"].ready);
}

#[test]
fn a_record_is_root_s_own_or_none() {
    let keep = tempfile::tempdir().unwrap();
    let path = camino::Utf8PathBuf::from_path_buf(keep.path().to_owned()).unwrap();
    std::fs::create_dir(path.join(".slapgrid")).unwrap();
    let inside = Inside::open(&path).unwrap();
    let mut requested = requested(&["db"]);
    let subject = requested.due(&instance(), 100).unwrap();
    requested.hear(subject.clone(), vec![Ok(ready(&"x".repeat(3 << 20)))], 100);
    let said = requested.write(&inside).unwrap_err().to_string();
    assert!(said.contains("more than 2097152 bytes"), "{said}");
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    requested.hear(subject, vec![Ok(ready("a"))], 100);
    requested.write(&inside).unwrap();
    assert_eq!(Requested::read(&inside), requested);
    let nobody = Some(nix::unistd::Uid::from_raw(65_534));
    nix::unistd::chown(path.join(RECORD).as_std_path(), nobody, None).unwrap();
    assert_eq!(Requested::read(&inside), Requested::default());
    Requested::default().write(&inside).unwrap();
    assert!(!path.join(RECORD).exists());
}
