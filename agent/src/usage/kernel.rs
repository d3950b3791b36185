//! What the kernel says of use, from the texts of its files. Pure.
//!
//! cgroup v2: `Documentation/admin-guide/cgroup-v2.rst`; `/proc/stat` and `/proc/meminfo`: proc(5).

/// The kernel counts time of processors in hundredths of a second here, whatever its own clock (`USER_HZ`).
const MICROS_PER_TICK: u64 = 10_000;

/// Returns a number that is all of a file: `memory.current`, `pids.current`, statistics of an interface.
pub(super) fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Returns a number of a file of names and numbers: `usage_usec` of `cpu.stat`.
pub(super) fn named(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines();
    lines.find_map(|line| {
        let (found, value) = line.split_once(' ')?;
        (found == name).then(|| number(value)).flatten()
    })
}

/// Returns how many bytes were read and written on all devices, from `io.stat`. Devices that did nothing have no numbers.
pub(super) fn io(text: &str) -> (u64, u64) {
    let mut all = (0_u64, 0_u64);
    let fields = text.lines().flat_map(|line| line.split(' ').skip(1));
    for (name, value) in fields.filter_map(|field| field.split_once('=')) {
        let value = number(value).unwrap_or(0);
        match name {
            "rbytes" => all.0 = all.0.saturating_add(value),
            "wbytes" => all.1 = all.1.saturating_add(value),
            _ => {}
        }
    }
    all
}

/// Returns how long all processors together were busy, in microseconds, from `/proc/stat`.
pub(super) fn busy(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line
        .split_ascii_whitespace()
        .filter_map(|field| field.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal; guests are in user already.
    let &[user, nice, system, _, _, irq, softirq, ..] = &ticks[..] else {
        return None;
    };
    let busy = user + nice + system + irq + softirq;
    busy.checked_mul(MICROS_PER_TICK)
}

/// Returns how many processors there are, from `/proc/stat`.
pub(super) fn processors(text: &str) -> usize {
    let lines = text.lines().filter_map(|line| line.strip_prefix("cpu"));
    lines
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        .count()
}

/// Returns how much memory is used, from `/proc/meminfo`: what is not available, as the original has it.
pub(super) fn memory_used(text: &str) -> Option<u64> {
    let kib = |field: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(field))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    kib("MemTotal:")?
        .checked_sub(kib("MemAvailable:")?)?
        .checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Of Linux 6.12, Debian trixie.
    const CPU_STAT: &str = "usage_usec 19575741898\nuser_usec 16242596557\nsystem_usec 3333145340\nnice_usec 1743165117\n\
        core_sched.force_idle_usec 0\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\nnr_bursts 0\nburst_usec 0\n";
    const IO_STAT: &str = "254:0 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0\n7:0 \n\
        8:16 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n";
    const STAT: &str = "cpu  4705 150 1120 16250 520 30 20 5 7 0\ncpu0 2352 75 560 8125 260 15 10 2 3 0\ncpu1 2353 75 560 8125 260 15 10 3 4 0\n\
        intr 114930548 113199788 3 0 5\nctxt 1990473\nbtime 1795869000\nprocesses 2915\n";
    const MEMINFO: &str = "MemTotal:        4030236 kB\nMemFree:          208164 kB\nMemAvailable:    3005132 kB\nBuffers:           61000 kB\n";

    #[test]
    fn files_of_a_real_kernel_are_understood() {
        assert_eq!(named(CPU_STAT, "usage_usec"), Some(19_575_741_898));
        assert_eq!(named(CPU_STAT, "usage"), None);
        assert_eq!(number("52428800\n"), Some(52_428_800));
        assert_eq!(number("max\n"), None);
        assert_eq!(io(IO_STAT), (1_463_296, 314_773_504));
        assert_eq!(busy(STAT), Some((4705 + 150 + 1120 + 30 + 20) * 10_000));
        assert_eq!(processors(STAT), 2);
        assert_eq!(memory_used(MEMINFO), Some((4_030_236 - 3_005_132) * 1024));
    }

    #[test]
    fn what_is_no_such_file_says_nothing() {
        for text in [
            "",
            "\n",
            "usage_usec",
            "cpu",
            "cpu  1 2",
            "MemTotal: x kB",
            "8:0 rbytes=x",
        ] {
            assert_eq!(named(text, "usage_usec"), None, "{text}");
            assert_eq!(number(text), None, "{text}");
            assert_eq!(io(text), (0, 0), "{text}");
            assert_eq!(busy(text), None, "{text}");
            assert_eq!(memory_used(text), None, "{text}");
        }
    }
}
