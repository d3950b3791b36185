//! The part of the document about what each partition may use at most.

use serde::Deserialize;
use toml::Spanned;

use super::mistake::Mistake;
use crate::instances::limits::{Most, micros, size};

/// What the document says about what each partition may use at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ceiling {
    /// Bytes.
    pub memory: Option<u64>,
    /// Microseconds of processors in each second.
    pub processors: Option<u64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
    /// Bytes of the node's disk.
    pub disk: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    memory: Option<Spanned<String>>,
    cpus: Option<Spanned<f64>>,
    tasks: Option<Spanned<i64>>,
    disk: Option<Spanned<String>>,
}

const LEAST_TASKS: i64 = 64;
/// As many as the kernel has numbers for.
const MOST_TASKS: i64 = 4_194_304;

impl Ceiling {
    /// Returns what one partition may use of a node with so many bytes of memory, whose disk has quotas or none.
    pub fn of_node(&self, memory: u64, disk_has_quotas: bool) -> Most {
        let most = Most::of_node(memory);
        Most {
            memory: self.memory.unwrap_or(most.memory),
            processors: self.processors,
            tasks: self.tasks.unwrap_or(most.tasks),
            disk: self.disk.filter(|_| disk_has_quotas),
            disk_has_quotas,
        }
    }
}

pub(super) fn check(text: &str, table: Option<Table>) -> Result<Ceiling, Mistake> {
    let Some(table) = table else {
        return Ok(Ceiling::default());
    };
    let bytes = |said: Spanned<String>, problem| {
        let remedy = "write a size of at least 16M, for example \"2G\"";
        let wrong = || Mistake::at(text, said.span().start, problem, remedy);
        size(said.get_ref()).ok_or_else(wrong)
    };
    let memory = table.memory.map(|it| bytes(it, "`memory` is no size"));
    let disk = table.disk.map(|it| bytes(it, "`disk` is no size"));
    let processors = table.cpus.map(|cpus| {
        let remedy = "write for example 1.5";
        let problem = "`cpus` is no number of processors";
        let wrong = || Mistake::at(text, cpus.span().start, problem, remedy);
        micros(*cpus.get_ref()).ok_or_else(wrong)
    });
    let tasks = table.tasks.map(|tasks| {
        let (number, at) = (*tasks.get_ref(), tasks.span().start);
        let fits = (LEAST_TASKS..=MOST_TASKS).contains(&number);
        let remedy = format!("write one from {LEAST_TASKS} to {MOST_TASKS}");
        let wrong = || Mistake::at(text, at, "the number is out of range", remedy);
        u64::try_from(number)
            .ok()
            .filter(|_| fits)
            .ok_or_else(wrong)
    });
    Ok(Ceiling {
        memory: memory.transpose()?,
        processors: processors.transpose()?,
        tasks: tasks.transpose()?,
        disk: disk.transpose()?,
    })
}
