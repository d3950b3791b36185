//! What is shown when a scenario fails: the last lines of every console and log in the lab, and where the rest lies.

use camino::{Utf8Path, Utf8PathBuf};

use crate::console::plain;
use crate::story::{act, detail};

const LINES: usize = 40;

/// Tells why a scenario failed and what its machines said last.
pub fn show(folder: &Utf8Path, why: &str) {
    act(format_args!("FAILED: {why}"));
    for log in logs_under(folder) {
        let raw = std::fs::read(&log).unwrap_or_default();
        let text = plain(&String::from_utf8_lossy(&raw));
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        detail(format_args!("{log}, the last of {} lines:", lines.len()));
        for line in lines.iter().skip(lines.len().saturating_sub(LINES)) {
            detail(format_args!("  {}", line.trim_end()));
        }
    }
    act(format_args!("everything is kept in {folder}"));
}

fn logs_under(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut logs = Vec::new();
    for entry in folder.read_dir_utf8().into_iter().flatten().flatten() {
        let path = entry.into_path();
        if path.is_dir() {
            logs.extend(logs_under(&path));
        } else if path.extension() == Some("log") {
            logs.push(path);
        }
    }
    logs.sort();
    logs
}
