//! Verifies a master: its certificate is signed by the CA that is pinned or known, and carries the fixed name, whatever the address called.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::error::SetupError;
use super::tls::Clock;
use crate::join::CaPin;

/// What is known of the CA.
#[derive(Debug)]
pub(super) enum Anchor {
    Pin(CaPin),
    /// More than one while a CA follows another.
    Certificates(Vec<CertificateDer<'static>>),
}

/// The server sent no CA with the pinned key.
#[derive(Debug, thiserror::Error)]
#[error("the server's CA is not the pinned one")]
pub(super) struct PinMismatch;

#[derive(Debug)]
pub(super) struct MasterVerifier {
    anchor: Anchor,
    clock: Clock,
    provider: Arc<CryptoProvider>,
    name: ServerName<'static>,
}

impl MasterVerifier {
    pub(super) fn new(
        anchor: Anchor,
        clock: Clock,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, SetupError> {
        let verifier = Self {
            anchor,
            clock,
            provider,
            name: ServerName::try_from(crate::MASTER_NAME).expect("a constant that is a name"),
        };
        if let Anchor::Certificates(known) = &verifier.anchor {
            verifier.webpki(known).map_err(|_| SetupError::BadCa)?;
        }
        Ok(verifier)
    }

    /// Returns the CAs to verify the server's certificate with: those that are known, or the one sent that the pin names.
    fn cas<'a>(
        &'a self,
        sent: &'a [CertificateDer<'a>],
    ) -> Result<&'a [CertificateDer<'a>], Error> {
        match &self.anchor {
            Anchor::Certificates(known) => Ok(known),
            Anchor::Pin(pin) => sent
                .iter()
                .position(|der| {
                    X509Certificate::from_der(der).is_ok_and(|(_, certificate)| {
                        CaPin::of_spki(certificate.public_key().raw) == *pin
                    })
                })
                .map(|at| &sent[at..=at])
                .ok_or_else(|| {
                    let mismatch = OtherError(Arc::new(PinMismatch));
                    Error::InvalidCertificate(CertificateError::Other(mismatch))
                }),
        }
    }

    fn webpki(&self, cas: &[CertificateDer<'_>]) -> Result<Arc<WebPkiServerVerifier>, Error> {
        let mut roots = RootCertStore::empty();
        for ca in cas {
            roots.add(ca.clone().into_owned())?;
        }
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|error| Error::General(error.to_string()))
    }
}

/// Returns a time at which the certificates are valid.
fn time_within(cas: &[CertificateDer<'_>], leaf: &CertificateDer<'_>) -> Result<UnixTime, Error> {
    // A time at which one has begun and another ended fails in webpki, which looks at the leaf.
    let mut begin = 0;
    for der in cas.iter().chain([leaf]) {
        let (_, certificate) = X509Certificate::from_der(der)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        begin = begin.max(certificate.validity().not_before.timestamp());
    }
    let seconds = u64::try_from(begin).unwrap_or(0);
    Ok(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

impl ServerCertVerifier for MasterVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let cas = self.cas(intermediates)?;
        let time = match self.clock {
            Clock::Trusted => now,
            Clock::Wrong => time_within(cas, end_entity)?,
        };
        // While a CA follows another, the one before vouches for it in an intermediate certificate.
        self.webpki(cas)?.verify_server_cert(
            end_entity,
            intermediates,
            &self.name,
            ocsp_response,
            time,
        )
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
