//! Text → usage, as strictly as the original's schemas: elements in their order and no others, no attribute that is not theirs.

use super::{Amount, Arrow, Consumption, Journal, Movement, Transaction, UsageError};
use crate::xml::XmlError;
use crate::xml::tokens::{self, Token, Tokens};

/// No element of a report is deeper.
const DEPTH: usize = 8;

/// An element, whole.
#[derive(Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Journal {
    /// Reads and checks a report of a computer.
    pub fn from_xml(document: &str) -> Result<Self, UsageError> {
        let mut parts = root(document, "journal")?;
        let transactions = parts.many("transaction", transaction)?;
        parts.end("transaction")?;
        Ok(Self { transactions })
    }
}

impl Consumption {
    /// Reads and checks a report of a partition.
    pub fn from_xml(document: &str) -> Result<Self, UsageError> {
        let mut parts = root(document, "consumption")?;
        let movements = parts.many("movement", movement)?;
        parts.end("movement")?;
        Ok(Self { movements })
    }
}

/// The parts of the one element that a document is.
fn root(document: &str, name: &'static str) -> Result<Parts, UsageError> {
    let mut outside = Parts {
        inside: "document".to_owned(),
        rest: elements(document)?.into_iter().peekable(),
    };
    let element = outside.one(name)?;
    outside.end(name)?;
    Parts::of(element, &[])
}

fn transaction(element: Element) -> Result<Transaction, UsageError> {
    let kind = element.kind("transaction")?;
    let mut parts = Parts::of(element, &["type"])?;
    let title = parts.text_if_any("title")?;
    let start_date = parts.text("start_date")?;
    let stop_date = parts.text("stop_date")?;
    let reference = parts.text("reference")?;
    let currency = parts.text("currency")?;
    let payment_mode = parts.text("payment_mode")?;
    let categories = parts.texts("category")?;
    let arrows = parts.many("arrow", arrow)?;
    let movements = parts.many("movement", movement)?;
    parts.end("movement")?;
    Ok(Transaction {
        kind,
        title,
        start_date,
        stop_date,
        reference,
        currency,
        payment_mode,
        categories,
        arrows,
        movements,
    })
}

fn arrow(element: Element) -> Result<Arrow, UsageError> {
    let kind = element.kind("arrow")?;
    let mut parts = Parts::of(element, &["type"])?;
    let source = parts.text_if_any("source")?;
    let destination = parts.text_if_any("destination")?;
    parts.end("destination")?;
    Ok(Arrow {
        kind,
        source,
        destination,
    })
}

fn movement(element: Element) -> Result<Movement, UsageError> {
    let mut parts = Parts::of(element, &[])?;
    let resource = parts.text("resource")?;
    let title = parts.text_if_any("title")?;
    let reference = parts.text_if_any("reference")?;
    let quantity = parts.amount("quantity")?;
    let price = parts.amount("price")?;
    let vat = parts.text("VAT")?;
    let categories = parts.texts("category")?;
    parts.end("category")?;
    Ok(Movement {
        resource,
        title,
        reference,
        quantity,
        price,
        vat,
        categories,
    })
}

impl Element {
    fn kind(&self, name: &'static str) -> Result<String, UsageError> {
        let mut all = self.attributes.iter();
        let kind = all.find(|(name, _)| name == "type");
        let kind = kind.map(|(_, kind)| kind.clone());
        kind.ok_or(UsageError::NoType(name))
    }

    fn must_only_have(&self, allowed: &[&str]) -> Result<(), UsageError> {
        // Where a schema lies says nothing, and may be said anywhere.
        let of_schema = |name: &str| name.starts_with("xmlns:") || name.starts_with("xsi:");
        let mut names = self.attributes.iter().map(|(name, _)| name.as_str());
        match names.find(|name| !allowed.contains(name) && !of_schema(name)) {
            None => Ok(()),
            Some(name) => Err(UsageError::Attribute {
                element: self.name.clone(),
                attribute: name.to_owned(),
            }),
        }
    }

    /// The text that the element consists of.
    fn into_text(self) -> Result<String, UsageError> {
        self.must_only_have(&[])?;
        if self.children.is_empty() {
            Ok(self.text)
        } else {
            Err(UsageError::NotText(self.name))
        }
    }
}

/// The children of an element that are yet to be read, in order.
struct Parts {
    inside: String,
    rest: std::iter::Peekable<std::vec::IntoIter<Element>>,
}

impl Parts {
    fn of(element: Element, attributes: &[&str]) -> Result<Self, UsageError> {
        element.must_only_have(attributes)?;
        let is_space = |c| matches!(c, ' ' | '\t' | '\r' | '\n');
        if !element.text.chars().all(is_space) {
            return Err(UsageError::StrayText(element.name));
        }
        Ok(Self {
            inside: element.name,
            rest: element.children.into_iter().peekable(),
        })
    }

    fn maybe(&mut self, name: &str) -> Option<Element> {
        self.rest.next_if(|it| it.name == name)
    }

    fn text_if_any(&mut self, name: &str) -> Result<Option<String>, UsageError> {
        self.maybe(name).map(Element::into_text).transpose()
    }

    fn texts(&mut self, name: &str) -> Result<Vec<String>, UsageError> {
        let mut all = Vec::new();
        while let Some(text) = self.text_if_any(name)? {
            all.push(text);
        }
        Ok(all)
    }

    fn text(&mut self, name: &'static str) -> Result<String, UsageError> {
        self.one(name)?.into_text()
    }

    fn amount(&mut self, element: &'static str) -> Result<Amount, UsageError> {
        let text = self.text(element)?;
        text.parse()
            .map_err(|_| UsageError::NoNumber { element, text })
    }

    fn one(&mut self, name: &'static str) -> Result<Element, UsageError> {
        self.maybe(name).ok_or_else(|| self.misplaced(name))
    }

    fn many<T>(
        &mut self,
        name: &'static str,
        read: fn(Element) -> Result<T, UsageError>,
    ) -> Result<Vec<T>, UsageError> {
        let mut all = vec![read(self.one(name)?)?];
        while let Some(next) = self.maybe(name) {
            all.push(read(next)?);
        }
        Ok(all)
    }

    /// Refuses what is left.
    fn end(&mut self, last: &'static str) -> Result<(), UsageError> {
        match self.rest.peek() {
            None => Ok(()),
            Some(_) => Err(self.misplaced(last)),
        }
    }

    fn misplaced(&mut self, wanted: &'static str) -> UsageError {
        UsageError::Misplaced {
            inside: self.inside.clone(),
            wanted,
            found: self
                .rest
                .peek()
                .map_or_else(|| "its end".to_owned(), |it| format!("`<{}>`", it.name)),
        }
    }
}

/// Reads all elements of a document.
fn elements(document: &str) -> Result<Vec<Element>, XmlError> {
    let mut tokens = Tokens::of(document);
    let mut open: Vec<Element> = Vec::new();
    let mut done = Vec::new();
    loop {
        match tokens.next()? {
            Token::Open(element) => {
                if open.len() >= DEPTH {
                    return Err(XmlError::TooDeep(DEPTH));
                }
                let empty = element.is_empty();
                open.push(opened(&element)?);
                if empty {
                    close(&mut open, &mut done);
                }
            }
            Token::Text(text) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&text);
                }
            }
            Token::Close => close(&mut open, &mut done),
            Token::End => return Ok(done),
        }
    }
}

fn opened(element: &tokens::Element<'_>) -> Result<Element, XmlError> {
    Ok(Element {
        name: element.name().to_owned(),
        attributes: element.attributes()?,
        ..Element::default()
    })
}

fn close(open: &mut Vec<Element>, done: &mut Vec<Element>) {
    if let Some(element) = open.pop() {
        match open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => done.push(element),
        }
    }
}
