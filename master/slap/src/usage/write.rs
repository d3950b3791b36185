//! Usage → text. What is read of it again is equal.

use super::{Arrow, Consumption, Journal, Movement, Transaction};
use crate::xml::escaped;

const DECLARATION: &str = "<?xml version=\"1.0\"?>\n";

impl Journal {
    /// Returns the document that `useComputer` takes.
    pub fn to_xml(&self) -> String {
        let mut out = String::from(DECLARATION);
        out.push_str("<journal>");
        for transaction in &self.transactions {
            transaction.write(&mut out);
        }
        out.push_str("</journal>");
        out
    }
}

impl Consumption {
    /// Returns the document as a partition writes it.
    pub fn to_xml(&self) -> String {
        let mut out = String::from(DECLARATION);
        out.push_str("<consumption>");
        for movement in &self.movements {
            movement.write(&mut out);
        }
        out.push_str("</consumption>");
        out
    }
}

impl Transaction {
    fn write(&self, out: &mut String) {
        open(out, "transaction", &self.kind);
        optional(out, "title", self.title.as_deref());
        leaf(out, "start_date", &self.start_date);
        leaf(out, "stop_date", &self.stop_date);
        leaf(out, "reference", &self.reference);
        leaf(out, "currency", &self.currency);
        leaf(out, "payment_mode", &self.payment_mode);
        for category in &self.categories {
            leaf(out, "category", category);
        }
        for arrow in &self.arrows {
            arrow.write(out);
        }
        for movement in &self.movements {
            movement.write(out);
        }
        out.push_str("</transaction>");
    }
}

impl Arrow {
    fn write(&self, out: &mut String) {
        open(out, "arrow", &self.kind);
        optional(out, "source", self.source.as_deref());
        optional(out, "destination", self.destination.as_deref());
        out.push_str("</arrow>");
    }
}

impl Movement {
    fn write(&self, out: &mut String) {
        out.push_str("<movement>");
        leaf(out, "resource", &self.resource);
        optional(out, "title", self.title.as_deref());
        optional(out, "reference", self.reference.as_deref());
        leaf(out, "quantity", &self.quantity.to_string());
        leaf(out, "price", &self.price.to_string());
        leaf(out, "VAT", &self.vat);
        for category in &self.categories {
            leaf(out, "category", category);
        }
        out.push_str("</movement>");
    }
}

fn open(out: &mut String, name: &str, kind: &str) {
    out.push_str(&format!("<{name} type=\"{}\">", escaped(kind)));
}

fn optional(out: &mut String, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        leaf(out, name, text);
    }
}

fn leaf(out: &mut String, name: &str, text: &str) {
    out.push_str(&format!("<{name}>{}</{name}>", escaped(text)));
}
