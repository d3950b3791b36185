//! The codec on what peers may send besides the usual, and on what attackers may.

use std::collections::BTreeMap;

use super::*;
use crate::value::{Class, Object, Value};

fn marshal(inner: &str) -> Result<Value, XmlError> {
    read(&format!("<marshal>{inner}</marshal>"))
}

fn words(document: &str) -> String {
    read(document).unwrap_err().to_string()
}

#[test]
fn texts_are_escaped_twice() {
    let value = Value::from("a<b & \"c\"> é😀\r");
    let document = "<marshal><string>a&amp;lt;b &amp;amp; \"c\"&amp;gt; &#233;&#128512;&#13;</string></marshal>";
    assert_eq!(write(&value), document);
    assert_eq!(read(document).unwrap(), value);
    let escaped_already = Value::from("&lt;");
    assert_eq!(
        write(&escaped_already),
        "<marshal><string>&amp;amp;lt;</string></marshal>"
    );
    assert_eq!(read(&write(&escaped_already)).unwrap(), escaped_already);
}

#[test]
fn containers_are_numbered_as_they_open() {
    let value = Value::List(vec![
        Value::Dict(BTreeMap::from([(
            "k".into(),
            Value::Set(vec![Value::Int(-3)]),
        )])),
        Value::Tuple(Vec::new()),
        Value::Object(Object {
            class: Class::SoftwareInstance,
            init: Vec::new(),
            state: BTreeMap::new(),
        }),
    ]);
    assert_eq!(
        write(&value),
        "<marshal><list id=\"i2\"><dictionary id=\"i3\"><string>k</string><set id=\"i4\"><int>-3</int></set></dictionary><tuple/>\
         <object id=\"i5\" module=\"slapos.slap.slap\" class=\"SoftwareInstance\"><tuple/><dictionary id=\"i6\"/></object></list></marshal>"
    );
}

#[test]
fn what_other_peers_write_is_read_too() {
    for (inner, value) in [
        ("<unicode>x</unicode>", Value::from("x")),
        ("<string/>", Value::from("")),
        (
            "<string><![CDATA[a &amp;lt;]]></string>",
            Value::from("a &lt;"),
        ),
        ("<long> 12 </long>", Value::Int(12)),
        ("<none></none>", Value::None),
        ("<float>inf</float>", Value::Float(f64::INFINITY)),
        (
            "<!-- c --><list><?pi?>text <int>1</int></list>",
            Value::List(vec![Value::Int(1)]),
        ),
        (
            "<dictionary><int>1</int><none/></dictionary>",
            Value::Dict(BTreeMap::from([("1".into(), Value::None)])),
        ),
    ] {
        assert_eq!(marshal(inner).unwrap(), value, "{inner}");
    }
    let pretty = "<?xml version=\"1.0\"?>\n<marshal>\n  <list id=\"i2\">\n    <int>1</int>\n  </list>\n</marshal>\n";
    assert_eq!(read(pretty).unwrap(), Value::List(vec![Value::Int(1)]));
}

#[test]
fn a_reference_means_what_was_there_before() {
    let two = marshal(
        "<list id=\"i2\"><list id=\"i3\"><int>1</int></list><reference id=\"i3\"/><reference id=\"i3\"></reference></list>",
    );
    let one = Value::List(vec![Value::Int(1)]);
    assert_eq!(
        two.unwrap(),
        Value::List(vec![one.clone(), one.clone(), one])
    );
    let object =
        "<object id=\"i3\" module=\"slapos.slap.slap\" class=\"Computer\"><tuple/><none/></object>";
    let two = marshal(&format!("<list>{object}<reference id=\"i3\"/></list>")).unwrap();
    let Value::List(objects) = two else {
        panic!("no list")
    };
    assert_eq!(objects[0], objects[1]);
}

#[test]
fn a_reference_to_nothing_or_to_its_own_container_is_refused() {
    for id in ["i2", "i9"] {
        let document =
            format!("<marshal><list id=\"i2\"><reference id=\"{id}\"/></list></marshal>");
        assert_eq!(
            words(&document),
            format!("reference to `{id}`, which is not there before it")
        );
    }
    assert!(marshal("<reference/>").is_err());
}

#[test]
fn no_foreign_object_is_made() {
    let document = "<marshal><object id=\"i2\" module=\"os\" class=\"system\"><tuple><string>id</string></tuple><dictionary/></object></marshal>";
    assert_eq!(
        words(document),
        "refusing to make an object of class `system` of `os`"
    );
}

/// Documents and why each is none.
const NO_DOCUMENTS: &[(&str, &str)] = &[
    ("", "not one marshalled value in `<marshal>`"),
    ("<marshal/>", "not one marshalled value in `<marshal>`"),
    (
        "<marshal><none/><none/></marshal>",
        "not one marshalled value in `<marshal>`",
    ),
    (
        "<marshal><none/></marshal><marshal/>",
        "not one marshalled value in `<marshal>`",
    ),
    ("<marshal><list>", "not one marshalled value in `<marshal>`"),
    ("<other><none/></other>", "unknown element `other`"),
    (
        "<marshal><code>x</code></marshal>",
        "unknown element `code`",
    ),
    (
        "<marshal><string><b/></string></marshal>",
        "unknown element `b`",
    ),
    (
        "<marshal><int>x</int></marshal>",
        "`x` is no int of 64 bits",
    ),
    (
        "<marshal><int>9223372036854775808</int></marshal>",
        "`9223372036854775808` is no int of 64 bits",
    ),
    ("<marshal><bool>yes</bool></marshal>", "`yes` is no bool"),
    (
        "<marshal><dictionary><string>k</string></dictionary></marshal>",
        "a dictionary has a key without a value, or a key that is no text",
    ),
    (
        "<marshal><dictionary><list/><none/></dictionary></marshal>",
        "a dictionary has a key without a value, or a key that is no text",
    ),
    (
        "<marshal><object module=\"slapos.slap.slap\" class=\"Computer\"><tuple/></object></marshal>",
        "an object is not a tuple and a dictionary",
    ),
    (
        "<!DOCTYPE x [<!ENTITY e \"y\">]><marshal><string>&e;</string></marshal>",
        "a document type or an entity is declared or used",
    ),
    (
        "<marshal><string>&e;</string></marshal>",
        "a document type or an entity is declared or used",
    ),
    (
        "<marshal><string>&#0;</string></marshal>",
        "a document type or an entity is declared or used",
    ),
    (
        "<marshal><string>&#1;</string></marshal>",
        "character 0x1 is none of XML",
    ),
    (
        "<marshal><string>\u{1}</string></marshal>",
        "character 0x1 is none of XML",
    ),
];

#[test]
fn what_is_no_marshalled_value_is_refused_in_words() {
    for (document, why) in NO_DOCUMENTS {
        assert_eq!(words(document), *why, "{document}");
    }
    assert!(words("<marshal><none></marshal>").starts_with("not well formed at byte"));
}

#[test]
fn a_document_cannot_nest_for_ever() {
    let deep = |depth: usize| format!("{}{}", "<list>".repeat(depth), "</list>".repeat(depth));
    assert!(marshal(&deep(64)).is_ok());
    assert_eq!(
        marshal(&deep(65)).unwrap_err().to_string(),
        "the document nests more than 64 containers"
    );
    assert!(marshal(&deep(200_000)).is_err());
}

#[test]
fn references_cannot_make_a_small_document_large() {
    // Each list has the one before ten times: 10^20 texts in the end.
    let mut inner = String::from("<list id=\"a0\"><string>lol</string></list>");
    for level in 1..20 {
        let before = format!("<reference id=\"a{}\"/>", level - 1).repeat(10);
        inner.push_str(&format!("<list id=\"a{level}\">{before}</list>"));
    }
    let bomb = marshal(&format!("<list>{inner}</list>"));
    assert_eq!(
        bomb.unwrap_err().to_string(),
        "the document's references make it too large"
    );
    // Each list has the one before: not large, but deeper than may be.
    let mut inner = String::from("<list id=\"a0\"/>");
    for level in 1..100 {
        inner.push_str(&format!(
            "<list id=\"a{level}\"><reference id=\"a{}\"/></list>",
            level - 1
        ));
    }
    assert!(matches!(
        marshal(&format!("<list>{inner}</list>")),
        Err(XmlError::TooDeep(64))
    ));
}

#[test]
fn a_document_has_a_size_limit() {
    let limits = Limits {
        bytes: 20,
        ..Limits::default()
    };
    assert!(matches!(
        read_within(&write(&Value::from("long enough")), limits),
        Err(XmlError::TooLong(20))
    ));
}
