//! Redirections made and ended.

use camino::Utf8Path;

use super::{ApplyError, Hands};
use crate::instances::redirect::{CARRIES_UDP, RedirectError, Transport, asked};
use crate::instances::units::UnitName;
use crate::observed::ProgramName;

impl Hands<'_> {
    pub(super) async fn redirect(&self, name: &ProgramName) -> Result<(), ApplyError> {
        let mut all = asked(&self.inside()?, self.instance).map_err(ApplyError::Redirect)?;
        let redirect = all.remove(name);
        let redirect = redirect.ok_or_else(|| ApplyError::ProgramGone(name.clone()))?;
        let (service, socket) = self.redirect_units(name);
        let carries = redirect.service(self.place);
        let made = match redirect.transport {
            Transport::Tcp => {
                let listens = redirect.socket(self.place);
                self.systemd
                    .start_socket(&socket, &listens, (&service, &carries))
                    .await
            }
            Transport::Udp if !Utf8Path::new(CARRIES_UDP).exists() => {
                return Err(ApplyError::Redirect(RedirectError::NoSocat));
            }
            Transport::Udp => self.systemd.start(&service, &carries).await,
        };
        made.map_err(|source| {
            let redirect = Box::new(redirect);
            ApplyError::Redirect(RedirectError::Start { redirect, source })
        })
    }

    /// Not only no new connections: those that there are end, too.
    pub(super) async fn end_redirect(&self, name: &ProgramName) -> Result<(), ApplyError> {
        let (service, socket) = self.redirect_units(name);
        self.stop(&socket).await?;
        self.stop(&service).await
    }

    fn redirect_units(&self, name: &ProgramName) -> (String, String) {
        let partition = self.place.partition;
        (
            UnitName::Redirect(partition, name.clone()).to_string(),
            UnitName::RedirectSocket(partition, name.clone()).to_string(),
        )
    }
}
