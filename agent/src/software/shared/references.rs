//! Which parts a text names, and which a release needs. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::software::id::{DIGITS, is_digest, is_digit};

/// A shared part: a section of a profile, and the MD5 of all its options.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    name: String,
    digest: String,
}

impl Part {
    /// Takes the names of a folder and of one in it, if they are a part's.
    pub(super) fn new(name: &str, digest: &str) -> Option<Self> {
        is_digest(digest).then(|| Self {
            name: name.to_owned(),
            digest: digest.to_owned(),
        })
    }

    /// Returns the section's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the name of its folder in that of its section.
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }
}

impl fmt::Display for Part {
    /// As its folder is called below that of all of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.digest)
    }
}

/// All parts, to be found by their digests: sections of different names may have the same options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts(BTreeMap<String, BTreeSet<Part>>);

impl Parts {
    pub(super) fn insert(&mut self, part: Part) {
        self.0.entry(part.digest.clone()).or_default().insert(part);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Part> {
        self.0.values().flatten()
    }

    /// Returns the parts whose digests are in a text. Wherever they are: as the peer does, and because one too many is only disk.
    pub(super) fn named_in(&self, text: &[u8]) -> BTreeSet<Part> {
        let runs = text.split(|byte| !is_digit(*byte));
        let digests = runs.flat_map(|run| run.windows(DIGITS));
        let digests = digests.filter_map(|digest| std::str::from_utf8(digest).ok());
        let found = digests.filter_map(|digest| self.0.get(digest));
        found.flatten().cloned().collect()
    }
}

/// Returns the parts that are reached from some, themselves included, when `named_by` says what each names.
pub(super) fn reached<E>(
    from: BTreeSet<Part>,
    mut named_by: impl FnMut(&Part) -> Result<BTreeSet<Part>, E>,
) -> Result<BTreeSet<Part>, E> {
    let mut reached = from.clone();
    let mut next: Vec<Part> = from.into_iter().collect();
    while let Some(part) = next.pop() {
        for named in named_by(&part)? {
            if reached.insert(named.clone()) {
                next.push(named);
            }
        }
    }
    Ok(reached)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn part(name: &str, digit: char) -> Part {
        Part::new(name, &String::from_iter([digit; DIGITS])).unwrap()
    }

    fn parts(all: &[Part]) -> Parts {
        let mut parts = Parts::default();
        for part in all {
            parts.insert(part.clone());
        }
        parts
    }

    #[test]
    fn a_text_names_parts_by_their_digests_wherever_they_are() {
        let (a, also_a, b) = (part("zlib", 'a'), part("zlib-too", 'a'), part("xz", 'b'));
        let all = parts(&[a.clone(), also_a.clone(), b.clone()]);
        let (in_a, in_b) = (&a.digest.clone(), &b.digest.clone());
        let both = BTreeSet::from([a, also_a]);
        for (text, named) in [
            (format!("location = /srv/.shared/zlib/{in_a}/lib"), &both),
            (format!("x{in_a}"), &both),
            (format!("0{in_a}0"), &both),
            (format!("-Wl,-rpath={in_b}"), &BTreeSet::from([b.clone()])),
            (in_a[1..].to_owned(), &BTreeSet::new()),
            (in_a.to_uppercase(), &BTreeSet::new()),
            (String::new(), &BTreeSet::new()),
        ] {
            assert_eq!(&all.named_in(text.as_bytes()), named, "{text}");
        }
        let binary = [&[0xff, 0][..], in_b.as_bytes(), &[0xff]].concat();
        assert_eq!(all.named_in(&binary), BTreeSet::from([b]));
    }

    #[test]
    fn parts_are_reached_through_others_even_in_a_circle() {
        let names: BTreeMap<Part, Vec<Part>> = BTreeMap::from([
            (part("a", 'a'), vec![part("b", 'b')]),
            (part("b", 'b'), vec![part("c", 'c'), part("a", 'a')]),
            (part("c", 'c'), vec![]),
            (part("d", 'd'), vec![part("a", 'a')]),
        ]);
        let named_by = |part: &Part| -> Result<BTreeSet<Part>, Infallible> {
            Ok(names[part].iter().cloned().collect())
        };
        let from_a = reached(BTreeSet::from([part("a", 'a')]), named_by).unwrap();
        let all_but_d = [part("a", 'a'), part("b", 'b'), part("c", 'c')];
        assert_eq!(from_a, BTreeSet::from(all_but_d));
        assert_eq!(reached(BTreeSet::new(), named_by).unwrap(), BTreeSet::new());
    }

    #[test]
    fn only_what_is_named_by_a_digest_is_a_part() {
        for digest in ["", "tmp", "0123", &"A".repeat(DIGITS), &"a".repeat(33)] {
            assert_eq!(Part::new("zlib", digest), None, "{digest}");
        }
    }
}
