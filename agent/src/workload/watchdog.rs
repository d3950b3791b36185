//! Notices services that end by themselves. systemd starts them again; the instance's tree hears of it, once for each time that the
//! instance was processed, as with the peer's watchdog.

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::crew::Crew;
use super::{Paths, Report};
use crate::causes::in_one_line;
use crate::desired::PartitionName;
use crate::inside::{Inside, Ownership};
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
    let now = Instant::now();
    let is_news = crew
        .memory()
        .of(partition)
        .restarted(program.clone(), restarts, now);
    if !is_news {
        return;
    }
    tracing::warn!(%partition, "{program} has ended and was started again");
    match may_bang(paths, partition, &program) {
        Ok(true) => {
            // In the peer's words.
            let message =
                format!("{program} process in partition {partition} encountered a problem");
            let _ = reports.send(Report::Bang { partition, message }).await;
        }
        Ok(false) => {}
        Err(error) => tracing::warn!(%partition, "whether to bang is not known: {error}"),
    }
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
}
