//! `%` and a letter in a value: each reader has its own set, and drops what it does not know without a word.

/// What mkosi 25.3 knows: of settings, then of places.
pub(crate) const MKOSI: &str = "dratoOviCPDFI";
/// What repart.d(5) and sysupdate.d(5) of systemd 257 both know.
pub(crate) const SYSTEMD: &str = "aAbBHlmMoTvVwW";
/// What repart.d(5) knows besides, in `SplitName=`.
pub(crate) const REPART: &str = "aAbBHlmMoTvVwWtUnq";

/// Returns the first specifier of a text that is not among the known; `%%` is a percent sign.
pub(crate) fn unknown<'a>(text: &'a str, known: &str) -> Option<&'a str> {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let after = &rest[at + 1..];
        let letter = after.chars().next();
        let length = letter.map_or(0, char::len_utf8);
        if !letter.is_some_and(|it| it == '%' || known.contains(it)) {
            return Some(&rest[at..at + 1 + length]);
        }
        rest = &after[length..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_specifiers_that_the_reader_knows_pass() {
        for (text, expected) in [
            ("box_%v", None),
            ("100%%", None),
            ("%%%v", None),
            ("100%", Some("%")),
            ("%z", Some("%z")),
            ("%v%é", Some("%é")),
            ("%20", Some("%2")),
        ] {
            assert_eq!(unknown(text, MKOSI), expected, "{text}");
        }
    }
}
