//! Load: calls made beforehand, sent over connections that are kept, and timed. It writes bytes and reads bytes, so that what is
//! measured is the server. It knows HTTP as far as it needs to, and nothing of what the calls mean.

mod pace;
mod process;
mod tally;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

pub use pace::pace;
pub use process::Usage;
pub use tally::Tally;
pub(crate) use tally::number;
pub use wire::{Answer, Line, Target};

/// When a load ends.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After this time.
    Time(Duration),
    /// When every call was made once.
    AllMade,
}

/// Makes calls one after the other over so many connections, each by the next line that is free; another status than is wanted is an error.
pub async fn hammer(
    target: &Target,
    lines: usize,
    calls: &Arc<Vec<Vec<u8>>>,
    wanted: u16,
    until: Until,
) -> Result<Tally> {
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut busy = Vec::new();
    for _ in 0..lines {
        let (target, calls, next) = (target.clone(), Arc::clone(calls), Arc::clone(&next));
        busy.push(tokio::spawn(async move {
            let mut line = Line::to(target);
            let mut tally = Tally::default();
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                let ended = match until {
                    Until::Time(limit) => begun.elapsed() >= limit,
                    Until::AllMade => turn >= calls.len(),
                };
                if ended {
                    return tally;
                }
                let asked = Instant::now();
                let answer = line.ask(&calls[turn % calls.len()]).await;
                tally.count(asked.elapsed(), answer.is_ok_and(|it| it.status == wanted));
            }
        }));
    }
    let mut all = Tally::default();
    for line in busy {
        all.add(line.await.context("a line of the load failed")?);
    }
    all.lasted(begun.elapsed());
    Ok(all)
}

/// Takes as many open files as the bench is allowed to take: each connection is one.
pub fn raise_open_files() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).context("cannot ask for a limit")?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("cannot have more files open")
}

/// Returns a `GET` call; `more` is whole header lines.
pub fn get(path: &str, more: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{more}\r\n").into_bytes()
}

/// Returns a `POST` of a form.
pub fn form(path: &str, pairs: &[(&str, String)]) -> Vec<u8> {
    let fields: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    post(path, "application/x-www-form-urlencoded", &fields.join("&"))
}

/// Returns a `POST`.
pub fn post(path: &str, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn encoded(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_what_a_browser_would_send() {
        let call = form("/x", &[("a", "1 & é".to_owned()), ("b", String::new())]);
        let text = String::from_utf8(call).unwrap();
        assert!(text.starts_with("POST /x HTTP/1.1\r\n"));
        assert!(text.ends_with("Content-Length: 21\r\n\r\na=1%20%26%20%C3%A9&b="));
    }
}
