//! Certificates: for computers, for operators, and for the server itself.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::string::Ia5String;
use rcgen::{
    CertificateParams, DnType, DnValue, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;

use super::{Authority, CaError, SigningRequest};
use crate::clock::Moment;
use crate::identity::Identity;

const DAY: Duration = Duration::from_hours(24);
/// How long certificates count before they were made: for clocks that run a little behind.
const BACKDATED: Duration = Duration::from_hours(1);

/// The object identifier of an email address in a name (PKCS #9).
const EMAIL: [u64; 7] = [1, 2, 840, 113_549, 1, 9, 1];

/// How a certificate is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    /// With an email address in the subject, after a description such as `openssl x509 -text -nameopt compat` gives:
    /// `slapos node register` reads the computer's name out of that text, between `COMP-` and `/email`.
    Described,
}

/// A certificate for somebody else's key.
#[derive(Debug)]
pub struct Issued {
    pub pem: String,
    pub not_after: Moment,
}

/// The server's own key and certificate, in memory only: a new one is made at each start.
#[derive(Debug)]
pub struct ServerCertificate {
    /// The server's certificate, then the CA's and, in an overlap, what leads to the CA before.
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    pub not_before: Moment,
    pub not_after: Moment,
}

impl Authority {
    /// Issues the certificate that lets the holder of the requested key act as `identity`: 7 days for a computer, 30 for an instance, 90 for an operator.
    pub fn issue(
        &self,
        identity: &Identity,
        request: &SigningRequest,
        serial: [u8; 16],
        now: Moment,
    ) -> Result<Issued, CaError> {
        self.issue_in_style(identity, request, serial, now, Style::Plain)
    }

    /// Issues such a certificate in a style.
    pub fn issue_in_style(
        &self,
        identity: &Identity,
        request: &SigningRequest,
        serial: [u8; 16],
        now: Moment,
        style: Style,
    ) -> Result<Issued, CaError> {
        let lifetime = match identity {
            Identity::Computer(_) => 7 * DAY,
            // Its node fetches a new one at least once a day.
            Identity::Instance(_) => 30 * DAY,
            Identity::User(..) => 90 * DAY,
        };
        let uri = identity.to_string();
        let not_after = now.plus(lifetime);
        let mut params = leaf(identity.name(), serial, now.minus(BACKDATED), not_after)?;
        params.subject_alt_names = vec![SanType::URI(
            uri.as_str()
                .try_into()
                .map_err(|_| CaError::BadName(uri.clone()))?,
        )];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if let Identity::Instance(_) = identity {
            // A bridge may show it. It has no host's name: who takes it for the master's does not check that.
            let serves = ExtendedKeyUsagePurpose::ServerAuth;
            params.extended_key_usages.push(serves);
        }
        if style == Style::Described {
            let email = format!("{}@{}", identity.name(), slap::MASTER_NAME);
            let email =
                Ia5String::try_from(email.as_str()).map_err(|_| CaError::BadName(email.clone()))?;
            params.distinguished_name.push(
                DnType::CustomDnType(EMAIL.to_vec()),
                DnValue::Ia5String(email),
            );
        }
        let certificate = params
            .signed_by(&request.public_key, &self.issuer)
            .map_err(CaError::FailedSign)?;
        let pem = match style {
            Style::Plain => certificate.pem(),
            Style::Described => describe(certificate.der())? + &certificate.pem(),
        };
        Ok(Issued { pem, not_after })
    }

    /// Makes the server's key and its certificate of 90 days: for the name that every client checks, and for the hosts of the master's URLs.
    pub fn issue_server<'a>(
        &self,
        hosts: impl IntoIterator<Item = &'a str>,
        serial: [u8; 16],
        now: Moment,
    ) -> Result<ServerCertificate, CaError> {
        let (not_before, not_after) = (now.minus(DAY), now.plus(90 * DAY));
        let mut params = leaf(slap::MASTER_NAME, serial, not_before, not_after)?;
        params
            .subject_alt_names
            .push(subject_name(slap::MASTER_NAME)?);
        for host in hosts {
            let name = subject_name(host)?;
            if !params.subject_alt_names.contains(&name) {
                params.subject_alt_names.push(name);
            }
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(CaError::FailedSign)?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(CaError::FailedSign)?;
        let mut chain = vec![certificate.der().clone()];
        if let Some(previous) = &self.previous {
            // For those who trust the previous authority by its certificate, before the two that a pin may name.
            chain.push(previous.vouched.clone());
            chain.push(self.certificate.clone());
            chain.push(previous.certificate.clone());
        } else {
            chain.push(self.certificate.clone());
        }
        Ok(ServerCertificate {
            chain,
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            not_before,
            not_after,
        })
    }
}

/// Returns the description that OpenSSL gave certificates before names had spaces.
fn describe(der: &[u8]) -> Result<String, CaError> {
    let unreadable = |_| CaError::FailedSign(rcgen::Error::CouldNotParseCertificate);
    let (_, certificate) = x509_parser::parse_x509_certificate(der).map_err(unreadable)?;
    let name = |name: &x509_parser::x509::X509Name<'_>| {
        let parts = name.iter_attributes().map(|it| {
            let key = match it.attr_type().to_id_string().as_str() {
                "2.5.4.3" => "CN",
                "1.2.840.113549.1.9.1" => "emailAddress",
                _ => "other",
            };
            format!("{key}={}", it.as_str().unwrap_or_default())
        });
        parts.collect::<Vec<_>>().join("/")
    };
    let validity = certificate.validity();
    Ok(format!(
        "Certificate:\n    Data:\n        Version: 3 (0x2)\n        Serial Number: {}\n        Issuer: {}\n        Validity\n            Not Before: {}\n            Not After : {}\n        Subject: {}\n",
        certificate.raw_serial_as_string(),
        name(certificate.issuer()),
        validity.not_before,
        validity.not_after,
        name(certificate.subject()),
    ))
}

fn leaf(
    common_name: &str,
    serial: [u8; 16],
    not_before: Moment,
    not_after: Moment,
) -> Result<CertificateParams, CaError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = date(not_before)?;
    params.not_after = date(not_after)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

pub(super) fn date(moment: Moment) -> Result<OffsetDateTime, CaError> {
    // Before 1970 there are no certificates: a clock that stands at its beginning gets its beginning.
    OffsetDateTime::from_unix_timestamp(moment.seconds().max(0))
        .map_err(|_| CaError::BadName(format!("the moment {}", moment.seconds())))
}

fn subject_name(host: &str) -> Result<SanType, CaError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    host.try_into()
        .map(SanType::DnsName)
        .map_err(|_| CaError::BadName(host.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::parse_request;
    use crate::identity::ComputerId;

    #[test]
    fn the_master_decides_every_name_in_a_certificate() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = camino::Utf8Path::from_path(temporary.path()).unwrap();
        let authority = Authority::open_or_create(folder).unwrap();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut wished = CertificateParams::new(["master.slapbox.internal".to_owned()]).unwrap();
        wished.distinguished_name.push(DnType::CommonName, "COMP-1");
        let pem = wished.serialize_request(&key).unwrap().pem().unwrap();
        let request = parse_request(&pem).unwrap();
        let identity = Identity::Computer(ComputerId::numbered(7));
        let issued = authority
            .issue(
                &identity,
                &request,
                [1; 16],
                Moment::from_seconds(1_800_000_000),
            )
            .unwrap();
        let der = pem_to_der(&issued.pem);
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
        assert_eq!(certificate.subject().to_string(), "CN=COMP-7");
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(
            format!("{:?}", names.value.general_names),
            r#"[URI("urn:slapbox:computer:COMP-7")]"#
        );
        assert!(!certificate.is_ca());
        assert_eq!(
            issued.not_after,
            Moment::from_seconds(1_800_000_000).plus(7 * DAY)
        );
    }

    #[test]
    fn only_an_instance_may_show_its_certificate_as_a_server() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = camino::Utf8Path::from_path(temporary.path()).unwrap();
        let authority = Authority::open_or_create(folder).unwrap();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let wished = CertificateParams::default();
        let pem = wished.serialize_request(&key).unwrap().pem().unwrap();
        let request = parse_request(&pem).unwrap();
        for (identity, serves) in [
            (Identity::Computer(ComputerId::numbered(7)), false),
            (Identity::Instance("SOFTINST-3".parse().unwrap()), true),
        ] {
            let now = Moment::from_seconds(1_800_000_000);
            let issued = authority.issue(&identity, &request, [1; 16], now);
            let der = pem_to_der(&issued.unwrap().pem);
            let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
            let uses = certificate.extended_key_usage().unwrap().unwrap().value;
            assert_eq!((uses.client_auth, uses.server_auth), (true, serves));
            let names = certificate.subject_alternative_name().unwrap().unwrap();
            assert_eq!(names.value.general_names.len(), 1);
        }
    }

    #[test]
    fn the_server_answers_to_its_fixed_name_and_its_hosts() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = camino::Utf8Path::from_path(temporary.path()).unwrap();
        let authority = Authority::open_or_create(folder).unwrap();
        let server = authority
            .issue_server(
                ["203.0.113.7", "fd00::1", "box.example"],
                [1; 16],
                Moment::from_seconds(0),
            )
            .unwrap();
        let (_, certificate) = x509_parser::parse_x509_certificate(&server.chain[0]).unwrap();
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 4);
        assert_eq!(&server.chain[1], authority.certificate());
    }

    fn pem_to_der(pem: &str) -> Vec<u8> {
        use rustls::pki_types::pem::PemObject;
        CertificateDer::from_pem_slice(pem.as_bytes())
            .unwrap()
            .to_vec()
    }
}
