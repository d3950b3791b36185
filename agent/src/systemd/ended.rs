//! How a unit that ran has failed, in words; and that nothing is left of it.

use zbus_systemd::systemd1::ServiceProxy;

use super::{Systemd, SystemdError, is_no_such_unit};

impl Systemd {
    /// Returns why a service failed, and forgets it; nothing if it is gone.
    pub(super) async fn why(&self, unit: &str) -> Result<Option<String>, SystemdError> {
        let Some(service) = self.service(unit).await? else {
            return Ok(None);
        };
        let result = service.result().await.map_err(SystemdError::List)?;
        let status = service.exec_main_status().await;
        let status = status.map_err(SystemdError::List)?;
        self.forget(unit).await?;
        Ok(Some(words(&result, status)))
    }

    /// Has systemd forget a unit that failed.
    pub(super) async fn forget(&self, unit: &str) -> Result<(), SystemdError> {
        let manager = self.manager().await?;
        match manager.reset_failed_unit(unit.to_owned()).await {
            Err(error) if is_no_such_unit(&error) => Ok(()),
            forgotten => forgotten.map_err(|source| SystemdError::Stop {
                unit: unit.to_owned(),
                source,
            }),
        }
    }

    /// Returns the service of a unit, if it is there.
    pub(super) async fn service(
        &self,
        unit: &str,
    ) -> Result<Option<ServiceProxy<'_>>, SystemdError> {
        let manager = self.manager().await?;
        let path = match manager.get_unit(unit.to_owned()).await {
            Err(error) if is_no_such_unit(&error) => return Ok(None),
            path => path.map_err(SystemdError::List)?,
        };
        let service = ServiceProxy::builder(&self.connection)
            .cache_properties(zbus::proxy::CacheProperties::No)
            .path(path)
            .build()
            .await
            .map_err(SystemdError::Reach)?;
        Ok(Some(service))
    }
}

/// Says what systemd's word for a failure means; `status` is of a program that ended, or the signal that ended it.
fn words(result: &str, status: i32) -> String {
    match result {
        "exit-code" => format!("exit status {status}"),
        "signal" => format!("ended by signal {status}"),
        "core-dump" => format!("crashed by signal {status}"),
        "timeout" => "it took longer than it may".to_owned(),
        "oom-kill" => "the kernel killed it, since it used more memory than it may".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_said_in_words() {
        assert_eq!(words("exit-code", 3), "exit status 3");
        assert_eq!(words("signal", 9), "ended by signal 9");
        assert_eq!(words("timeout", 15), "it took longer than it may");
        assert!(words("oom-kill", 9).contains("more memory than it may"));
        assert_eq!(words("resources", 0), "resources");
    }
}
