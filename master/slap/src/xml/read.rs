//! Text → values, within limits. A reference is replaced by a copy of what it means, and copies count.

use std::collections::{BTreeMap, BTreeSet};

use super::tokens::{Element, Token, Tokens};
use crate::value::{Class, Object, Value};

/// What a document may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes of text.
    pub bytes: usize,
    /// Most containers within each other.
    pub depth: usize,
    /// Most memory, roughly, that the values take when every reference is resolved.
    pub weight: usize,
}

impl Default for Limits {
    /// Enough for a computer with a thousand partitions and long parameters.
    fn default() -> Self {
        Self {
            bytes: 16 << 20,
            depth: 64,
            weight: 128 << 20,
        }
    }
}

/// Why a document cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    /// It costs too much.
    #[error("the document is larger than {0} bytes")]
    TooLong(usize),
    /// It costs too much.
    #[error("the document nests more than {0} containers")]
    TooDeep(usize),
    /// It costs too much.
    #[error("the document's references make it too large")]
    TooHeavy,
    /// It is no XML.
    #[error("not well formed at byte {at}")]
    Malformed {
        /// Where.
        at: u64,
        /// How.
        #[source]
        err: quick_xml::Error,
    },
    /// It stops too early, or goes on too long.
    #[error("not one marshalled value in `<marshal>`")]
    NotOneValue,
    /// Declarations of types or entities are not part of SLAP.
    #[error("a document type or an entity is declared or used")]
    Declaration,
    /// XML 1.0 cannot carry it.
    #[error("character {0:#x} is none of XML")]
    BadCharacter(u32),
    /// An element that SLAP has not, or not there.
    #[error("unknown element `{0}`")]
    UnknownElement(String),
    /// An object that may not travel.
    #[error("refusing to make an object of class `{class}` of `{module}`")]
    ForeignClass {
        /// The Python module.
        module: String,
        /// The class in it.
        class: String,
    },
    /// A number that is none, or that is too large.
    #[error("`{text}` is no {element}")]
    BadLeaf {
        /// The element.
        element: &'static str,
        /// What it has.
        text: String,
    },
    /// A reference to what was not there before it, or to what it is part of.
    #[error("reference to `{0}`, which is not there before it")]
    BadReference(String),
    /// A key without a value, or one that cannot be a key.
    #[error("a dictionary has a key without a value, or a key that is no text")]
    BadDictionary,
    /// An object is a tuple and a dictionary.
    #[error("an object is not a tuple and a dictionary")]
    BadObject,
}

/// Reads a document within the default limits.
pub fn read(document: &str) -> Result<Value, XmlError> {
    read_within(document, Limits::default())
}

/// Reads a document.
pub fn read_within(document: &str, limits: Limits) -> Result<Value, XmlError> {
    if document.len() > limits.bytes {
        return Err(XmlError::TooLong(limits.bytes));
    }
    let mut reader = Reader {
        tokens: Tokens::of(document),
        wanted: referenced_ids(document)?,
        known: BTreeMap::new(),
        limits,
        weight: 0,
    };
    reader.document()
}

/// Returns the ids that references name, so that nothing else is kept while reading.
fn referenced_ids(document: &str) -> Result<BTreeSet<String>, XmlError> {
    let mut ids = BTreeSet::new();
    if !document.contains("<reference") {
        return Ok(ids);
    }
    let mut tokens = Tokens::of(document);
    loop {
        match tokens.next()? {
            Token::Open(element) if element.name() == "reference" => {
                ids.extend(element.attribute("id"));
            }
            Token::End => return Ok(ids),
            Token::Open(_) | Token::Close | Token::Text(_) => {}
        }
    }
}

/// What a reference may mean.
struct Known {
    value: Value,
    weight: usize,
    height: usize,
}

/// A value and how many containers it nests.
struct Read {
    value: Value,
    height: usize,
}

struct Reader<'a> {
    tokens: Tokens<'a>,
    wanted: BTreeSet<String>,
    known: BTreeMap<String, Known>,
    limits: Limits,
    weight: usize,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Value, XmlError> {
        let Token::Open(root) = self.tokens.next_mark()? else {
            return Err(XmlError::NotOneValue);
        };
        if root.name() != "marshal" {
            return Err(XmlError::UnknownElement(root.name().to_owned()));
        }
        let mut values = self.children(&root, 0)?;
        let after = self.tokens.next_mark()?;
        match (values.pop(), values.is_empty(), after) {
            (Some(read), true, Token::End) => Ok(read.value),
            _ => Err(XmlError::NotOneValue),
        }
    }

    /// Reads what an element contains, to its end. `depth` containers are around it, itself included.
    fn children(&mut self, parent: &Element<'a>, depth: usize) -> Result<Vec<Read>, XmlError> {
        let mut children = Vec::new();
        if parent.is_empty() {
            return Ok(children);
        }
        loop {
            match self.tokens.next_mark()? {
                Token::Open(element) => children.push(self.value(&element, depth)?),
                Token::Close | Token::Text(_) => return Ok(children),
                Token::End => return Err(XmlError::NotOneValue),
            }
        }
    }

    fn value(&mut self, element: &Element<'a>, depth: usize) -> Result<Read, XmlError> {
        let before = self.weight;
        self.weigh(size_of::<Value>())?;
        let read = match element.name() {
            "none" | "bool" | "int" | "long" | "float" | "string" | "unicode" => Read {
                value: self.leaf(element)?,
                height: 0,
            },
            "reference" => return self.reference(element, depth),
            "tuple" | "list" | "set" | "dictionary" | "object" => {
                if depth >= self.limits.depth {
                    return Err(XmlError::TooDeep(self.limits.depth));
                }
                let children = self.children(element, depth + 1)?;
                let height = 1 + children.iter().map(|child| child.height).max().unwrap_or(0);
                let values = children.into_iter().map(|child| child.value);
                Read {
                    value: container(element, values)?,
                    height,
                }
            }
            other => return Err(XmlError::UnknownElement(other.to_owned())),
        };
        if let Some(id) = element.attribute("id")
            && self.wanted.contains(&id)
        {
            let weight = self.weight - before;
            self.weigh(weight)?;
            let (value, height) = (read.value.clone(), read.height);
            self.known.insert(
                id,
                Known {
                    value,
                    weight,
                    height,
                },
            );
        }
        Ok(read)
    }

    fn reference(&mut self, element: &Element<'a>, depth: usize) -> Result<Read, XmlError> {
        let id = element.attribute("id").unwrap_or_default();
        self.text(element)?;
        let (weight, height) = match self.known.get(&id) {
            Some(known) => (known.weight, known.height),
            // Also what is still open: nothing of ours can contain itself.
            None => return Err(XmlError::BadReference(id)),
        };
        if depth + height > self.limits.depth {
            return Err(XmlError::TooDeep(self.limits.depth));
        }
        self.weigh(weight)?;
        match self.known.get(&id) {
            Some(known) => Ok(Read {
                value: known.value.clone(),
                height,
            }),
            None => Err(XmlError::BadReference(id)),
        }
    }

    fn leaf(&mut self, element: &Element<'a>) -> Result<Value, XmlError> {
        let text = self.text(element)?;
        let number = text.trim();
        let bad = |element| XmlError::BadLeaf {
            element,
            text: text.clone(),
        };
        Ok(match element.name() {
            "none" => Value::None,
            "bool" => match number {
                "1" => Value::Bool(true),
                "0" => Value::Bool(false),
                _ => return Err(bad("bool")),
            },
            "int" | "long" => Value::Int(number.parse().map_err(|_| bad("int of 64 bits"))?),
            "float" => Value::Float(number.parse().map_err(|_| bad("float"))?),
            _ => Value::String(unescape(text)),
        })
    }

    /// Reads an element that has text only, to its end.
    fn text(&mut self, element: &Element<'a>) -> Result<String, XmlError> {
        let mut text = String::new();
        if element.is_empty() {
            return Ok(text);
        }
        loop {
            match self.tokens.next()? {
                Token::Text(part) => {
                    self.weigh(part.len())?;
                    text.push_str(&part);
                }
                Token::Close => return Ok(text),
                Token::Open(child) => {
                    return Err(XmlError::UnknownElement(child.name().to_owned()));
                }
                Token::End => return Err(XmlError::NotOneValue),
            }
        }
    }

    fn weigh(&mut self, more: usize) -> Result<(), XmlError> {
        self.weight = self.weight.saturating_add(more);
        if self.weight > self.limits.weight {
            return Err(XmlError::TooHeavy);
        }
        Ok(())
    }
}

fn container(
    element: &Element<'_>,
    mut values: impl Iterator<Item = Value>,
) -> Result<Value, XmlError> {
    Ok(match element.name() {
        "tuple" => Value::Tuple(values.collect()),
        "list" => Value::List(values.collect()),
        "set" => Value::Set(values.collect()),
        "dictionary" => Value::Dict(dictionary(values)?),
        _ => {
            let module = element.attribute("module").unwrap_or_default();
            let class = element.attribute("class").unwrap_or_default();
            let Some(class) = Class::allowed(&module, &class) else {
                return Err(XmlError::ForeignClass { module, class });
            };
            match (values.next(), values.next(), values.next()) {
                (Some(Value::Tuple(init)), Some(state), None) => Value::Object(Object {
                    class,
                    init,
                    state: attributes(state)?,
                }),
                _ => return Err(XmlError::BadObject),
            }
        }
    })
}

/// Newer Pythons write none for an object without attributes.
fn attributes(state: Value) -> Result<BTreeMap<String, Value>, XmlError> {
    if state == Value::None {
        return Ok(BTreeMap::new());
    }
    let Value::Dict(entries) = state else {
        return Err(XmlError::BadObject);
    };
    Ok(entries)
}

fn dictionary(
    mut values: impl Iterator<Item = Value>,
) -> Result<BTreeMap<String, Value>, XmlError> {
    let mut entries = BTreeMap::new();
    while let Some(key) = values.next() {
        match (key.scalar_text(), values.next()) {
            (Some(key), Some(value)) => entries.insert(key, value),
            _ => return Err(XmlError::BadDictionary),
        };
    }
    Ok(entries)
}

/// Undoes the marshaller's own escaping; XML's is undone already.
fn unescape(text: String) -> String {
    if !text.contains('&') {
        return text;
    }
    text.replace("&gt;", ">")
        .replace("&lt;", "<")
        .replace("&amp;", "&")
}
