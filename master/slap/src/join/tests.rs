//! Join blobs: what is accepted, what is refused in which words, and that nothing of a secret is shown.

use super::*;

fn blob() -> JoinBlob {
    JoinBlob {
        urls: vec![
            "https://203.0.113.7".into(),
            "https://[fd00::1]:4443".into(),
        ],
        ca: CaPin::of_spki(b"key"),
        token: Token::from_random([7; 12], [9; 32]),
    }
}

#[test]
fn a_blob_survives_the_way_to_a_box() {
    let line = blob().reveal();
    assert!(line.starts_with("slapbox1.") && !line.contains(['=', '+', '/', ' ']));
    assert_eq!(format!(" {line}\n").parse::<JoinBlob>().unwrap(), blob());
}

#[test]
fn a_line_that_is_no_blob_is_refused_in_words() {
    let words = |line: &str| line.parse::<JoinBlob>().unwrap_err().to_string();
    let coded = |json: &str| format!("slapbox1.{}", URL_SAFE_NO_PAD.encode(json));
    let line = blob().reveal();
    assert_eq!(words("hello"), "a join blob begins with `slapbox1.`");
    assert_eq!(
        words("slapbox1.@"),
        "the join blob is damaged, was it copied whole?"
    );
    assert_eq!(
        words(&coded("{}")),
        "the join blob does not say what it should"
    );
    assert!(line[..line.len() - 9].parse::<JoinBlob>().is_err());
    for (url, why) in [
        ("", "names no master"),
        ("\"http://h\"", "`http://h` is no address"),
        ("\"https://h/path\"", "no address"),
        ("\"https://h:0\"", "no address"),
    ] {
        let json = serde_json::to_string(&blob()).unwrap();
        let other = json.replace("\"https://203.0.113.7\",\"https://[fd00::1]:4443\"", url);
        assert!(words(&coded(&other)).contains(why), "{url}");
    }
}

#[test]
fn a_masters_address_is_a_host_and_maybe_a_port() {
    for good in [
        "https://h",
        "https://h.example:443",
        "https://10.0.0.1",
        "https://[::1]",
        "https://[::1]:1",
        "https://h/",
    ] {
        assert!(is_master_url(good), "{good}");
    }
    for bad in [
        "",
        "https://",
        "h:443",
        "https://:443",
        "https://[x]",
        "https://::1",
        "https://a b",
        "https://u@h",
        "https://h:x",
        "https://h?x",
    ] {
        assert!(!is_master_url(bad), "{bad}");
    }
}

#[test]
fn a_token_has_an_id_and_a_secret() {
    let token = Token::from_random([1; 12], [255; 32]);
    assert_eq!(token.reveal().parse::<Token>().unwrap(), token);
    for bad in [
        "",
        ".",
        "short.x",
        &format!("{}.x", token.id()),
        &token.reveal()[1..],
        &format!("{}=", token.reveal()),
    ] {
        assert!(bad.parse::<Token>().is_err(), "{bad}");
    }
}

#[test]
fn nothing_shows_a_secret() {
    let shown = format!("{:?} {:#?}", blob(), blob());
    assert!(!shown.contains(blob().token.reveal_secret()));
    assert!(shown.contains(blob().token.id()));
}
