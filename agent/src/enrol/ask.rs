//! The I/O of enrolment: asks the master with the box's key and token until it is let in or refused.

use std::time::Duration;

use slap::JoinBlob;
use slap::client::{self, CallError, Client, SetupError};
use slap::v1::{EnrolReply, EnrolRequest, Inventory, Wanted};
use tokio::time::sleep;

use super::{Answer, Progress, Step, Trouble};
use crate::causes;
use crate::identity::Key;
use crate::master::{self, TimeSource};
use crate::places::Places;
use crate::status::{Board, Enrolment};
use crate::world::World;

/// Everything that asking takes.
#[derive(Debug)]
pub struct Applicant<'a> {
    /// Where things are.
    pub places: &'a Places,
    /// Where it is said how it goes.
    pub board: &'a Board,
    /// The box's key.
    pub key: &'a Key,
    /// Whom to ask, and with which token.
    pub join: &'a JoinBlob,
    /// Proxy for outgoing https.
    pub proxy: Option<String>,
    /// What the machine is.
    pub inventory: Inventory,
    /// Time and chance.
    pub world: World,
}

/// What the master gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// `COMP-2`.
    pub reference: String,
    /// In PEM.
    pub certificate: String,
    /// In PEM.
    pub ca: String,
}

/// How asking ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The box is let in.
    Admitted(Admitted),
    /// Only another document can help.
    Refused,
}

/// Asks until there is an outcome; shows on the board how it goes.
pub async fn enrol(applicant: &Applicant<'_>) -> Outcome {
    let show = |shown| applicant.board.update(|status| status.enrolment = shown);
    show(Enrolment::Enrolling { reason: None });
    let (client, time) = match applicant.clients() {
        Ok(clients) => clients,
        Err(error) => {
            let reason = causes::in_one_line(&error);
            show(Enrolment::Refused { reason });
            return Outcome::Refused;
        }
    };
    let mut progress = Progress::default();
    let mut time_is_known = false;
    loop {
        let answer = match prepare(&time, &mut time_is_known).await {
            Ok(()) => applicant.ask(&client).await,
            Err(error) => answer_to(error),
        };
        log(&answer);
        match progress.after(answer, (applicant.world.chance)()) {
            Step::Ask { after, shown } => {
                show(shown);
                sleep(after).await;
            }
            Step::TakeTime => time_is_known = false,
            Step::Keep {
                reference,
                certificate,
                ca,
            } => {
                return Outcome::Admitted(Admitted {
                    reference,
                    certificate,
                    ca,
                });
            }
            Step::WaitForDocument { shown } => {
                show(shown);
                return Outcome::Refused;
            }
        }
    }
}

/// Takes the signed time once: before anything is signed or believed by a clock that nobody has set.
async fn prepare(time: &TimeSource, is_known: &mut bool) -> Result<(), CallError> {
    if !*is_known || !time.is_possible() {
        time.keep().await?;
        *is_known = true;
    }
    Ok(())
}

impl Applicant<'_> {
    /// Who is asked to be let in, and who is asked for the time.
    fn clients(&self) -> Result<(Client, TimeSource), SetupError> {
        let settings = client::Settings {
            proxy: self.proxy.clone(),
            timeout: Duration::from_secs(30),
            ..client::Settings::joining(self.join)
        };
        let time = TimeSource::new(&settings, self.places.clone(), self.world)?;
        Ok((Client::new(&settings)?, time))
    }

    async fn ask(&self, client: &Client) -> Answer {
        let other = |reason: String| Answer::Trouble(Trouble::Other { reason });
        let csr = match self.key.request() {
            Ok(csr) => csr,
            Err(error) => return other(error.to_string()),
        };
        let request = EnrolRequest {
            token: self.join.token.clone(),
            csr,
            wanted: Some(Wanted::Node),
            inventory: self.inventory.clone(),
        };
        match client.enrol(&request).await {
            Ok(EnrolReply::Enrolled {
                reference,
                certificate,
                ca,
            }) => Answer::Enrolled {
                reference,
                certificate,
                ca,
            },
            Ok(EnrolReply::Pending {
                retry_after_seconds,
                ..
            }) => Answer::Pending {
                after: Duration::from_secs(retry_after_seconds),
            },
            Err(error) => answer_to(error),
        }
    }
}

/// What a failed call means.
fn answer_to(error: CallError) -> Answer {
    match (master::code_of(&error), &error) {
        (Some("token_refused"), _) => Answer::Refused {
            reason: "the master refused the token: it is unknown, expired or used".to_owned(),
        },
        (Some("token_of_other_kind"), _) => Answer::Refused {
            reason: master::reason(&error),
        },
        (Some("revoked"), _) => Answer::Refused {
            reason: "the master has revoked this box: reset it and bring a new token".to_owned(),
        },
        (
            _,
            CallError::TlsRefused {
                refusal: client::TlsRefusal::Expired | client::TlsRefusal::NotYetValid,
                ..
            },
        ) => Answer::Trouble(Trouble::Clock {
            reason: master::reason(&error),
        }),
        _ => Answer::Trouble(Trouble::Other {
            reason: master::reason(&error),
        }),
    }
}

fn log(answer: &Answer) {
    match answer {
        Answer::Enrolled { reference, .. } => tracing::info!("enrolled as {reference}"),
        Answer::Pending { .. } => tracing::info!("waiting for an operator's approval"),
        Answer::Refused { reason } => tracing::error!("{reason}"),
        Answer::Trouble(Trouble::Clock { reason } | Trouble::Other { reason }) => {
            tracing::warn!("not enrolled yet: {reason}");
        }
    }
}
