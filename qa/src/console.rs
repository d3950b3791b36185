//! The serial console of one boot of a machine: its log without the terminal's control sequences.
//! Reads only; what a person at the console would see is all that it knows.

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

const SCREEN_BEGINS: &str = "\u{1b}[H";
const SCREEN_ENDS: &str = "\u{1b}[J";

/// What a machine has said on its serial port since it was switched on.
#[derive(Debug, Clone)]
pub struct Console {
    log: Utf8PathBuf,
}

impl Console {
    /// The console that QEMU writes to `log`.
    pub fn at(log: &Utf8Path) -> Self {
        Self {
            log: log.to_owned(),
        }
    }

    /// Everything said so far, as plain lines.
    pub fn text(&self) -> String {
        let raw = std::fs::read(&self.log).unwrap_or_default();
        plain(&String::from_utf8_lossy(&raw))
    }

    /// The last line that contains `words`.
    pub fn line_with(&self, words: &str) -> Result<String> {
        let text = self.text();
        match text.lines().rev().find(|line| line.contains(words)) {
            Some(line) => Ok(line.trim().to_owned()),
            None => bail!(
                "“{words}” is not on the console; its last line: {}",
                last_line(&text)
            ),
        }
    }

    /// The screen that the box has drawn last, as far as it is whole.
    pub fn screen(&self) -> String {
        let raw = std::fs::read(&self.log).unwrap_or_default();
        let raw = String::from_utf8_lossy(&raw);
        let whole = &raw[..raw.rfind(SCREEN_ENDS).unwrap_or(0)];
        plain(&whole[whole.rfind(SCREEN_BEGINS).unwrap_or(0)..])
    }

    /// Fails unless the screen shows all of `words`.
    pub fn shows(&self, words: &[&str]) -> Result<()> {
        let screen = self.screen();
        match words.iter().find(|it| !screen.contains(**it)) {
            None => Ok(()),
            Some(_) if screen.is_empty() => bail!(
                "there is no screen yet; the last line: {}",
                last_line(&self.text())
            ),
            Some(missing) => bail!("“{missing}” is not on the screen: {}", screen.trim()),
        }
    }

    /// The last `count` lines that are not empty.
    pub fn tail(&self, count: usize) -> Vec<String> {
        let text = self.text();
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        lines
            .iter()
            .skip(lines.len().saturating_sub(count))
            .map(|line| line.trim_end().to_owned())
            .collect()
    }
}

/// Removes control sequences; one that moves the cursor to another place becomes the end of a line.
pub fn plain(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\u{1b}' => match rest.next() {
                Some('[') => {
                    let moves = rest.by_ref().find(|c| ('\u{40}'..='\u{7e}').contains(c));
                    if matches!(moves, Some('H' | 'f' | 'J' | 'A' | 'B' | 'E' | 'F' | 'd')) {
                        text.push('\n');
                    }
                }
                Some(']' | 'P' | 'X' | '^' | '_') => skip_string(&mut rest),
                Some('(' | ')' | '#' | '%') => {
                    rest.next();
                }
                _ => {}
            },
            '\n' => text.push('\n'),
            c if c.is_control() && c != '\t' => {}
            c => text.push(c),
        }
    }
    text
}

/// Skips an operating system command, up to BEL or ESC \.
fn skip_string(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while let Some(character) = rest.next() {
        match character {
            '\u{7}' => return,
            '\u{1b}' if rest.peek() == Some(&'\\') => {
                rest.next();
                return;
            }
            _ => {}
        }
    }
}

fn last_line(text: &str) -> &str {
    text.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("nothing yet")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_titles_vanish_and_cursor_moves_end_lines() {
        let raw = "\u{1b}[2J\u{1b}[H\u{1b}[1;32mslapbox\u{1b}[0m COMP-2\u{1b}[3;1Hoverlay\r\n\u{1b}]3008;start=x\u{1b}\\boot\u{7}";
        assert_eq!(plain(raw), "\n\nslapbox COMP-2\noverlay\nboot");
    }

    #[test]
    fn a_line_is_found_by_a_part_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let log = Utf8PathBuf::from_path_buf(folder.path().join("console")).unwrap();
        let console = Console::at(&log);
        assert!(
            console
                .line_with("refused")
                .unwrap_err()
                .to_string()
                .contains("nothing yet")
        );
        let said = "one\r\n\u{1b}[31mthe token is refused\u{1b}[0m \r\ntwo";
        crate::files::put(&log, said).unwrap();
        assert_eq!(
            console.line_with("refused").unwrap(),
            "the token is refused"
        );
        assert_eq!(console.tail(1), ["two"]);
    }

    #[test]
    fn only_the_last_whole_screen_is_the_screen() {
        let folder = tempfile::tempdir().unwrap();
        let log = Utf8PathBuf::from_path_buf(folder.path().join("console")).unwrap();
        crate::files::put(
            &log,
            "boot\r\n\u{1b}[0m\u{1b}[HState refused\u{1b}[K\u{1b}[J\u{1b}[0m\u{1b}[HState enr",
        )
        .unwrap();
        let console = Console::at(&log);
        console.shows(&["State", "refused"]).unwrap();
        assert!(
            console
                .shows(&["enr"])
                .unwrap_err()
                .to_string()
                .contains("is not on the screen")
        );
    }
}
