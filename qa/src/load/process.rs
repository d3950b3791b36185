//! What a process takes of the machine, as the kernel counts it.

use anyhow::{Context as _, Result};

const KB: f64 = 1024.0;
const MB: f64 = 1e6;
/// What the kernel counts processor time in, on every machine of this kind.
const TICKS_A_SECOND: f64 = 100.0;

/// What a process took until now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Memory that is its own, and its part of what it shares, in MB.
    pub pss: f64,
    /// All its memory, in MB.
    pub rss: f64,
    /// The most that was, in MB.
    pub peak: f64,
    /// Processor time, in seconds.
    pub cpu: f64,
}

impl Usage {
    /// Asks the kernel.
    pub fn of(process: u32) -> Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{process}/{file}");
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        let (status, rollup, stat) = (read("status")?, read("smaps_rollup")?, read("stat")?);
        Ok(Self {
            pss: megabytes(&rollup, "Pss:")?,
            rss: megabytes(&status, "VmRSS:")?,
            peak: megabytes(&status, "VmHWM:")?,
            cpu: seconds(&stat)?,
        })
    }
}

fn megabytes(text: &str, field: &str) -> Result<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|value| value.parse::<f64>().ok())
        .map(|kilobytes| kilobytes * KB / MB)
        .with_context(|| format!("the kernel says no {field}"))
}

/// The name, in parentheses, may hold spaces: what is counted begins behind it.
fn seconds(stat: &str) -> Result<f64> {
    let (_, rest) = stat.rsplit_once(')').context("the kernel says no times")?;
    let times: Vec<f64> = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|it| it.parse().ok())
        .collect();
    Ok(times.iter().sum::<f64>() / TICKS_A_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_of_this_very_process() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.rss > 0.5 && usage.peak >= usage.rss, "{usage:?}");
        assert!(usage.pss > 0.5 && usage.pss <= usage.rss + 1.0, "{usage:?}");
    }

    #[test]
    fn a_name_with_spaces_is_no_time() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        assert!((seconds(stat).unwrap() - 3.0).abs() < 1e-9);
    }
}
