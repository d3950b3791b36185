//! Notices services that end by themselves. systemd starts them again; the instance's tree hears of it, once for each time that the
//! instance was processed, as with the peer's watchdog.

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::crew::Crew;
use super::{Paths, Report};
use crate::causes::in_one_line;
use crate::desired::PartitionName;
use crate::inside::{Inside, Ownership};
use crate::instances::confinement::slice;
use crate::instances::programs::is_task;
use crate::instances::units::UnitName;
use crate::observe::TIMESTAMP;
use crate::observed::ProgramName;

/// The timestamp of the instance when its last bang was, in its directory.
const LAST_BANG: &str = ".slapos_latest_bang_timestamp";
/// What stands for the timestamp of an instance that was never processed in full.
const NEVER: &str = "0";
const LONGEST: u64 = 4096;

/// Looks whether a unit that did something was started again because its program ended.
pub(super) async fn notice(paths: &Paths, crew: &Crew, unit: &str, reports: &mpsc::Sender<Report>) {
    let Some(UnitName::Program(partition, program)) = UnitName::parse(unit) else {
        return;
    };
    // What somebody starts or stops has not ended by itself.
    if crew.is_busy(partition) {
        return;
    }
    let restarts = match crew.systemd.restarts(unit).await {
        Ok(restarts) => restarts.unwrap_or(0),
        Err(error) => {
            tracing::warn!(%partition, "{}", in_one_line(&error));
            return;
        }
    };
    let (now, kills) = (Instant::now(), kills(paths, partition));
    let (is_news, lacks_memory) = {
        let mut memory = crew.memory();
        let remembered = memory.of(partition);
        let lacks_memory = remembered.killed(kills);
        let is_news = remembered.restarted(program.clone(), restarts, lacks_memory, now);
        (is_news, lacks_memory)
    };
    if !is_news {
        return;
    }
    tracing::warn!(%partition, "{program} has ended and was started again");
    match may_bang(paths, partition, &program) {
        Ok(true) => {
            // In the peer's words.
            let mut message =
                format!("{program} process in partition {partition} encountered a problem");
            if lacks_memory {
                message.push_str(
                    ": the kernel killed it, since its instance used more memory than it may",
                );
            }
            let _ = reports.send(Report::Bang { partition, message }).await;
        }
        Ok(false) => {}
        Err(error) => tracing::warn!(%partition, "whether to bang is not known: {error}"),
    }
}

/// Returns how often the kernel has killed something of a partition for want of memory since its slice was made; nothing is counted where
/// nothing limits memory.
fn kills(paths: &Paths, partition: PartitionName) -> u64 {
    let events = paths.cgroups.join(slice(partition)).join("memory.events");
    let text = std::fs::read_to_string(events).unwrap_or_default();
    let mut lines = text.lines();
    let count = lines.find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// Says whether this is the first bang since the instance was processed, and notes it.
fn may_bang(
    paths: &Paths,
    partition: PartitionName,
    program: &ProgramName,
) -> std::io::Result<bool> {
    let inside = Inside::open(&paths.partition(partition))?;
    if is_task(&inside, program)? {
        return Ok(false);
    }
    let text = |path| -> std::io::Result<Option<Vec<u8>>> { inside.read(path, LONGEST) };
    let (processed, last) = (text(TIMESTAMP)?, text(LAST_BANG)?);
    let is_first = match (&processed, &last) {
        (_, None) => true,
        (Some(processed), Some(last)) => processed != last,
        // It has banged, and was not processed since.
        (None, Some(_)) => false,
    };
    if is_first {
        let note = processed.unwrap_or_else(|| NEVER.into());
        inside.replace(LAST_BANG, &note, Ownership::of_root(0o644))?;
    }
    Ok(is_first)
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    #[test]
    fn an_instance_bangs_once_for_each_time_it_was_processed() {
        let keep = tempfile::tempdir().unwrap();
        let instances = Utf8PathBuf::from_path_buf(keep.path().to_owned()).unwrap();
        let (partition, web) = (PartitionName::new(0), ProgramName::new("web").unwrap());
        let folder = instances.join("slappart0");
        std::fs::create_dir_all(folder.join("etc/service")).unwrap();
        std::fs::create_dir_all(folder.join("etc/run")).unwrap();
        let put = |path: &str, text: &str| {
            let mut file = std::fs::File::create(folder.join(path)).unwrap();
            std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        };
        put(LAST_BANG, "1");
        put(TIMESTAMP, "1");
        let paths = Paths {
            instances,
            ..Paths::default()
        };
        let bangs = || may_bang(&paths, partition, &web).unwrap();
        assert!(!bangs());
        put(TIMESTAMP, "2");
        // A file of root's own can be made by root only.
        if nix::unistd::geteuid().is_root() {
            assert!(bangs());
            assert!(!bangs());
        }
        std::fs::remove_file(folder.join(TIMESTAMP)).unwrap();
        assert!(!bangs());
        put("etc/run/web", "");
        put(TIMESTAMP, "3");
        assert!(!bangs());
    }

    #[test]
    fn kills_are_counted_where_memory_is() {
        let keep = tempfile::tempdir().unwrap();
        let cgroups = Utf8PathBuf::from_path_buf(keep.path().to_owned()).unwrap();
        let paths = Paths {
            cgroups: cgroups.clone(),
            ..Paths::default()
        };
        let partition = PartitionName::new(0);
        assert_eq!(kills(&paths, partition), 0);
        let folder = cgroups.join("slappart0.slice");
        std::fs::create_dir(&folder).unwrap();
        let mut file = std::fs::File::create(folder.join("memory.events")).unwrap();
        let text = "low 0\nhigh 0\nmax 31\noom 2\noom_kill 2\noom_group_kill 0\n";
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        assert_eq!(kills(&paths, partition), 2);
    }
}
