//! The port through which the node changes its machine, and the real one behind it.

use std::time::SystemTime;

use slapbox_overlay::babel::{self, Babel};
use slapbox_overlay::links::{self, Desired, Observed, Outcome};

/// A machine that can have links; tests have another.
pub trait Machine: Sync {
    /// Makes the links as desired, and says how they were.
    fn links(
        &self,
        desired: &Desired,
    ) -> impl Future<Output = Result<Outcome, links::Error>> + Send;

    /// Says how links are that were `seen` before and that nobody has changed since.
    fn look_again(
        &self,
        seen: &Observed,
    ) -> impl Future<Output = Result<Observed, links::Error>> + Send;

    /// Makes a running babeld speak as desired; says whether one runs.
    fn babel(&self, babel: &Babel) -> impl Future<Output = Result<bool, babel::Error>> + Send;

    /// Ends a running babeld, whose supervisor starts it anew.
    fn restart_babel(&self, babel: &Babel)
    -> impl Future<Output = Result<(), babel::Error>> + Send;
}

/// This machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Linux;

impl Machine for Linux {
    async fn links(&self, desired: &Desired) -> Result<Outcome, links::Error> {
        links::reconcile(desired, SystemTime::now()).await
    }

    async fn look_again(&self, seen: &Observed) -> Result<Observed, links::Error> {
        links::look_again(seen, SystemTime::now()).await
    }

    async fn babel(&self, babel: &Babel) -> Result<bool, babel::Error> {
        Ok(babel::reconcile(babel).await?.is_some())
    }

    async fn restart_babel(&self, babel: &Babel) -> Result<(), babel::Error> {
        babel::stop(babel.socket.as_ref()).await
    }
}
