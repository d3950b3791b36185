//! What is refused, and in which words.

mod disk;
mod mkosi;
mod partition;
mod sysupdate;
mod value;

use std::error::Error;

/// Returns an error with its causes, as a command line prints it.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Checks that a refusal names all of these.
fn refused<E: Error + 'static>(result: Result<(), E>, words: &[&str]) {
    let text = chain(&result.expect_err(&format!("{words:?} should have been refused")));
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
    assert!(!text.ends_with('.'), "{text}");
}
