//! Columns, ages and sizes.

/// Returns a table; its last column is as wide as it needs.
pub(super) fn table<const N: usize>(heads: [&str; N], rows: Vec<[String; N]>) -> String {
    let heads = heads.map(str::to_owned);
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows
            .iter()
            .chain([&heads])
            .map(|row| clean(&row[column]).chars().count());
        cells.max().unwrap_or(0)
    });
    let mut text = String::new();
    for row in [&heads].into_iter().chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(&format!("{:width$}  ", clean(cell)));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Returns names and what they are, one a line; what is empty is left out.
pub(super) fn facts(lines: &[(&str, String)]) -> String {
    let shown = lines.iter().filter(|(_, text)| !text.is_empty());
    let width = shown
        .clone()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    shown
        .map(|(name, text)| format!("{name:width$}  {}\n", clean(text)))
        .collect()
}

/// Returns a line without what would break it.
pub(super) fn single(line: &str) -> String {
    clean(line).trim_end().to_owned()
}

/// Returns a moment as a date and a time of UTC.
pub(super) fn moment(at: i64) -> String {
    let format =
        time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
    time::OffsetDateTime::from_unix_timestamp(at)
        .ok()
        .and_then(|it| it.format(format).ok())
        .unwrap_or_else(|| at.to_string())
}

/// What nodes say is not trusted to move a cursor or break a line.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Returns how long ago a moment was.
pub(super) fn ago(at: i64, now: i64) -> String {
    format!("{} ago", span(now.saturating_sub(at).max(0)))
}

/// Returns how much time is left until a moment.
pub(super) fn remaining(until: i64, now: i64) -> String {
    if until <= now {
        "expired".to_owned()
    } else {
        format!("{} left", span(until - now))
    }
}

/// Returns a time in the largest unit of which there are two or more.
pub(super) fn span(seconds: i64) -> String {
    for (unit, length) in [("d", 86_400), ("h", 3600), ("min", 60)] {
        if seconds >= 2 * length {
            return format!("{} {unit}", seconds / length);
        }
    }
    format!("{seconds} s")
}

/// Returns a size in the largest unit of which there are two or more.
pub(super) fn bytes(size: u64) -> String {
    for (unit, length) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if size >= 2 * length {
            return format!("{} {unit}", size / length);
        }
    }
    format!("{size} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_are_round() {
        assert_eq!(moment(1_800_000_000), "2027-01-15 08:00:00Z");
        assert_eq!(moment(i64::MAX), "9223372036854775807");
        assert_eq!(ago(100, 100), "0 s ago");
        assert_eq!(ago(200, 100), "0 s ago");
        assert_eq!(ago(0, 119), "119 s ago");
        assert_eq!(ago(0, 7200), "2 h ago");
        assert_eq!(remaining(10, 10), "expired");
        assert_eq!(remaining(864_000, 0), "10 d left");
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(4 << 30), "4 GiB");
        assert_eq!(bytes(1536), "1536 B");
    }

    #[test]
    fn nothing_that_is_shown_moves_the_cursor() {
        assert_eq!(
            table(["A"], vec![["x\u{1b}[2J\ny".to_owned()]]),
            "A\nx [2J y\n"
        );
    }
}
