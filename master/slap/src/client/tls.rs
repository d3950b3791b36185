//! TLS as every client of a master speaks it: one CA, one name, and this machine's certificate if it has one.

use std::fmt;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::error::SetupError;
use super::verifier::{Anchor, MasterVerifier};
use crate::join::CaPin;

/// Whether this machine's clock may judge certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// It may.
    Trusted,
    /// It may be wrong: any time within a certificate's validity is taken for now. Only to ask for the time.
    Wrong,
}

/// A certificate and its key.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate in PEM.
    pub certificate_pem: String,
    /// The private key in PEM.
    pub key_pem: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificate_pem", &self.certificate_pem)
            .finish_non_exhaustive()
    }
}

/// Returns the configuration of somebody who knows the CA's pin only.
pub fn pinned(
    pin: CaPin,
    clock: Clock,
    identity: Option<&Identity>,
) -> Result<ClientConfig, SetupError> {
    configuration(Anchor::Pin(pin), clock, identity)
}

/// Returns the configuration of somebody who has the CA's certificate; two of them while one CA follows another.
pub fn trusting(
    ca_pem: &str,
    clock: Clock,
    identity: Option<&Identity>,
) -> Result<ClientConfig, SetupError> {
    configuration(
        Anchor::Certificates(ca_certificates(ca_pem)?),
        clock,
        identity,
    )
}

/// Returns the pins of a CA's certificates in PEM: one, or two while one CA follows another.
pub fn pins_of_pem(ca_pem: &str) -> Result<Vec<CaPin>, SetupError> {
    ca_certificates(ca_pem)?
        .iter()
        .map(|der| {
            let (_, certificate) = X509Certificate::from_der(der).map_err(|_| SetupError::BadCa)?;
            Ok(CaPin::of_spki(certificate.public_key().raw))
        })
        .collect()
}

pub(super) fn ca_certificates(ca_pem: &str) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(ca_pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| SetupError::BadCa)?;
    if found.is_empty() {
        return Err(SetupError::BadCa);
    }
    Ok(found)
}

fn configuration(
    anchor: Anchor,
    clock: Clock,
    identity: Option<&Identity>,
) -> Result<ClientConfig, SetupError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = MasterVerifier::new(anchor, clock, Arc::clone(&provider))?;
    let builder = ClientConfig::builder_with_provider(provider as Arc<CryptoProvider>)
        .with_safe_default_protocol_versions()
        .map_err(SetupError::BadIdentity)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some(identity) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(SetupError::BadIdentityPem)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes())
        .map_err(SetupError::BadIdentityPem)?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(SetupError::BadIdentity)
}
