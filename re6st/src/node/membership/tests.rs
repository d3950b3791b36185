//! When to join and when to ask for news.

use time::Duration;

use super::*;
use crate::node::policy::tests::{document, peer};

fn week_long(mut document: Document, from: OffsetDateTime) -> Document {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    (params.not_before, params.not_after) = (from, from + Duration::days(7));
    document.joined.certificate = params.self_signed(&key).unwrap().pem();
    document
}

#[test]
fn a_member_asks_for_news_until_its_certificate_is_half_way() {
    let start = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
    let known = week_long(document(2, vec![peer(1, None)]), start);
    let ask = |days: f64, may_renew| {
        question(
            Some(&known),
            &known.facts,
            start + Duration::days(1) * days,
            may_renew,
        )
    };
    assert_eq!(ask(1.0, true), Question::News { since: 1 });
    assert_eq!(ask(3.6, true), Question::Join);
    assert_eq!(
        ask(3.6, false),
        Question::News { since: 1 },
        "not again at once, even if the clock is off"
    );
}

#[test]
fn whoever_is_new_or_changed_joins() {
    let now = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
    let known = week_long(document(2, Vec::new()), now);
    assert_eq!(question(None, &known.facts, now, true), Question::Join);
    let moved = Facts {
        port: 1,
        ..known.facts.clone()
    };
    assert_eq!(question(Some(&known), &moved, now, false), Question::Join);
    let other = document(3, Vec::new()).facts;
    assert_eq!(question(Some(&known), &other, now, false), Question::Join);
}
