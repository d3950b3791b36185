//! The overlay's certificate authority: certificates that bind a member's key to its prefix, for seven days.

use ipnet::Ipv6Net;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CustomExtension,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKey, SanType, SerialNumber,
};
use time::Duration;

use super::ip_addr_blocks::{OID, ip_addr_blocks};
use super::store::Store;
use super::{Error as RegistryError, Moment};
use crate::reference::Reference;

/// How long a member's certificate is good.
const LIFETIME: Duration = Duration::days(7);
/// How far a member's clock may be behind.
const CLOCK_SKEW: Duration = Duration::hours(1);
/// How long the authority is good.
const AUTHORITY_LIFETIME: Duration = Duration::days(365 * 20);

/// What can go wrong with certificates.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is not one, or not signed by its key.
    #[error("the certificate signing request is not good")]
    Request(#[source] rcgen::Error),
    /// The authority's files do not parse.
    #[error("failed to load the overlay's certificate authority")]
    Load(#[source] rcgen::Error),
    /// The certificate could not be signed.
    #[error("failed to sign")]
    Sign(#[source] rcgen::Error),
}

/// The authority: its key signs, its certificate is told to everybody.
#[derive(Debug)]
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// Returns the key of a signing request whose signature is good; everything else in it is ignored.
pub(super) fn check(csr: &str) -> Result<PublicKey, Error> {
    CertificateSigningRequestParams::from_pem(csr)
        .map(|csr| csr.public_key)
        .map_err(Error::Request)
}

impl Authority {
    /// Loads the authority of a store, making it at the first start.
    pub(super) fn open(
        store: &Store,
        network: Ipv6Net,
        moment: Moment,
    ) -> Result<Self, RegistryError> {
        let (key, certificate) = match store.authority().map_err(RegistryError::Store)? {
            Some(stored) => stored,
            None => {
                let made = make(network, moment)
                    .map_err(|err| RegistryError::Authority(Error::Sign(err)))?;
                store
                    .save_authority(&made.0, &made.1)
                    .map_err(RegistryError::Store)?;
                made
            }
        };
        let key =
            KeyPair::from_pem(&key).map_err(|err| RegistryError::Authority(Error::Load(err)))?;
        let issuer = Issuer::from_ca_cert_pem(&certificate, key)
            .map_err(|err| RegistryError::Authority(Error::Load(err)))?;
        Ok(Self {
            issuer,
            certificate,
        })
    }

    /// Returns the authority's certificate, PEM.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Returns a certificate that binds a key to a computer and its prefix, PEM.
    pub(super) fn issue(
        &self,
        key: &PublicKey,
        computer: &Reference,
        prefix: Ipv6Net,
        moment: Moment,
    ) -> Result<String, Error> {
        let mut params = params(computer.as_str(), prefix, moment);
        params.not_after = moment.now + LIFETIME;
        let name = format!("urn:slapbox:computer:{computer}");
        let name = name.try_into().map_err(Error::Sign)?;
        params.subject_alt_names = vec![SanType::URI(name)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let certificate = params.signed_by(key, &self.issuer).map_err(Error::Sign)?;
        Ok(certificate.pem())
    }
}

fn make(network: Ipv6Net, moment: Moment) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut params = params("Slapbox overlay", network, moment);
    params.not_after = moment.now + AUTHORITY_LIFETIME;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key)?.pem();
    Ok((key.serialize_pem(), certificate))
}

fn params(common_name: &str, prefix: Ipv6Net, moment: Moment) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.not_before = moment.now - CLOCK_SKEW;
    let mut serial = moment.serial;
    // A positive number that needs no byte more.
    serial[0] = (serial[0] & 0x7f) | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let mut blocks = CustomExtension::from_oid_content(OID, ip_addr_blocks(prefix));
    blocks.set_criticality(true);
    params.custom_extensions = vec![blocks];
    params
}

#[cfg(test)]
mod tests;
