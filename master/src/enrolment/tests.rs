//! Every way a token can be good or bad.

use super::*;

fn token() -> Token {
    Token {
        id: "abc".into(),
        secret: SecretDigest::of("secret"),
        kind: TokenKind::Node,
        uses: 1,
        used: 0,
        expires_at: Moment::from_seconds(100),
        auto_approve: true,
        labels: BTreeMap::new(),
        expected_serial: None,
        name: None,
        project: None,
        role: None,
        created_at: Moment::from_seconds(0),
        created_by: "ann".into(),
        revoked: false,
    }
}

fn check(token: &Token, redeemed: bool, now: i64) -> Result<(), Refusal> {
    check_token(
        Some(token),
        "secret",
        redeemed,
        "S1",
        Moment::from_seconds(now),
    )
    .map(|_| ())
}

#[test]
fn a_good_token_is_taken() {
    assert_eq!(check(&token(), false, 99), Ok(()));
}

#[test]
fn every_bad_token_has_its_own_reason_in_the_audit() {
    let now = Moment::from_seconds(1);
    assert_eq!(
        check_token(None, "secret", false, "", now),
        Err(Refusal::UnknownToken)
    );
    assert_eq!(
        check_token(None, "", false, "", now),
        Err(Refusal::UnknownToken)
    );
    assert_eq!(
        check_token(Some(&token()), "guess", true, "", now),
        Err(Refusal::WrongSecret)
    );
    assert_eq!(check(&token(), false, 100), Err(Refusal::TokenExpired));
    let used = Token { used: 1, ..token() };
    assert_eq!(check(&used, false, 1), Err(Refusal::TokenUsedUp));
    let other = Token {
        expected_serial: Some("S2".into()),
        ..token()
    };
    assert_eq!(check(&other, false, 1), Err(Refusal::OtherSerial));
    let revoked = Token {
        revoked: true,
        ..token()
    };
    assert_eq!(check(&revoked, false, 1), Err(Refusal::TokenRevoked));
}

#[test]
fn a_lost_answer_neither_burns_nor_refuses_the_token() {
    let used = Token { used: 1, ..token() };
    assert_eq!(check(&used, true, 1_000), Ok(()));
    let revoked = Token {
        revoked: true,
        ..token()
    };
    assert_eq!(check(&revoked, true, 1), Err(Refusal::TokenRevoked));
}

#[test]
fn who_says_what_they_mean_to_become_is_made_nothing_else() {
    assert_eq!(check_kind(&token(), None), Ok(()));
    assert_eq!(check_kind(&token(), Some(Wanted::Node)), Ok(()));
    assert_eq!(
        check_kind(&token(), Some(Wanted::User)),
        Err(Refusal::OtherKind(TokenKind::Node))
    );
}

#[test]
fn an_operator_decides_where_the_token_does_not() {
    use ComputerState::{Approved, Enrolled, Pending, Revoked};
    assert_eq!(admit(None, true), Ok(Enrolled));
    assert_eq!(admit(None, false), Ok(Pending));
    assert_eq!(admit(Some(Pending), false), Ok(Pending));
    assert_eq!(admit(Some(Pending), true), Ok(Enrolled));
    for known in [Approved, Enrolled] {
        for auto_approve in [true, false] {
            assert_eq!(admit(Some(known), auto_approve), Ok(Enrolled));
        }
    }
    for auto_approve in [true, false] {
        assert_eq!(
            admit(Some(Revoked), auto_approve),
            Err(Refusal::ComputerRevoked)
        );
    }
}

#[test]
fn clones_are_told_apart() {
    let (one, two) = (ComputerId::numbered(1), ComputerId::numbered(2));
    assert_eq!(clones(&one, "a1", "a1", &[]), []);
    let moved = clones(&one, "a1", "b2", &[]);
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].computer, one);
    let twins = clones(&one, "a1", "a1", std::slice::from_ref(&two));
    let named: Vec<_> = twins.iter().map(|it| it.computer.clone()).collect();
    assert_eq!(named, [one.clone(), two.clone()]);
    for junk in [
        "",
        "00000000-0000-0000-0000-000000000000",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "03000200-0400-0500-0006-000700080009",
    ] {
        assert_eq!(clones(&one, junk, junk, std::slice::from_ref(&two)), []);
    }
}
