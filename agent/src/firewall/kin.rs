//! The addresses of an instance's tree, which always reach it, asked of the master.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use crate::desired::PartitionName;

/// Asks the master for the addresses of a partition's tree; what goes wrong comes as words.
#[derive(Clone)]
pub struct Kin(Arc<Ask>);

type Ask = dyn Fn(PartitionName) -> Asked + Send + Sync;
type Asked = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, String>> + Send>>;

impl Kin {
    /// Calls `ask` each time.
    pub fn new<F>(ask: impl Fn(PartitionName) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Vec<IpAddr>, String>> + Send + 'static,
    {
        Self(Arc::new(move |partition| Box::pin(ask(partition))))
    }

    /// Asks.
    pub async fn addresses(&self, partition: PartitionName) -> Result<Vec<IpAddr>, String> {
        (self.0)(partition).await
    }
}

impl fmt::Debug for Kin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kin")
    }
}
