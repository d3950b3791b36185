//! What the bench does, told line by line on standard error, so that a failed log reads as a story.
//! Never used for results: those go to standard output.

use std::fmt::Display;
use std::io::Write as _;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Tells one act of a scenario.
pub fn act(what: impl Display) {
    tell(">>>>", what);
}

/// Tells something that is neither an act nor a verdict: what is being waited for, and the last thing seen.
pub fn detail(what: impl Display) {
    tell("   …", what);
}

/// Writes a duration as people say it.
pub fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

/// The last part of `text` that fits on a line, without line ends.
pub fn shortened(text: &str, characters: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= characters {
        return line;
    }
    let head: String = line.chars().take(characters.saturating_sub(1)).collect();
    format!("{head}…")
}

fn tell(mark: &str, what: impl Display) {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed = START.get_or_init(Instant::now).elapsed().as_secs();
    // A closed standard error must not end the bench: its machines would be cut in the middle of a test.
    let _ = writeln!(
        std::io::stderr(),
        "[{:3}:{:02}] {mark} {what}",
        elapsed / 60,
        elapsed % 60
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_say_them() {
        assert_eq!(spoken(Duration::from_millis(1_340)), "1.3 s");
        assert_eq!(spoken(Duration::from_secs(75)), "75 s");
        assert_eq!(spoken(Duration::from_secs(125)), "2 min 05 s");
    }

    #[test]
    fn a_long_text_becomes_one_short_line() {
        assert_eq!(shortened("a\n  b", 10), "a b");
        assert_eq!(shortened("abcdefgh", 4), "abc…");
    }
}
