//! Enrolment: what to do next after each answer of the master. Pure here, without clock or chance; `ask` does the I/O.

mod ask;
mod renew;
mod retry;

use std::time::Duration;

use crate::status::Enrolment;

pub use ask::{Admitted, Applicant, Outcome, enrol};
pub use renew::renew;
pub use retry::{Retry, pause};

/// What became of asking the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It let the box in.
    Enrolled {
        /// `COMP-2`.
        reference: String,
        /// In PEM.
        certificate: String,
        /// In PEM.
        ca: String,
    },
    /// An operator has to approve.
    Pending {
        /// When to ask again.
        after: Duration,
    },
    /// It does not want the token, or the box.
    Refused {
        /// Why, in words.
        reason: String,
    },
    /// There was no answer that counts.
    Trouble(Trouble),
}

/// Why there was no answer that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// A certificate does not count at the time that the box has.
    Clock {
        /// In words.
        reason: String,
    },
    /// Anything else: the box keeps trying.
    Other {
        /// In words.
        reason: String,
    },
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Ask after a while, with the same key and token.
    Ask {
        /// How long to wait.
        after: Duration,
        /// What to show until then.
        shown: Enrolment,
    },
    /// Take the time that the CA signs, then ask.
    TakeTime,
    /// Keep the identity.
    Keep {
        /// `COMP-2`.
        reference: String,
        /// In PEM.
        certificate: String,
        /// In PEM.
        ca: String,
    },
    /// Wait for another document: this one leads nowhere.
    WaitForDocument {
        /// What to show until then.
        shown: Enrolment,
    },
}

/// How often the box has tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    failures: u32,
    took_time: bool,
}

impl Progress {
    /// Decides what to do after an answer. `chance` is between 0 and 1.
    pub fn after(&mut self, answer: Answer, chance: f64) -> Step {
        match answer {
            Answer::Enrolled {
                reference,
                certificate,
                ca,
            } => Step::Keep {
                reference,
                certificate,
                ca,
            },
            Answer::Pending { after } => {
                self.failures = 0;
                let after = after.clamp(Duration::from_secs(1), Duration::from_secs(60));
                Step::Ask {
                    after,
                    shown: Enrolment::Pending,
                }
            }
            Answer::Refused { reason } => Step::WaitForDocument {
                shown: Enrolment::Refused { reason },
            },
            Answer::Trouble(Trouble::Clock { .. }) if !self.took_time => {
                self.took_time = true;
                Step::TakeTime
            }
            Answer::Trouble(Trouble::Clock { reason } | Trouble::Other { reason }) => {
                let after = pause(self.failures, chance);
                self.failures = self.failures.saturating_add(1);
                self.took_time = false;
                Step::Ask {
                    after,
                    shown: Enrolment::Enrolling {
                        reason: Some(reason),
                    },
                }
            }
        }
    }
}

/// What to do about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// Nothing yet.
    NotYet,
    /// Half of its life is over.
    Due,
    /// It counts no more.
    Expired,
}

/// Whether a certificate is to be renewed at `now`.
pub fn renewal(certificate: &crate::identity::Certificate, now: i64) -> Renewal {
    if now > certificate.not_after {
        Renewal::Expired
    } else if now >= certificate.half_life() {
        Renewal::Due
    } else {
        Renewal::NotYet
    }
}

#[cfg(test)]
mod tests;
