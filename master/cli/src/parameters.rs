//! Parameters in a file, as the `slapos` command takes them: JSON, YAML or XML, sent key by key or as one JSON text. No I/O.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;
use clap::ValueEnum;
use serde_json::{Map, Value};

/// The key of parameters that are one JSON text.
const WHOLE: &str = "_";

/// How parameters are sent. A release says in its schema which it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Serialisation {
    /// Key by key; values are texts.
    Xml,
    /// One JSON text, under the key `_`.
    JsonInXml,
}

/// Reads the text of a file of this name.
pub(crate) fn read(
    name: &Utf8Path,
    text: &str,
    wished: Option<Serialisation>,
) -> Result<BTreeMap<String, String>> {
    let values = match name.extension() {
        Some("xml") => return of_xml(text).context("it is no XML of an instance's parameters"),
        Some("yaml" | "yml") => {
            serde_saphyr::from_str(text).context("it is no YAML of keys and values")?
        }
        Some(_) | None => serde_json::from_str(text).context("it is no JSON object")?,
    };
    send(values, wished)
}

/// XML is what a master shows: it is taken as it is.
fn of_xml(text: &str) -> Result<BTreeMap<String, String>> {
    let values = slap::instance_xml::read(text)?;
    let texts = values.into_iter();
    Ok(texts
        .map(|(key, value)| (key, value.unwrap_or_default()))
        .collect())
}

fn send(
    values: Map<String, Value>,
    wished: Option<Serialisation>,
) -> Result<BTreeMap<String, String>> {
    let is_whole = values.keys().eq([WHOLE]);
    if wished == Some(Serialisation::JsonInXml) && !is_whole {
        let text = serde_json::to_string_pretty(&values).context("cannot make JSON of it")?;
        return Ok([(WHOLE.to_owned(), text)].into());
    }
    let texts = values.into_iter().map(|(key, value)| match value {
        Value::String(text) => Ok((key, text)),
        Value::Bool(_) | Value::Number(_) => Ok((key, value.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            bail!(
                "`{key}` is no text: if the release reads JSON, say `--force-serialisation json-in-xml`"
            )
        }
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: &str, text: &str, wished: Option<Serialisation>) -> Vec<String> {
        let read = read(name.into(), text, wished).unwrap();
        let shown = read.iter().map(|(key, value)| format!("{key}={value}"));
        shown.collect()
    }

    fn refused(name: &str, text: &str) -> String {
        format!("{:#}", read(name.into(), text, None).unwrap_err())
    }

    #[test]
    fn a_file_is_what_its_name_says() {
        let expected = ["count=2", "name=a b", "on=true"];
        let json = r#"{"name": "a b", "count": 2, "on": true}"#;
        assert_eq!(given("p.json", json, None), expected);
        assert_eq!(
            given("p.yaml", "name: a b\ncount: 2\non: true\n", None),
            expected
        );
        assert_eq!(given("p.yml", json, None), expected);
        let xml = "<?xml version='1.0' encoding='utf-8'?><instance><parameter id=\"name\">a &lt; b</parameter></instance>";
        assert_eq!(given("p.xml", xml, None), ["name=a < b"]);
    }

    #[test]
    fn one_json_text_is_made_when_that_is_wished() {
        let whole = Some(Serialisation::JsonInXml);
        let json = r#"{"list": [1, {"a": null}]}"#;
        let made = given("p.json", json, whole);
        assert_eq!(made.len(), 1);
        let text = made[0].strip_prefix("_=").unwrap();
        let again: Value = serde_json::from_str(text).unwrap();
        assert_eq!(again, serde_json::from_str::<Value>(json).unwrap());
        // It is one already.
        let already = r#"{"_": "{}"}"#;
        assert_eq!(given("p.json", already, whole), ["_={}"]);
        // XML is as it is.
        let xml = "<instance><parameter id=\"_\">{}</parameter></instance>";
        assert_eq!(given("p.xml", xml, whole), ["_={}"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(refused("p.json", r#"{"a": [1]}"#).contains("--force-serialisation json-in-xml"));
        assert!(refused("p.json", "[]").contains("it is no JSON object"));
        assert!(refused("p.yaml", "- a\n").contains("it is no YAML of keys"));
        assert!(refused("p.xml", "<other/>").contains("it is no XML of an instance"));
    }
}
