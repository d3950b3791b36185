//! Certificate signing requests: who sent one proves that it holds a key, and nothing else of it is believed.

use rcgen::{CertificateSigningRequestParams, PKCS_ECDSA_P256_SHA256, PublicKey, PublicKeyData};

/// A request whose signature is right: a public key whose owner asked for a certificate.
#[derive(Debug)]
pub struct SigningRequest {
    pub(super) public_key: PublicKey,
    spki: Vec<u8>,
}

/// Why a request is no request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("the signing request cannot be read, or its signature is wrong")]
    Unreadable(#[source] rcgen::Error),
    #[error("the signing request's key is not of the curve P-256")]
    WrongKey,
}

impl SigningRequest {
    /// Returns the key as SubjectPublicKeyInfo (DER).
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }
}

/// Parses and verifies a request in PEM.
pub fn parse_request(pem: &str) -> Result<SigningRequest, RequestError> {
    let request =
        CertificateSigningRequestParams::from_pem(pem).map_err(RequestError::Unreadable)?;
    // The algorithm known so far is the signature's; the point's length tells the key's curve.
    let point = request.public_key.der_bytes();
    if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256
        || point.len() != 65
        || point[0] != 4
    {
        return Err(RequestError::WrongKey);
    }
    Ok(SigningRequest {
        spki: request.public_key.subject_public_key_info(),
        public_key: request.public_key,
    })
}
