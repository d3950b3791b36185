//! Instance XML: parameters as masters keep them and show them to people's tools. Never the body of a SLAP call.

use std::collections::BTreeMap;

use crate::xml::XmlError;
use crate::xml::tokens::{Token, Tokens};

/// Returns the document of parameters.
pub fn write(parameters: &BTreeMap<String, String>) -> String {
    let mut out = String::from("<?xml version='1.0' encoding='utf-8'?>\n");
    if parameters.is_empty() {
        out.push_str("<instance/>\n");
        return out;
    }
    out.push_str("<instance>\n");
    for (id, text) in parameters {
        let id = escape(id)
            .replace('"', "&quot;")
            .replace('\n', "&#10;")
            .replace('\t', "&#9;");
        let text = escape(text);
        out.push_str(&format!("  <parameter id=\"{id}\">{text}</parameter>\n"));
    }
    out.push_str("</instance>\n");
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            c if crate::xml::is_xml_char(c) => out.push(c),
            _ => out.push(char::REPLACEMENT_CHARACTER),
        }
    }
    out
}

/// Reads a document; an empty one has no parameters. An empty parameter has no text, as the original reader has it,
/// and of one that comes twice the texts are joined by a space.
pub fn read(document: &str) -> Result<BTreeMap<String, Option<String>>, XmlError> {
    let mut parameters = BTreeMap::<String, Option<String>>::new();
    if document.trim().is_empty() {
        return Ok(parameters);
    }
    let mut tokens = Tokens::of(document);
    let mut depth = 0_usize;
    let mut current: Option<(String, String)> = None;
    loop {
        match tokens.next()? {
            Token::Open(element) => {
                if depth == 0 && element.name() != "instance" {
                    return Err(XmlError::UnknownElement(element.name().to_owned()));
                }
                let id = element
                    .attribute("id")
                    .filter(|_| depth == 1 && element.name() == "parameter");
                if element.is_empty() {
                    add(&mut parameters, id, String::new());
                } else {
                    depth += 1;
                    if let Some(id) = id {
                        current = Some((id, String::new()));
                    }
                }
            }
            Token::Text(text) => {
                if let Some((_, so_far)) = &mut current
                    && depth == 2
                {
                    so_far.push_str(&text);
                }
            }
            Token::Close => {
                depth = depth.saturating_sub(1);
                if depth == 1
                    && let Some((id, text)) = current.take()
                {
                    add(&mut parameters, Some(id), text);
                }
            }
            Token::End => return Ok(parameters),
        }
    }
}

fn add(parameters: &mut BTreeMap<String, Option<String>>, id: Option<String>, text: String) {
    let Some(id) = id else { return };
    let text = Some(text).filter(|text| !text.is_empty());
    parameters
        .entry(id)
        .and_modify(|known| {
            *known = match (known.take(), text.clone()) {
                (Some(first), Some(second)) => Some(format!("{first} {second}")),
                (first, second) => first.or(second),
            }
        })
        .or_insert(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(document: &str) -> Vec<(String, Option<String>)> {
        read(document).unwrap().into_iter().collect()
    }

    #[test]
    fn an_empty_document_has_no_parameters() {
        for document in ["", "  \n", "<instance/>", "<instance>\n</instance>"] {
            assert_eq!(known(document), []);
        }
        assert_eq!(
            write(&BTreeMap::new()),
            "<?xml version='1.0' encoding='utf-8'?>\n<instance/>\n"
        );
    }

    #[test]
    fn only_direct_parameters_count_and_doubles_are_joined() {
        let document = "<instance><parameter id='a'>1</parameter><other id='b'>x</other><x><parameter id='c'>x</parameter></x>\
                        <parameter id='a'>2</parameter><parameter id='d'/><parameter>x</parameter></instance>";
        assert_eq!(
            known(document),
            [
                ("a".to_owned(), Some("1 2".to_owned())),
                ("d".to_owned(), None)
            ]
        );
    }

    #[test]
    fn another_document_is_refused() {
        assert!(read("<marshal/>").is_err());
        assert!(read("<instance>").is_err());
    }
}
