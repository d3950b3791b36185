//! TLS of the server: its certificate renews itself while it runs, a client's is verified against the CA whenever one is given.
//! Who must give one is decided per route, never here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::UnixTime;
use rustls::server::{
    ClientHello, ResolvesServerCert, ServerSessionMemoryCache, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};
use tokio::sync::watch;

use crate::ca::{Authority, CaError, ServerCertificate};
use crate::clock::{Clock, Entropy, Moment};

/// A certificate is replaced when less than this is left of its 90 days.
const RENEWED_BEFORE_END: Duration = Duration::from_hours(30 * 24);
/// How often its dates are compared with the clock, which may jump.
const LOOKED_AT_EVERY: Duration = Duration::from_mins(1);

/// How many sessions may be resumed; each takes 4 KB.
const SESSIONS: usize = 32;

/// Why the server has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("failed to issue the server's certificate")]
    FailedIssue(#[source] CaError),
    #[error("failed to set up TLS")]
    FailedSetup(#[source] rustls::Error),
    #[error("failed to set up the check of client certificates")]
    FailedVerifier(#[source] rustls::server::VerifierBuilderError),
}

/// Makes the server's certificate and keeps it fresh.
#[derive(Debug)]
pub struct ServerIdentity {
    authority: Arc<Authority>,
    hosts: Vec<String>,
    clock: Clock,
    entropy: Entropy,
    current: watch::Sender<Arc<CertifiedKey>>,
    not_before: Moment,
    not_after: Moment,
}

impl ServerIdentity {
    /// Issues a first certificate for the fixed name and `hosts`.
    pub fn new(
        authority: Arc<Authority>,
        hosts: Vec<String>,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Self, TlsError> {
        let made = issue(&authority, &hosts, &clock, &entropy)?;
        let (not_before, not_after) = (made.not_before, made.not_after);
        let (current, _) = watch::channel(Arc::new(certified(made)?));
        Ok(Self {
            authority,
            hosts,
            clock,
            entropy,
            current,
            not_before,
            not_after,
        })
    }

    /// Returns the TLS configuration that always presents the current certificate.
    pub fn config(&self) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        for certificate in self.authority.certificates() {
            roots
                .add(certificate.clone())
                .map_err(TlsError::FailedSetup)?;
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .map_err(TlsError::FailedVerifier)?;
        let time = Arc::new(TlsTime(self.clock.clone()));
        let mut config = ServerConfig::builder_with_details(provider, time)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::FailedSetup)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(Current(self.current.subscribe())));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // For who calls again at once; a node that calls each minute would be forgotten by then among a few hundred, too.
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        Ok(config)
    }

    /// Replaces the certificate whenever it nears its end or the clock left its dates. Runs for ever.
    pub async fn keep_fresh(mut self) {
        let mut ticks = tokio::time::interval(LOOKED_AT_EVERY);
        loop {
            ticks.tick().await;
            if let Err(err) = self.renew_if_due() {
                tracing::error!(
                    error = &err as &dyn std::error::Error,
                    "the server's certificate is not renewed"
                );
            }
        }
    }

    /// Replaces the certificate if it is time; says whether it did.
    pub fn renew_if_due(&mut self) -> Result<bool, TlsError> {
        let now = self.clock.now();
        if now >= self.not_before && now < self.not_after.minus(RENEWED_BEFORE_END) {
            return Ok(false);
        }
        let made = issue(&self.authority, &self.hosts, &self.clock, &self.entropy)?;
        (self.not_before, self.not_after) = (made.not_before, made.not_after);
        self.current.send_replace(Arc::new(certified(made)?));
        tracing::info!("renewed the server's certificate");
        Ok(true)
    }
}

fn issue(
    authority: &Authority,
    hosts: &[String],
    clock: &Clock,
    entropy: &Entropy,
) -> Result<ServerCertificate, TlsError> {
    authority
        .issue_server(
            hosts.iter().map(String::as_str),
            entropy.bytes(),
            clock.now(),
        )
        .map_err(TlsError::FailedIssue)
}

fn certified(made: ServerCertificate) -> Result<CertifiedKey, TlsError> {
    let provider: CryptoProvider = aws_lc_rs::default_provider();
    CertifiedKey::from_der(made.chain, made.key, &provider).map_err(TlsError::FailedSetup)
}

/// Presents whatever certificate is current.
#[derive(Debug)]
struct Current(watch::Receiver<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.borrow()))
    }
}

/// The clock as rustls asks for it.
struct TlsTime(Clock);

impl TimeProvider for TlsTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().seconds()).unwrap_or(0);
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

impl fmt::Debug for TlsTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTime")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[test]
    fn the_certificate_is_renewed_near_its_end_and_when_the_clock_jumps() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = camino::Utf8Path::from_path(temporary.path()).unwrap();
        let authority = Arc::new(Authority::open_or_create(folder).unwrap());
        let seconds = Arc::new(AtomicI64::new(0));
        let source = Arc::clone(&seconds);
        let clock = Clock::new(move || Moment::from_seconds(source.load(Ordering::Relaxed)));
        let mut identity =
            ServerIdentity::new(authority, Vec::new(), clock, Entropy::system()).unwrap();
        let first = Arc::clone(&identity.current.borrow());

        assert!(!identity.renew_if_due().unwrap());
        seconds.store(1_800_000_000, Ordering::Relaxed);
        assert!(identity.renew_if_due().unwrap());
        assert!(!identity.renew_if_due().unwrap());
        seconds.fetch_add(61 * 86_400, Ordering::Relaxed);
        assert!(identity.renew_if_due().unwrap());
        seconds.store(1_000_000_000, Ordering::Relaxed);
        assert!(identity.renew_if_due().unwrap());
        assert_ne!(first.cert, identity.current.borrow().cert);
    }
}
