//! `MatchPattern=`: how versions are read from names, with wildcards such as `@v`.

use crate::text::{checked_text, form, is_quote, line, refuse};
use crate::value::{Value, ValueError};

const KIND: &str = "match pattern";
const WILDCARDS: &str = "vufagrtmsdlh";

checked_text! {
    /// The name of a file or partition with `@v` for its version, and perhaps other wildcards, each once.
    ///
    /// ```
    /// use mkosi_config_builder::sysupdate::MatchPattern;
    /// assert!(MatchPattern::new("box_@v_@u.raw.zst").is_ok());
    /// assert!(MatchPattern::new("box.raw").is_err());
    /// ```
    pub struct MatchPattern, pattern
}

impl MatchPattern {
    /// Returns whether this wildcard is in the pattern, as `has('u')`.
    pub fn has(&self, wildcard: char) -> bool {
        self.as_str().contains(&format!("@{wildcard}"))
    }
}

impl Value for MatchPattern {
    fn render(&self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Result<Self, ValueError> {
        text.parse()
    }

    fn split(text: &str) -> Vec<&str> {
        text.split_whitespace().collect()
    }
}

fn pattern(text: &str) -> Result<(), ValueError> {
    line(KIND, text)?;
    refuse(KIND, text, char::is_whitespace, "it separates patterns")?;
    refuse(KIND, text, is_quote, "readers differ in how they unquote")?;
    if text.starts_with('/') || text.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(form(
            KIND,
            text,
            "a pattern is relative to Path= and stays below it",
        ));
    }
    let mut seen = String::new();
    for after in text.split('@').skip(1) {
        let Some(wildcard) = after.chars().next().filter(|c| WILDCARDS.contains(*c)) else {
            return Err(form(
                KIND,
                text,
                "after @ stands one of v u f a g r t m s d l h",
            ));
        };
        if seen.contains(wildcard) {
            return Err(form(KIND, text, "each wildcard may stand once"));
        }
        seen.push(wildcard);
    }
    let adjacent = text
        .as_bytes()
        .windows(3)
        .any(|it| it[0] == b'@' && it[2] == b'@');
    if adjacent {
        return Err(form(
            KIND,
            text,
            "between two wildcards something must stand, to tell them apart",
        ));
    }
    if !seen.contains('v') {
        return Err(form(KIND, text, "it needs @v, the version"));
    }
    Ok(())
}
