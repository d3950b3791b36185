//! An error and its causes, for a person.

use std::error::Error;

/// The error and all its causes, in one line.
pub(crate) fn in_one_line(error: &(dyn Error + 'static)) -> String {
    all(error).fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        // Some libraries put the cause into the text and give it as the source too.
        match text.ends_with(&cause) {
            true => text,
            false => format!("{text}: {cause}"),
        }
    })
}

/// The causes of an error, the nearest first.
pub(crate) fn all<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}
