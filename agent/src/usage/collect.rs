//! What a partition says that it used: the files of its `var/xml_report`, read as what they are, written by somebody who may lie.

use std::collections::BTreeSet;
use std::io;

use slap::Consumption;
use slap::usage::Movement;

use super::journal::of_partition;
use super::outbox::Consumed;
use crate::causes::in_one_line;
use crate::desired::PartitionName;
use crate::inside::{Inside, Kind};

/// Where a partition says what it used.
pub(super) const FOLDER: &str = "var/xml_report";
/// A movement has about 300 bytes.
const LONGEST_FILE: u64 = 64 * 1024;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) movements: Vec<Movement>,
    /// The files that it was read from.
    pub(super) consumes: BTreeSet<Consumed>,
    /// What cannot be used and stays where it is, in words.
    pub(super) refused: Vec<(PartitionName, String)>,
    /// Whether there was no room for some.
    pub(super) more: bool,
    size: usize,
}

impl Collected {
    /// Takes what a partition says beside what is on its way already, as long as all fits into `room` bytes.
    pub(super) fn take(
        &mut self,
        partition: PartitionName,
        inside: &Inside,
        on_their_way: &BTreeSet<Consumed>,
        room: usize,
    ) {
        let listed = match inside.list(FOLDER) {
            Ok(listed) => listed,
            Err(error) => return self.refuse(partition, FOLDER, &error),
        };
        // Hidden files are what is not finished yet.
        let files = listed
            .into_iter()
            .filter(|(name, kind)| *kind == Kind::File && !name.starts_with('.'));
        for (name, _) in files {
            let path = format!("{FOLDER}/{name}");
            match inside.read_marked(&path, LONGEST_FILE) {
                Ok(None) => {}
                Ok(Some((content, mark))) => {
                    let file = Consumed {
                        partition,
                        path,
                        mark,
                    };
                    if !on_their_way.contains(&file) {
                        self.read(file, &content, room);
                    }
                }
                Err(error) => self.refuse(partition, &path, &error),
            }
        }
    }

    fn read(&mut self, file: Consumed, content: &[u8], room: usize) {
        let said = match parse(content) {
            Ok(said) => said,
            Err(error) => return self.refuse(file.partition, &file.path, error.as_ref()),
        };
        let size = said.to_xml().len();
        if self.size + size > room {
            self.more = true;
            return;
        }
        self.size += size;
        let movements = said.movements.into_iter();
        self.movements
            .extend(movements.map(|movement| of_partition(file.partition, movement)));
        self.consumes.insert(file);
    }

    fn refuse(
        &mut self,
        partition: PartitionName,
        path: &str,
        error: &(dyn std::error::Error + 'static),
    ) {
        let words = format!(
            "`{path}` cannot be accounted and stays there: {}",
            in_one_line(error)
        );
        self.refused.push((partition, words));
    }
}

fn parse(content: &[u8]) -> Result<Consumption, Box<dyn std::error::Error>> {
    let text = str::from_utf8(content).map_err(|_| io::Error::other("it is no text"))?;
    Ok(Consumption::from_xml(text)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use camino::Utf8PathBuf;

    use super::*;

    const ROOM: usize = 1024 * 1024;

    fn partition() -> (tempfile::TempDir, Utf8PathBuf, Inside) {
        let keep = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(keep.path().to_owned()).unwrap();
        std::fs::create_dir_all(path.join(FOLDER)).unwrap();
        let inside = Inside::open(&path).unwrap();
        (keep, path, inside)
    }

    fn put(path: &Utf8PathBuf, name: &str, content: &[u8]) {
        crate::disk::replace(&path.join(FOLDER).join(name), content).unwrap();
    }

    fn report(resource: &str) -> String {
        format!(
            "<consumption><movement><resource>{resource}</resource><quantity>1</quantity><price>0</price><VAT/></movement></consumption>"
        )
    }

    fn collect(inside: &Inside, on_their_way: &BTreeSet<Consumed>, room: usize) -> Collected {
        let mut collected = Collected::default();
        collected.take(PartitionName::new(3), inside, on_their_way, room);
        collected
    }

    fn resources(collected: &Collected) -> Vec<&str> {
        let movements = collected.movements.iter();
        movements.map(|it| it.resource.as_str()).collect()
    }

    #[test]
    fn files_are_read_once_and_again_when_they_are_others() {
        let (_keep, path, inside) = partition();
        put(&path, "slapreport.1", report("one").as_bytes());
        put(&path, "two.xml", report("two").as_bytes());
        put(&path, ".three.part", report("three").as_bytes());
        let first = collect(&inside, &BTreeSet::new(), ROOM);
        assert_eq!(resources(&first), ["one", "two"]);
        assert_eq!(first.movements[0].reference.as_deref(), Some("slappart3"));
        assert!(!first.more);
        assert_eq!(resources(&collect(&inside, &first.consumes, ROOM)), [""; 0]);
        put(&path, "two.xml", report("two").as_bytes());
        assert_eq!(resources(&collect(&inside, &first.consumes, ROOM)), ["two"]);
    }

    #[test]
    fn what_does_not_fit_waits() {
        let (_keep, path, inside) = partition();
        put(&path, "a", report("one").as_bytes());
        put(&path, "b", report("two").as_bytes());
        let first = collect(&inside, &BTreeSet::new(), 250);
        assert_eq!((resources(&first), first.more), (vec!["one"], true));
        let second = collect(&inside, &first.consumes, 250);
        assert_eq!((resources(&second), second.more), (vec!["two"], false));
    }

    #[test]
    fn what_misleads_is_left_and_said_in_words() {
        let (keep, path, inside) = partition();
        put(&path, "binary", b"\xff\xfe");
        put(&path, "empty", b"");
        put(&path, "long", &vec![b' '; 70_000]);
        put(&path, "other", b"<journal/>");
        symlink("/etc/passwd", path.join(FOLDER).join("link")).unwrap();
        let found = collect(&inside, &BTreeSet::new(), ROOM);
        assert_eq!(found.movements, []);
        let words: Vec<_> = found.refused.iter().map(|it| it.1.as_str()).collect();
        assert_eq!(
            words,
            [
                "`var/xml_report/binary` cannot be accounted and stays there: it is no text",
                "`var/xml_report/empty` cannot be accounted and stays there: the usage report has no `<consumption>` where one must be, in `<document>`: found its end",
                "`var/xml_report/long` cannot be accounted and stays there: `var/xml_report/long` is longer than 65536 bytes",
                "`var/xml_report/other` cannot be accounted and stays there: the usage report has no `<consumption>` where one must be, in `<document>`: found `<journal>`",
            ]
        );
        assert!(path.join(FOLDER).join("binary").exists());

        std::fs::remove_dir_all(path.join(FOLDER)).unwrap();
        symlink(keep.path().parent().unwrap(), path.join(FOLDER)).unwrap();
        let found = collect(&inside, &BTreeSet::new(), ROOM);
        assert!(
            found.refused[0]
                .1
                .starts_with("`var/xml_report` cannot be accounted"),
            "{found:?}"
        );
    }
}
