//! What instances request of others, asked for in their name, as the original's library does inside of a partition.

use std::sync::Arc;

use slap::client::{self, CallError, Client};
use slap::forms::{InstanceForm, RequestForm};
use slap::{PartitionId, SoftwareInstance};

use super::{Master, words};
use crate::instances::answers::{Answer, Asking, Refusal};
use crate::instances::wishes::Wish;

impl Master {
    /// Requests all that an instance requests; answers or refusals come in the same order. Once nobody answers, nobody is asked again.
    pub async fn request_all(&self, asking: Asking) -> Vec<Result<Answer, Refusal>> {
        let client = match self.client_of(&asking) {
            Ok(client) => client,
            Err(why) => return vec![Err(Refusal::Unknown(why)); asking.wishes.len()],
        };
        let requester = InstanceForm {
            computer: self.computer.clone(),
            partition: PartitionId::indexed(asking.partition.index()),
        };
        let mut away = None;
        let mut answers = Vec::new();
        for wish in &asking.wishes {
            let answer = match &away {
                Some(why) => Err(Refusal::Unknown(String::clone(why))),
                None => {
                    let form = form(wish, &requester, asking.software.as_str());
                    let answer = self.request(&client, &form).await;
                    away = answer
                        .as_ref()
                        .err()
                        .filter(|it| is_away(it))
                        .map(words::reason);
                    answer.map(answered).map_err(refused)
                }
            };
            answers.push(answer);
        }
        answers
    }

    /// Who calls is the instance, where instances have certificates.
    fn client_of(&self, asking: &Asking) -> Result<Arc<Client>, String> {
        let Some(identity) = &asking.identity else {
            return Ok(self.client());
        };
        let settings = client::Settings {
            identity: Some(identity.clone()),
            ..self.settings()
        };
        match Client::new(&settings) {
            Ok(client) => Ok(Arc::new(client)),
            Err(error) => Err(crate::causes::in_one_line(&error)),
        }
    }

    async fn request(
        &self,
        client: &Client,
        form: &RequestForm,
    ) -> Result<SoftwareInstance, CallError> {
        match client.request(form).await {
            Err(error) if words::is_clock(&error) => {
                self.keep_time().await?;
                client.request(form).await
            }
            other => other,
        }
    }
}

fn form(wish: &Wish, requester: &InstanceForm, own_release: &str) -> RequestForm {
    let release = wish.software_release_url.as_deref().unwrap_or(own_release);
    RequestForm {
        requester: Some(requester.clone()),
        software_url: release.to_owned(),
        software_type: wish.software_type.clone(),
        title: wish.title.clone(),
        shared: wish.shared,
        parameters: wish.parameters.clone(),
        filter: wish.filter.clone(),
        state: Some(wish.state),
        project: None,
    }
}

fn answered(instance: SoftwareInstance) -> Answer {
    Answer {
        ready: true,
        reference: instance.guid.map(|guid| guid.to_string()),
        state: instance.requested_state,
        computer: Some(instance.computer.to_string()),
        partition: Some(instance.partition.to_string()),
        connection: instance.connection,
    }
}

fn refused(error: CallError) -> Refusal {
    if let CallError::NotReady(api) = error {
        return Refusal::NotReady(format!("the master says: {}", api.message));
    }
    if let CallError::NotFound(api) = error {
        // So a master of another make says that it has no free partition, or nothing to share.
        return Refusal::Unknown(format!("the master has no place for it: {}", api.message));
    }
    Refusal::Unknown(words::reason(&error))
}

/// Whether the next call would fail as this one did.
fn is_away(error: &CallError) -> bool {
    match error {
        CallError::Unreachable { .. } | CallError::TlsRefused { .. } => true,
        CallError::NotReady(_)
        | CallError::Forbidden(_)
        | CallError::NotFound(_)
        | CallError::Status { .. }
        | CallError::Cut(_)
        | CallError::TooLong(_)
        | CallError::BadAnswer { .. }
        | CallError::BadTimeSignature
        | CallError::OtherCa => false,
    }
}
