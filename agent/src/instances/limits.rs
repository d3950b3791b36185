//! What an instance may use of its node: what its request asks for, and never more than the node gives to one. systemd has the
//! kernel hold it, for the partition as a whole; of the disk, quotas do. Pure.
//!
//! A request asks by parameters of a reserved name, which any master passes on; they are no part of the instance's configuration. Of the
//! conditions on where it may be (SLA), the two that size it count as well: `memory_size`, in bytes as our master has it, and `cpu_core`.

use std::collections::BTreeMap;
use std::fmt;

use crate::desired::Fingerprint;
use crate::systemd::{Property, property};

/// What a request asks for, by name, as it came.
pub type Asked = BTreeMap<String, String>;

/// What each partition may use at most, and does if its request asks for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// Bytes.
    pub memory: u64,
    /// Microseconds of processors in each second; nothing is as much as there is.
    pub processors: Option<u64>,
    /// Processes and threads.
    pub tasks: u64,
    /// Bytes of the node's disk; nothing is as much as there is.
    pub disk: Option<u64>,
    /// Whether the disk can hold anybody to that.
    pub disk_has_quotas: bool,
}

/// What an instance may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub most: Most,
    /// How it shares processors with others; 100 is as all do, less yields.
    pub processor_weight: u64,
    /// The same for disks.
    pub disk_weight: u64,
}

/// What a request asks for cannot be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    #[error("its parameter `{0}` limits nothing: there are {names}", names = NAMES.join(", "))]
    Unknown(String),
    #[error("its parameter `{name}` is `{value}`, and must be {rule}")]
    Value {
        name: &'static str,
        value: String,
        rule: &'static str,
    },
    #[error(
        "its parameter `{name}` asks for {value}, and an instance of this node may have {most}"
    )]
    TooMuch {
        name: &'static str,
        value: String,
        most: String,
    },
    #[error(
        "its parameter `{DISK}` asks for {0}, and the disk of this node has no quotas of users and projects, which would hold it to that"
    )]
    NoQuotas(String),
}

/// What names of parameters that limit begin with.
const RESERVED: &str = "SLAPOS_LIMIT_";
const MEMORY: &str = "SLAPOS_LIMIT_MEMORY";
const PROCESSORS: &str = "SLAPOS_LIMIT_CPUS";
const TASKS: &str = "SLAPOS_LIMIT_TASKS";
const DISK: &str = "SLAPOS_LIMIT_DISK";
const PROCESSOR_WEIGHT: &str = "SLAPOS_LIMIT_CPU_WEIGHT";
const DISK_WEIGHT: &str = "SLAPOS_LIMIT_IO_WEIGHT";
const NAMES: [&str; 6] = [
    MEMORY,
    PROCESSORS,
    TASKS,
    DISK,
    PROCESSOR_WEIGHT,
    DISK_WEIGHT,
];
/// Conditions that are sizes.
const MEMORY_CONDITION: &str = "memory_size";
const PROCESSORS_CONDITION: &str = "cpu_core";

/// Tasks that a partition has where nobody says.
pub const MOST_TASKS: u64 = 4096;
/// Below this nothing starts.
const LEAST_MEMORY: u64 = 16 << 20;
const LEAST_TASKS: u64 = 8;
/// The share of a node's memory that one partition cannot leave: the node lives on.
const PERCENT_OF_NODE: u64 = 90;
const SECOND: f64 = 1_000_000.0;
const MOST_PROCESSORS: f64 = 4096.0;
const EQUAL_WEIGHT: u64 = 100;

const SIZE_RULE: &str = "a size of at least 16M, such as 512M or 2G";
const PROCESSORS_RULE: &str = "a number of processors, such as 0.5 or 2";
const TASKS_RULE: &str = "a number of processes and threads, at least 8";
const WEIGHT_RULE: &str = "a number from 1 to 100, which is as all others have";

/// Takes what asks for limits out of a request's parameters, and adds what its conditions say.
pub fn asked(
    parameters: &mut BTreeMap<String, String>,
    filter: &BTreeMap<String, String>,
) -> Asked {
    let mut asked: Asked = parameters
        .extract_if(.., |name, _| name.starts_with(RESERVED))
        .collect();
    for name in [MEMORY_CONDITION, PROCESSORS_CONDITION] {
        asked.extend(
            filter
                .get_key_value(name)
                .map(|(name, value)| (name.clone(), value.clone())),
        );
    }
    asked
}

impl Most {
    /// Returns what one partition may use of a node with so many bytes of memory, where nobody says.
    pub fn of_node(memory: u64) -> Self {
        let memory = match memory {
            // Not known.
            0 => u64::MAX,
            memory => memory / 100 * PERCENT_OF_NODE,
        };
        Self {
            memory,
            ..Self::default()
        }
    }
}

impl Default for Most {
    fn default() -> Self {
        Self {
            memory: u64::MAX,
            processors: None,
            tasks: MOST_TASKS,
            disk: None,
            disk_has_quotas: false,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::of(Most::default())
    }
}

impl Limits {
    fn of(most: Most) -> Self {
        Self {
            most,
            processor_weight: EQUAL_WEIGHT,
            disk_weight: EQUAL_WEIGHT,
        }
    }

    /// Returns what an instance may use.
    ///
    /// # Errors
    ///
    /// A parameter that cannot be understood, or asks for more than there is. A condition is the master's to judge: one that is no number
    /// limits nothing, and one that asks for more gets what there is.
    pub fn understand(asked: &Asked, most: &Most) -> Result<Self, LimitsError> {
        if let Some(name) = asked.keys().find(|name| is_unknown(name)) {
            return Err(LimitsError::Unknown(name.clone()));
        }
        let condition = |name| {
            asked
                .get(name)
                .and_then(|text: &String| text.trim().parse().ok())
        };
        let mut limits = Self::of(*most);
        if let Some(bytes) = condition(MEMORY_CONDITION).and_then(whole) {
            limits.most.memory = most.memory.min(bytes.max(LEAST_MEMORY));
        }
        if let Some(micros) = condition(PROCESSORS_CONDITION).and_then(micros) {
            limits.most.processors = Some(most.processors.map_or(micros, |most| most.min(micros)));
        }
        let memory = taken(
            asked,
            MEMORY,
            SIZE_RULE,
            size,
            Some(most.memory),
            bytes_in_words,
        )?;
        let processors = taken(
            asked,
            PROCESSORS,
            PROCESSORS_RULE,
            processors,
            most.processors,
            processors_in_words,
        )?;
        let tasks = taken(asked, TASKS, TASKS_RULE, tasks, Some(most.tasks), |it| {
            it.to_string()
        })?;
        let disk = taken(asked, DISK, SIZE_RULE, size, most.disk, bytes_in_words)?;
        if disk.is_some() && !most.disk_has_quotas {
            return Err(LimitsError::NoQuotas(asked[DISK].clone()));
        }
        let weight = |name| taken(asked, name, WEIGHT_RULE, weight, None, |it| it.to_string());
        limits.most.memory = memory.unwrap_or(limits.most.memory);
        limits.most.processors = processors.or(limits.most.processors);
        limits.most.tasks = tasks.unwrap_or(limits.most.tasks);
        limits.most.disk = disk.or(limits.most.disk);
        limits.processor_weight = weight(PROCESSOR_WEIGHT)?.unwrap_or(EQUAL_WEIGHT);
        limits.disk_weight = weight(DISK_WEIGHT)?.unwrap_or(EQUAL_WEIGHT);
        Ok(limits)
    }

    /// Returns what has the kernel hold them for the partition as a whole.
    pub fn properties(&self) -> Vec<Property> {
        let mut all = self.of_one();
        all.extend([
            property("CPUWeight", self.processor_weight),
            property("IOWeight", self.disk_weight),
        ]);
        all
    }

    /// Returns what has the kernel hold them for one unit elsewhere.
    pub fn of_one(&self) -> Vec<Property> {
        vec![
            property("MemoryMax", self.most.memory),
            // systemd takes the highest number for no limit.
            property(
                "CPUQuotaPerSecUSec",
                self.most.processors.unwrap_or(u64::MAX),
            ),
            property("TasksMax", self.most.tasks),
        ]
    }

    /// Returns what tells from others what the partition's slice is held to; what the disk holds is not the slice's.
    pub fn fingerprint(&self) -> Fingerprint {
        let all = self.properties();
        let all: Vec<_> = all.iter().map(ToString::to_string).collect();
        Fingerprint::of(all.join("\n").as_bytes())
    }

    /// Returns how much memory it is, in words.
    pub fn memory_in_words(&self) -> String {
        bytes_in_words(self.most.memory)
    }

    /// Returns how much of the disk it is, in words, if it is not all.
    pub fn disk_in_words(&self) -> Option<String> {
        self.most.disk.map(bytes_in_words)
    }
}

fn is_unknown(name: &str) -> bool {
    name.starts_with(RESERVED) && !NAMES.contains(&name)
}

/// Reads a parameter, if it is there, and holds it against what there is.
fn taken(
    asked: &Asked,
    name: &'static str,
    rule: &'static str,
    read: fn(&str) -> Option<u64>,
    most: Option<u64>,
    words: fn(u64) -> String,
) -> Result<Option<u64>, LimitsError> {
    let Some(text) = asked.get(name) else {
        return Ok(None);
    };
    let wrong = || LimitsError::Value {
        name,
        value: text.clone(),
        rule,
    };
    let value = read(text.trim()).ok_or_else(wrong)?;
    match most {
        Some(most) if value > most => Err(LimitsError::TooMuch {
            name,
            value: text.clone(),
            most: words(most),
        }),
        Some(_) | None => Ok(Some(value)),
    }
}

/// Reads bytes: a whole number with `K`, `M`, `G` or `T` behind it, which are powers of 1024, or without.
pub fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(['K', 'M', 'G', 'T']);
    let shift = match &text[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    let number: u64 = digits.parse().ok()?;
    let bytes = number.checked_mul(1 << shift)?;
    (bytes >= LEAST_MEMORY).then_some(bytes)
}

fn processors(text: &str) -> Option<u64> {
    text.parse().ok().and_then(micros)
}

fn tasks(text: &str) -> Option<u64> {
    text.parse().ok().filter(|tasks| *tasks >= LEAST_TASKS)
}

fn weight(text: &str) -> Option<u64> {
    text.parse()
        .ok()
        .filter(|weight| (1..=EQUAL_WEIGHT).contains(weight))
}

/// Returns the microseconds in each second that so many processors have.
pub fn micros(processors: f64) -> Option<u64> {
    (0.01..=MOST_PROCESSORS)
        .contains(&processors)
        .then(|| whole(processors * SECOND))?
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is not negative, and what is too much for 64 bits is all that there is"
)]
fn whole(number: f64) -> Option<u64> {
    (number.is_finite() && number > 0.0).then_some(number as u64)
}

fn bytes_in_words(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[expect(clippy::cast_precision_loss, reason = "nobody has so many processors")]
fn processors_in_words(micros: u64) -> String {
    let processors = micros as f64 / SECOND;
    format!("{processors} of its processors")
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self.memory_in_words();
        write!(f, "{memory} of memory, {} tasks", self.most.tasks)?;
        if let Some(micros) = self.most.processors {
            write!(f, ", {}", processors_in_words(micros))?;
        }
        match self.disk_in_words() {
            Some(disk) => write!(f, ", {disk} of disk"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
