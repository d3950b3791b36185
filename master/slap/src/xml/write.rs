//! Values → text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::value::{MODULE, Value, float_text};

/// Returns the document of a value.
///
/// Characters that XML cannot carry become U+FFFD: one bad parameter must not withhold a whole computer.
pub fn write(value: &Value) -> String {
    let mut writer = Writer {
        out: String::from("<marshal>"),
        last_id: 1,
    };
    writer.value(value);
    writer.out.push_str("</marshal>");
    writer.out
}

struct Writer {
    out: String,
    /// The original counts from 1 and adds before it writes: the first container is `i2`.
    last_id: u64,
}

impl Writer {
    fn value(&mut self, value: &Value) {
        match value {
            Value::None => self.out.push_str("<none/>"),
            Value::Bool(yes) => self.leaf("bool", if *yes { "1" } else { "0" }),
            Value::Int(number) => self.leaf("int", &number.to_string()),
            Value::Float(number) => self.leaf("float", &float_text(*number)),
            Value::String(text) => self.text(text),
            Value::Tuple(items) => self.sequence("tuple", "", items),
            Value::List(items) => {
                let id = self.next_id();
                self.sequence("list", &id, items);
            }
            Value::Set(items) => {
                let id = self.next_id();
                self.sequence("set", &id, items);
            }
            Value::Dict(entries) => self.dictionary(entries),
            Value::Object(object) => {
                let id = self.next_id();
                let class = object.class.as_str();
                self.out.push_str(&format!(
                    "<object{id} module=\"{MODULE}\" class=\"{class}\">"
                ));
                self.sequence("tuple", "", &object.init);
                self.dictionary(&object.state);
                self.out.push_str("</object>");
            }
        }
    }

    fn next_id(&mut self) -> String {
        self.last_id += 1;
        format!(" id=\"i{}\"", self.last_id)
    }

    fn leaf(&mut self, name: &str, text: &str) {
        self.out.push_str(&format!("<{name}>{text}</{name}>"));
    }

    fn sequence(&mut self, name: &str, id: &str, items: &[Value]) {
        if items.is_empty() {
            self.out.push_str(&format!("<{name}{id}/>"));
            return;
        }
        self.out.push_str(&format!("<{name}{id}>"));
        for item in items {
            self.value(item);
        }
        self.out.push_str(&format!("</{name}>"));
    }

    fn dictionary(&mut self, entries: &BTreeMap<String, Value>) {
        let id = self.next_id();
        if entries.is_empty() {
            self.out.push_str(&format!("<dictionary{id}/>"));
            return;
        }
        self.out.push_str(&format!("<dictionary{id}>"));
        for (key, value) in entries {
            self.text(key);
            self.value(value);
        }
        self.out.push_str("</dictionary>");
    }

    fn text(&mut self, text: &str) {
        self.out.push_str("<string>");
        for c in text.chars() {
            match c {
                // Once for the marshaller, once more for XML.
                '&' => self.out.push_str("&amp;amp;"),
                '<' => self.out.push_str("&amp;lt;"),
                '>' => self.out.push_str("&amp;gt;"),
                '\n' | '\t' | ' '..='\x7f' => self.out.push(c),
                c if is_xml_char(c) => {
                    let _ = write!(self.out, "&#{};", u32::from(c));
                }
                _ => self.out.push_str("&#65533;"),
            }
        }
        self.out.push_str("</string>");
    }
}

/// Returns a text as plain XML has it, between tags or in an attribute. Characters that XML cannot carry become U+FFFD.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Else readers make them another white space.
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c if is_xml_char(c) => out.push(c),
            _ => out.push('\u{fffd}'),
        }
    }
    out
}

/// Whether XML 1.0 can carry a character.
pub(crate) fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}
