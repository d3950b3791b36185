//! The certificate by which an instance is known to its master: the master makes it with its key, which the instance's own user alone can
//! read; the node fetches another one when half of its life is over.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use slap::client::{Identity, InstanceCertificate};

use crate::desired::PartitionName;
use crate::identity::Certificate;
use crate::inside::{Inside, Ownership};
use crate::partitions::users::Ids;

/// Where certificate and key are, in the partition's directory.
const CERTIFICATE: &str = ".slapgrid/master.crt";
const KEY: &str = ".slapgrid/master.key";
const LONGEST: u64 = 64 * 1024;

/// Fetches an instance's certificate from the master; what goes wrong comes as words.
#[derive(Clone)]
pub struct Issuer(Arc<Issue>);

type Issue = dyn Fn(PartitionName) -> Issued + Send + Sync;
type Issued = Pin<Box<dyn Future<Output = Result<InstanceCertificate, String>> + Send>>;

impl Issuer {
    /// Calls `issue` for each certificate.
    pub fn new<F>(issue: impl Fn(PartitionName) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<InstanceCertificate, String>> + Send + 'static,
    {
        Self(Arc::new(move |partition| Box::pin(issue(partition))))
    }

    /// Asks for one.
    pub async fn issue(&self, partition: PartitionName) -> Result<InstanceCertificate, String> {
        (self.0)(partition).await
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issuer")
    }
}

/// Returns where an instance finds its certificate and its key.
pub fn paths(folder: &Utf8Path) -> (Utf8PathBuf, Utf8PathBuf) {
    (folder.join(CERTIFICATE), folder.join(KEY))
}

/// Returns whether the instance has a certificate that will do for a while, at `now` in seconds since 1970.
pub fn is_good(inside: &Inside, now: i64) -> io::Result<bool> {
    let Some(pem) = inside.read(CERTIFICATE, LONGEST)? else {
        return Ok(false);
    };
    if inside.read(KEY, LONGEST)?.is_none() {
        return Ok(false);
    }
    let pem = String::from_utf8(pem).unwrap_or_default();
    Ok(Certificate::parse(pem).is_ok_and(|it| it.not_before <= now && now < it.half_life()))
}

/// Returns by what the instance shows its master who it is, as far as it has that.
pub fn load(inside: &Inside) -> io::Result<Option<Identity>> {
    let read = |path| Ok::<_, io::Error>(inside.read(path, LONGEST)?.map(String::from_utf8));
    let (Some(Ok(certificate_pem)), Some(Ok(key_pem))) = (read(CERTIFICATE)?, read(KEY)?) else {
        return Ok(None);
    };
    Ok(Some(Identity {
        certificate_pem,
        key_pem,
    }))
}

/// Gives the instance its certificate. The key comes first: an old certificate with a new key is noticed, and mended, at once.
pub fn store(inside: &Inside, ids: Ids, issued: &InstanceCertificate) -> io::Result<()> {
    inside.folder(".slapgrid", Ownership::of_partition(ids, 0o750))?;
    let own = Ownership::of_partition(ids, 0o400);
    inside.remove(CERTIFICATE)?;
    inside.replace(KEY, issued.key.as_bytes(), own)?;
    inside.replace(CERTIFICATE, issued.certificate.as_bytes(), own)
}
