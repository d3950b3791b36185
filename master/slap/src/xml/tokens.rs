//! XML as the rest of the codec needs it: elements opened and closed, text with its references resolved, nothing declared.

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::XmlError;
use super::write::is_xml_char;

/// A piece of a document.
pub(crate) enum Token<'a> {
    Open(Element<'a>),
    Close,
    Text(String),
    End,
}

/// An element that was opened; an empty one has no `Close`.
pub(crate) struct Element<'a> {
    start: BytesStart<'a>,
    empty: bool,
    /// Where it ends in the document.
    at: u64,
}

impl Element<'_> {
    pub(crate) fn name(&self) -> &str {
        self.start.name().0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.empty
    }

    /// Returns an attribute, or nothing when it is not there or not well formed.
    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        let attribute = self.start.try_get_attribute(name).ok()??;
        let value = attribute.normalized_value(XmlVersion::Explicit1_0).ok()?;
        Some(value.into_owned())
    }

    /// Returns all attributes, by name.
    pub(crate) fn attributes(&self) -> Result<Vec<(String, String)>, XmlError> {
        let malformed = |err: quick_xml::Error| XmlError::Malformed { at: self.at, err };
        let all = self.start.attributes().map(|attribute| {
            let attribute = attribute.map_err(|err| malformed(err.into()))?;
            let value = attribute.normalized_value(XmlVersion::Explicit1_0);
            let value = value.map_err(malformed)?.into_owned();
            Ok((attribute.key.0.to_owned(), value))
        });
        all.collect()
    }
}

pub(crate) struct Tokens<'a> {
    reader: Reader<&'a [u8]>,
    open: usize,
}

impl<'a> Tokens<'a> {
    pub(crate) fn of(document: &'a str) -> Self {
        Self {
            reader: Reader::from_str(document),
            open: 0,
        }
    }

    pub(crate) fn next(&mut self) -> Result<Token<'a>, XmlError> {
        loop {
            let event = self
                .reader
                .read_event()
                .map_err(|err| XmlError::Malformed {
                    at: self.reader.error_position(),
                    err,
                })?;
            let at = self.reader.buffer_position();
            return Ok(match event {
                Event::Start(start) => {
                    self.open += 1;
                    Token::Open(Element {
                        start,
                        empty: false,
                        at,
                    })
                }
                Event::Empty(start) => Token::Open(Element {
                    start,
                    empty: true,
                    at,
                }),
                Event::End(_) => {
                    self.open = self.open.saturating_sub(1);
                    Token::Close
                }
                Event::Text(text) => Token::Text(checked(text.xml10_content().into_owned())?),
                Event::CData(text) => Token::Text(checked(text.xml10_content().into_owned())?),
                Event::GeneralRef(reference) => Token::Text(resolve(&reference)?.to_string()),
                Event::DocType(_) => return Err(XmlError::Declaration),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
                Event::Eof if self.open > 0 => return Err(XmlError::NotOneValue),
                Event::Eof => Token::End,
            });
        }
    }

    /// Returns the next that is not text: text between elements means nothing.
    pub(crate) fn next_mark(&mut self) -> Result<Token<'a>, XmlError> {
        loop {
            match self.next()? {
                Token::Text(_) => {}
                mark @ (Token::Open(_) | Token::Close | Token::End) => return Ok(mark),
            }
        }
    }
}

fn checked(text: String) -> Result<String, XmlError> {
    match text.chars().find(|c| !is_xml_char(*c)) {
        Some(bad) => Err(XmlError::BadCharacter(u32::from(bad))),
        None => Ok(text),
    }
}

fn resolve(reference: &BytesRef<'_>) -> Result<char, XmlError> {
    let resolved = match &**reference {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => reference.resolve_char_ref().ok().flatten(),
    };
    match resolved {
        Some(c) if is_xml_char(c) => Ok(c),
        Some(c) => Err(XmlError::BadCharacter(u32::from(c))),
        None => Err(XmlError::Declaration),
    }
}
