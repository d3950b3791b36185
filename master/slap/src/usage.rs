//! Usage as nodes report it ("TioXML"): a journal of transactions, each with what moved. The shape is that of
//! `computer_consumption.xsd` of the original; elements come in its order, and no others.

use crate::xml::XmlError;
use crate::xml::tokens::{Token, Tokens};

/// What a computer and its partitions used.
#[derive(Clone, Debug, PartialEq)]
pub struct Journal {
    /// At least one.
    pub transactions: Vec<Transaction>,
}

/// One report of use.
#[derive(Clone, Debug, PartialEq)]
pub struct Transaction {
    /// `Sale Packing List`.
    pub kind: String,
    /// What it is called, or empty.
    pub title: String,
    /// When it begins, in words; usually empty.
    pub start_date: String,
    /// When it ends: `2026-11-20 at 23:59:59`.
    pub stop_date: String,
    /// Which computer.
    pub reference: String,
    /// At least one.
    pub movements: Vec<Movement>,
}

/// So much of something, used by somebody.
#[derive(Clone, Debug, PartialEq)]
pub struct Movement {
    /// What: `service_module/cpu_load_percent`.
    pub resource: String,
    /// Who used it: a partition or the computer, or empty.
    pub reference: String,
    /// How much.
    pub quantity: f64,
}

/// A document that is no journal.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// It is no XML.
    #[error("the usage report cannot be read")]
    Unreadable(#[from] XmlError),
    /// An element that is missing, too much or at the wrong place.
    #[error(
        "the usage report has no `<{wanted}>` where one must be, in `<{inside}>`: found {found}"
    )]
    Misplaced {
        /// Inside which element.
        inside: String,
        /// What had to come.
        wanted: &'static str,
        /// What came.
        found: String,
    },
    /// An attribute that must be there.
    #[error("`<{0}>` in the usage report has no attribute `type`")]
    NoType(&'static str),
    /// A number that is none.
    #[error("`<{element}>` in the usage report says `{text}`, which is no number")]
    NoNumber {
        /// Which element.
        element: &'static str,
        /// What it says.
        text: String,
    },
}

/// An element, whole.
struct Element {
    name: String,
    kind: Option<String>,
    text: String,
    children: Vec<Element>,
}

impl Journal {
    /// Reads and checks a report.
    pub fn from_xml(document: &str) -> Result<Self, UsageError> {
        let mut outside = Element {
            name: "document".to_owned(),
            kind: None,
            text: String::new(),
            children: elements(document)?,
        };
        let mut parts = Parts::of(&mut outside);
        let mut journal = parts.one("journal")?;
        parts.end("journal")?;
        let mut parts = Parts::of(&mut journal);
        let transactions = parts.many("transaction", transaction)?;
        parts.end("transaction")?;
        Ok(Self { transactions })
    }
}

fn transaction(mut element: Element) -> Result<Transaction, UsageError> {
    let kind = element
        .kind
        .take()
        .ok_or(UsageError::NoType("transaction"))?;
    let mut parts = Parts::of(&mut element);
    let title = parts.text_if_any("title");
    let start_date = parts.one("start_date")?.text;
    let stop_date = parts.one("stop_date")?.text;
    let reference = parts.one("reference")?.text;
    parts.one("currency")?;
    parts.one("payment_mode")?;
    while parts.maybe("category").is_some() {}
    parts.many("arrow", arrow)?;
    let movements = parts.many("movement", movement)?;
    parts.end("movement")?;
    Ok(Transaction {
        kind,
        title,
        start_date,
        stop_date,
        reference,
        movements,
    })
}

fn arrow(mut element: Element) -> Result<(), UsageError> {
    element.kind.take().ok_or(UsageError::NoType("arrow"))?;
    let mut parts = Parts::of(&mut element);
    parts.maybe("source");
    parts.maybe("destination");
    parts.end("destination")
}

fn movement(mut element: Element) -> Result<Movement, UsageError> {
    let mut parts = Parts::of(&mut element);
    let resource = parts.one("resource")?.text;
    parts.maybe("title");
    let reference = parts.text_if_any("reference");
    let quantity = number("quantity", &parts.one("quantity")?.text)?;
    number("price", &parts.one("price")?.text)?;
    parts.one("VAT")?;
    while parts.maybe("category").is_some() {}
    parts.end("category")?;
    Ok(Movement {
        resource,
        reference,
        quantity,
    })
}

fn number(element: &'static str, text: &str) -> Result<f64, UsageError> {
    text.trim().parse().map_err(|_| UsageError::NoNumber {
        element,
        text: text.to_owned(),
    })
}

/// The children of an element that are yet to be read, in order.
struct Parts {
    inside: String,
    rest: std::iter::Peekable<std::vec::IntoIter<Element>>,
}

impl Parts {
    fn of(element: &mut Element) -> Self {
        Self {
            inside: element.name.clone(),
            rest: std::mem::take(&mut element.children).into_iter().peekable(),
        }
    }

    fn maybe(&mut self, name: &str) -> Option<Element> {
        self.rest.next_if(|it| it.name == name)
    }

    fn text_if_any(&mut self, name: &str) -> String {
        self.maybe(name).map(|it| it.text).unwrap_or_default()
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

/// No element of a report is deeper.
const DEPTH: usize = 8;

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
                open.push(Element {
                    name: element.name().to_owned(),
                    kind: element.attribute("type"),
                    text: String::new(),
                    children: Vec::new(),
                });
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

fn close(open: &mut Vec<Element>, done: &mut Vec<Element>) {
    if let Some(element) = open.pop() {
        match open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => done.push(element),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "<?xml version='1.0' encoding='utf-8'?>
<journal><transaction type=\"Sale Packing List\"><title>Resource consumptions</title><start_date></start_date>
<stop_date>2026-11-20 at 23:59:59</stop_date><reference>COMP-2</reference><currency></currency><payment_mode></payment_mode>
<category></category><arrow type=\"Administration\"><source></source><destination></destination></arrow>
<movement><resource>service_module/memory_used</resource><title>x</title><reference>slappart0</reference>
<quantity>12.5</quantity><price>0.0</price><VAT>None</VAT><category>None</category></movement></transaction></journal>";

    fn refused(document: &str) -> String {
        Journal::from_xml(document).unwrap_err().to_string()
    }

    #[test]
    fn a_report_is_read() {
        let journal = Journal::from_xml(REPORT).unwrap();
        assert_eq!(journal.transactions[0].reference, "COMP-2");
        let movement = &journal.transactions[0].movements[0];
        assert_eq!(
            (movement.reference.as_str(), movement.quantity),
            ("slappart0", 12.5)
        );
    }

    #[test]
    fn what_is_no_report_is_refused_in_words() {
        assert_eq!(
            refused("<journal/>"),
            "the usage report has no `<transaction>` where one must be, in `<journal>`: found its end"
        );
        assert_eq!(
            refused(&REPORT.replace("12.5", "much")),
            "`<quantity>` in the usage report says `much`, which is no number"
        );
        assert_eq!(
            refused(&REPORT.replace("<currency></currency>", "<gold/>")),
            "the usage report has no `<currency>` where one must be, in `<transaction>`: found `<gold>`"
        );
        assert_eq!(
            refused(&REPORT.replace(" type=\"Administration\"", "")),
            "`<arrow>` in the usage report has no attribute `type`"
        );
        assert_eq!(
            refused("nothing"),
            "the usage report has no `<journal>` where one must be, in `<document>`: found its end"
        );
        assert_eq!(
            refused(&"<a>".repeat(100_000)),
            "the usage report cannot be read"
        );
        assert_eq!(refused("<a"), "the usage report cannot be read");
    }
}
