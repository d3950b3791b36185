//! What a program wrote, in bounded memory: its beginning, and its end, where the cause of a failure mostly is. Pure.

use std::collections::VecDeque;

const HEAD: usize = 8 * 1024;
const TAIL: usize = 56 * 1024;

/// What was written so far.
#[derive(Debug, Default)]
pub(super) struct Output {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: usize,
}

impl Output {
    /// Takes what comes next.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let (to_head, to_tail) = bytes.split_at(bytes.len().min(HEAD - self.head.len()));
        self.head.extend_from_slice(to_head);
        self.tail.extend(to_tail);
        let over = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..over);
        self.left_out += over;
    }

    /// Returns it as text, saying where something is left out.
    pub(super) fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.head).into_owned();
        if self.left_out > 0 {
            text.push_str(&format!("\n[… {} bytes left out …]\n", self.left_out));
        }
        let (front, back) = self.tail.as_slices();
        text.push_str(&String::from_utf8_lossy(&[front, back].concat()));
        text.truncate(text.trim_end().len());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_very_much_the_beginning_and_the_end_are_kept() {
        let mut output = Output::default();
        output.take(b"short\n\n");
        assert_eq!(output.text(), "short");
        for _ in 0..30 {
            output.take(&[b'x'; 4096]);
        }
        output.take(b"the cause\n");
        let text = output.text();
        assert!(text.starts_with("short\n\nxxx") && text.ends_with("xxxthe cause"));
        let left_out = 7 + 30 * 4096 + 10 - HEAD - TAIL;
        assert!(text.contains(&format!("[… {left_out} bytes left out …]")));
        assert!(text.len() < HEAD + TAIL + 64);
    }
}
