//! What is measured of an overlay, what of it has a goal, and how two overlays compare. Pure.

use std::collections::BTreeMap;

use super::world::Wait;
use crate::figures::Figure;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// So many nodes start at once, until each reaches each.
    Start(u16),
    /// One more starts, until it and each reach each other.
    Join,
    /// The longest time that one did not reach another after a link was cut.
    Cut,
    /// The same among those that are left after a node died.
    Crash,
    /// What a connection between two sites carries without an overlay.
    Raw,
    /// What a connection between two neighbours carries.
    Tunnel,
    /// All memory of a node's daemons.
    Rss,
    /// Their own memory and their parts of what they share.
    Pss,
    /// Processor time of nodes that have nothing to do.
    Cpu,
    /// Of that their babeld.
    CpuOfBabeld,
    /// What they say to each other.
    Traffic,
}

/// What was measured of one overlay.
#[derive(Debug)]
pub(super) struct Measured {
    name: &'static str,
    has_goals: bool,
    values: BTreeMap<What, f64>,
}

impl What {
    fn label(self) -> String {
        match self {
            Self::Start(count) => format!("{count} nodes reach each other"),
            Self::Join => "a new node joins 9".to_owned(),
            Self::Cut => "longest outage after a cut link".to_owned(),
            Self::Crash => "longest outage after a dead node".to_owned(),
            Self::Raw => "throughput without it".to_owned(),
            Self::Tunnel => "throughput of a tunnel".to_owned(),
            Self::Rss => "memory of a node's daemons".to_owned(),
            Self::Pss => "memory, shared parts divided".to_owned(),
            Self::Cpu => "processor time of 10 idle nodes".to_owned(),
            Self::CpuOfBabeld => "of that their babeld".to_owned(),
            Self::Traffic => "traffic of 10 idle nodes".to_owned(),
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Start(_) | Self::Join | Self::Cut | Self::Crash => "s",
            Self::Raw | Self::Tunnel => "Mb/s",
            Self::Rss | Self::Pss => "MB",
            Self::Cpu | Self::CpuOfBabeld => "%",
            Self::Traffic => "kB/s",
        }
    }

    /// The most that it may be.
    fn goal(self) -> Option<f64> {
        match self {
            Self::Start(10) => Some(4.0),
            Self::Join | Self::Crash => Some(3.0),
            Self::Cut => Some(2.0),
            Self::Rss => Some(20.0),
            Self::Start(_)
            | Self::Raw
            | Self::Tunnel
            | Self::Pss
            | Self::Cpu
            | Self::CpuOfBabeld
            | Self::Traffic => None,
        }
    }

    fn of_the_other(self, ratio: f64) -> Option<Figure> {
        let name = format!("mesh: {}, ours of re6st's", self.label());
        match self {
            Self::Raw => None,
            Self::Tunnel => Some(Figure::at_least(4.0, &name, ratio, "")),
            Self::Start(_)
            | Self::Join
            | Self::Cut
            | Self::Crash
            | Self::Rss
            | Self::Pss
            | Self::Cpu
            | Self::CpuOfBabeld
            | Self::Traffic => Some(Figure::watched(&name, ratio, "")),
        }
    }
}

impl Measured {
    pub(super) fn of(name: &'static str, has_goals: bool) -> Self {
        Self {
            name,
            has_goals,
            values: BTreeMap::new(),
        }
    }

    /// Notes a value and returns its figure.
    pub(super) fn note(&mut self, what: What, value: f64) -> Figure {
        self.note_with(what, value, "")
    }

    /// The same of something that was waited for, perhaps in vain.
    pub(super) fn note_wait(&mut self, what: What, wait: &Wait) -> Figure {
        let remark = if wait.in_vain {
            ", NOT within this"
        } else {
            ""
        };
        self.note_with(what, wait.lasted.as_secs_f64(), remark)
    }

    fn note_with(&mut self, what: What, value: f64, remark: &str) -> Figure {
        self.values.insert(what, value);
        let name = format!("mesh, {}: {}{remark}", self.name, what.label());
        match what.goal().filter(|_| self.has_goals) {
            Some(goal) => Figure::at_most(goal, &name, value, what.unit()),
            None => Figure::watched(&name, value, what.unit()),
        }
    }

    /// How much of the other's each is.
    pub(super) fn beside(&self, other: &Self) -> Vec<Figure> {
        let both = self.values.iter().filter_map(|(&what, &value)| {
            let other = other.values.get(&what).copied().filter(|&it| it > 0.0)?;
            what.of_the_other(value / other)
        });
        both.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_ours_has_goals() {
        let (mut ours, mut theirs) = (Measured::of("ours", true), Measured::of("re6st", false));
        assert!(!ours.note(What::Cut, 2.5).ok);
        assert!(ours.note(What::Cut, 1.5).ok);
        assert_eq!(theirs.note(What::Cut, 18.0).goal, None);
        let beside = ours.beside(&theirs);
        assert_eq!(beside.len(), 1);
        assert!((beside[0].value - 1.5 / 18.0).abs() < 1e-9);
    }

    #[test]
    fn a_tunnel_must_be_four_times_as_fast() {
        let (mut ours, mut theirs) = (Measured::of("ours", true), Measured::of("re6st", false));
        for (measured, throughput) in [(&mut ours, 900.0), (&mut theirs, 250.0)] {
            measured.note(What::Raw, 9000.0);
            measured.note(What::Tunnel, throughput);
        }
        let beside = ours.beside(&theirs);
        assert_eq!(beside.len(), 1, "{beside:?}");
        assert!(!beside[0].ok && (beside[0].value - 3.6).abs() < 1e-9);
    }

    #[test]
    fn what_was_waited_for_in_vain_says_so() {
        let wait = Wait {
            lasted: Duration::from_secs(200),
            in_vain: true,
        };
        let figure = Measured::of("ours", true).note_wait(What::Start(10), &wait);
        assert!(figure.name.ends_with("NOT within this") && !figure.ok);
    }
}
