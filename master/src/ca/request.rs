//! Certificate signing requests: who sent one proves that it holds a key, and nothing else of it is believed.

use rcgen::{
    CertificateParams, CertificateSigningRequestParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKey,
    PublicKeyData,
};

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

/// A key made here, for those whose protocol has the master make it.
#[derive(Debug)]
pub struct MadeKey {
    /// The key in PEM (PKCS #8). It goes to its owner and is kept nowhere.
    pub pem: String,
    pub request: SigningRequest,
}

/// Makes a key for somebody else.
pub fn make_key() -> Result<MadeKey, RequestError> {
    let unreadable = RequestError::Unreadable;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(unreadable)?;
    let request = CertificateParams::default()
        .serialize_request(&key)
        .and_then(|it| it.pem())
        .map_err(unreadable)?;
    Ok(MadeKey {
        pem: key.serialize_pem(),
        request: parse_request(&request)?,
    })
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
