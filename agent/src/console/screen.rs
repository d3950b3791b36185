//! `render`: a status in, at most 24 rows of 80 ASCII columns out. Pure. The operator's login line alone may be longer,
//! so that it can be copied in one piece; it takes as many rows as a terminal breaks it into.

use std::net::IpAddr;

use crate::status::{Enrolment, Failure, Status};

/// Columns of a screen.
const COLUMNS: usize = 80;
/// Rows of a screen.
const ROWS: usize = 24;

const LABEL: usize = 11;

/// A drawn screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screen {
    /// Its lines, the top one first.
    pub lines: Vec<String>,
}

impl Screen {
    /// The screen with the control sequences that put it in place of what was there.
    pub fn for_terminal(&self) -> String {
        let mut text = String::from("\x1b[0m\x1b[H");
        for (row, line) in self.lines.iter().enumerate() {
            text.push_str(if row == 0 { "" } else { "\r\n" });
            text.push_str(line);
            text.push_str("\x1b[K");
        }
        text.push_str("\x1b[J");
        text
    }
}

/// Draws the status as it is at `now`, in seconds since 1970.
pub fn render(status: &Status, now: i64) -> Screen {
    let mut rows = Rows(Vec::new());
    let version = format!("Slapbox {}", clean(&status.version));
    rows.push(&format!("{version:<57}{:>22}", utc(now)));
    rows.push(&"-".repeat(COLUMNS - 1));
    who(&mut rows, status);
    rows.push("");
    if matches!(
        status.enrolment,
        Enrolment::Enrolled { .. } | Enrolment::Revoked { .. }
    ) {
        life(&mut rows, status, now);
        rows.push("");
    }
    for notice in status.notices.iter().take(2) {
        rows.field("Notice", notice, 3);
    }
    hint(&mut rows, status);
    login(rows, status)
}

/// Who the box is and how far it is.
fn who(rows: &mut Rows, status: &Status) {
    rows.field("State", &status.enrolment.words(), 1);
    if let Some(reason) = status.enrolment.reason() {
        rows.field("Reason", reason, 4);
    }
    let role = status.role.unwrap_or("not known yet");
    let name = if status.name.is_empty() {
        String::new()
    } else {
        format!("  ({})", status.name)
    };
    rows.field("Role", &format!("{role}{name}"), 1);
    if let Some(code) = &status.code {
        rows.field("Code", code, 1);
    }
    rows.field("Addresses", &addresses(&status.addresses), 2);
    if !status.masters.is_empty() {
        rows.field("Master", &status.masters.join("  "), 1);
    }
}

/// How an enrolled box does.
fn life(rows: &mut Rows, status: &Status, now: i64) {
    rows.field("Contact", &contact(status, now), 2);
    rows.field("Overlay", &overlay(status), 2);
    let partitions = &status.partitions;
    let made = match partitions.ready {
        0 => String::new(),
        _ => format!(", made in {:.1} s", partitions.seconds),
    };
    let words = format!(
        "{} of {} ready, {} used{made}",
        partitions.ready, partitions.wanted, partitions.used
    );
    rows.field("Partitions", &words, 1);
    let mut label = "Software";
    for (url, word) in status.software.iter().take(3) {
        let file = url.rsplit('/').next().unwrap_or_default();
        rows.field(label, &format!("{word:<10} {file}"), 1);
        label = "";
    }
    match status.software.len() {
        0 => rows.field(label, "none", 1),
        1..=3 => {}
        more => rows.field("", &format!("and {} more", more - 3), 1),
    }
    let instances = &status.instances;
    let counts = format!(
        "{} started, {} stopped, {} on their way",
        instances.started, instances.stopped, instances.pending
    );
    rows.field("Instances", &counts, 1);
    for failure in status.all_failures().take(2) {
        rows.field("Failure", &failure_words(failure), 2);
    }
}

fn contact(status: &Status, now: i64) -> String {
    let last = match status.last_contact {
        None => "none yet".to_owned(),
        Some(last) => format!("{} ago", ago(now.saturating_sub(last).max(0))),
    };
    match &status.master_away {
        None => last,
        Some(why) => format!("{last}; {why}"),
    }
}

fn overlay(status: &Status) -> String {
    let overlay = &status.overlay;
    let state = if overlay.state.is_empty() {
        "not started"
    } else {
        &overlay.state
    };
    let mut words = state.to_owned();
    if let Some(prefix) = overlay.prefix {
        words.push_str(&format!("  {prefix}  {} up", count(overlay.links, "link")));
    }
    if !overlay.reason.is_empty() {
        words.push_str(&format!("  {}", overlay.reason));
    }
    words
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn failure_words(failure: &Failure) -> String {
    match &failure.subject {
        Some(subject) => format!("{subject}: {}", failure.message),
        None => failure.message.clone(),
    }
}

fn hint(rows: &mut Rows, status: &Status) {
    let words = match &status.enrolment {
        Enrolment::Unconfigured { .. } | Enrolment::Refused { .. } => {
            "put slapbox.toml on a stick labelled SLAPBOX (FAT, ext4 or a CD) and plug it in; it is read at once"
        }
        Enrolment::Pending => {
            "an operator runs `slapbox computer list` and approves the box with this code"
        }
        Enrolment::Enrolling { reason: Some(_) } => {
            "the box goes on trying by itself; a stick labelled SLAPBOX may bring another slapbox.toml"
        }
        Enrolment::Revoked { .. } => "this box keeps what runs but is told nothing any more",
        Enrolment::Starting
        | Enrolment::Preparing { .. }
        | Enrolment::Enrolling { reason: None }
        | Enrolment::Enrolled { .. } => return,
    };
    rows.field("Hint", words, 3);
}

/// Adds the operator's login line, whole, and cuts everything else to what remains of the screen.
fn login(rows: Rows, status: &Status) -> Screen {
    let Rows(mut lines) = rows;
    let mut tail = Vec::new();
    let mut needed = 0;
    if let Some(line) = &status.login {
        let line = clean(&line.0);
        needed = 2 + line.len().div_ceil(COLUMNS);
        let words = "This master is new. Its first operator types, on any machine:";
        tail = vec![String::new(), words.to_owned(), line];
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.truncate(ROWS.saturating_sub(needed));
    lines.append(&mut tail);
    Screen { lines }
}

struct Rows(Vec<String>);

impl Rows {
    fn push(&mut self, line: &str) {
        let line: String = clean(line).chars().take(COLUMNS).collect();
        self.0.push(line.trim_end().to_owned());
    }

    /// A label and its text, broken into at most `most` lines.
    fn field(&mut self, label: &str, text: &str, most: usize) {
        let width = COLUMNS - LABEL;
        let mut lines = wrap(&clean(text), width);
        if lines.len() > most {
            lines.truncate(most);
            if let Some(last) = lines.last_mut() {
                last.truncate(width - 3);
                last.push_str("...");
            }
        }
        for (row, line) in lines.iter().enumerate() {
            let label = if row == 0 { label } else { "" };
            self.push(&format!("{label:<LABEL$}{line}"));
        }
    }
}

/// Breaks a text between words; a word that is too long is broken itself.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word = word;
        loop {
            let line = lines.last_mut().expect("there is always a line");
            let gap = usize::from(!line.is_empty());
            if line.len() + gap + word.len() <= width {
                line.push_str(&" ".repeat(gap));
                line.push_str(word);
                break;
            }
            if line.is_empty() {
                let (head, rest) = word.split_at(width);
                line.push_str(head);
                word = rest;
            }
            lines.push(String::new());
        }
    }
    lines
}

/// Plain ASCII: what came from outside can move no cursor and take no two columns.
fn clean(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            ' '..='~' => character,
            '\n' | '\r' | '\t' => ' ',
            '“' | '”' => '"',
            '’' | '‘' => '\'',
            '–' | '—' => '-',
            _ => '?',
        })
        .collect()
}

fn addresses(addresses: &[IpAddr]) -> String {
    if addresses.is_empty() {
        return "none: is a network cable plugged in?".to_owned();
    }
    addresses
        .iter()
        .map(IpAddr::to_string)
        .collect::<Vec<_>>()
        .join("  ")
}

fn ago(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn utc(now: i64) -> String {
    match time::OffsetDateTime::from_unix_timestamp(now) {
        Ok(t) => format!(
            "{:04}-{:02}-{:02} {:02}:{:02} UTC",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute()
        ),
        Err(_) => "the clock is wrong".to_owned(),
    }
}

#[cfg(test)]
mod tests;
