//! Who somebody is, as their certificate says: a computer, an instance or a user, in one SAN URI `urn:slapbox:KIND:NAME`.
//! Whether the certificate still counts is the store's to say.

use std::fmt;
use std::str::FromStr;

use x509_parser::extensions::GeneralName;

use slap::InstanceGuid;
use slap::v1::UserKind;
pub use slap::{ComputerId, ProjectName, UserName};

use crate::clock::Moment;

/// Whom a certificate names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    Computer(ComputerId),
    /// An operator, a person or an organisation. Names are unique among all of them.
    User(UserKind, UserName),
    Instance(InstanceGuid),
}

/// Why a certificate or a name is none of ours.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("the certificate cannot be read")]
    Unreadable,
    #[error("the certificate names nobody that this master knows how to name")]
    Nobody,
    #[error("the certificate's name cannot be one")]
    BadName(#[from] slap::id::IdError),
}

/// A certificate that the CA signed, as far as this master reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub identity: Identity,
    /// The certificate's serial number in hexadecimal.
    pub serial: String,
    /// When the certificate ends; the connection may last longer.
    pub not_after: Moment,
}

impl Credential {
    /// Reads a certificate (DER) that TLS has verified.
    pub fn read(der: &[u8]) -> Result<Self, IdentityError> {
        let (_, certificate) =
            x509_parser::parse_x509_certificate(der).map_err(|_| IdentityError::Unreadable)?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| IdentityError::Unreadable)?
            .ok_or(IdentityError::Nobody)?;
        let identity = names
            .value
            .general_names
            .iter()
            .find_map(|name| {
                if let GeneralName::URI(uri) = name {
                    uri.parse().ok()
                } else {
                    None
                }
            })
            .ok_or(IdentityError::Nobody)?;
        Ok(Self {
            identity,
            serial: serial_text(certificate.raw_serial()),
            not_after: Moment::from_seconds(certificate.validity().not_after.timestamp()),
        })
    }
}

/// Returns a serial number as it is stored: lower-case hexadecimal without the padding that DER adds.
pub fn serial_text(bytes: &[u8]) -> String {
    let bytes = match bytes {
        [0, rest @ ..] if !rest.is_empty() => rest,
        bytes => bytes,
    };
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Identity {
    /// Returns the name alone: the certificate's common name.
    pub fn name(&self) -> &str {
        match self {
            Self::Computer(computer) => computer.as_str(),
            Self::User(_, name) => name.as_str(),
            Self::Instance(instance) => instance.as_str(),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Computer(_) => "computer",
            Self::User(kind, _) => kind.as_str(),
            Self::Instance(_) => "instance",
        };
        write!(f, "urn:slapbox:{kind}:{}", self.name())
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(uri: &str) -> Result<Self, IdentityError> {
        let named = uri
            .strip_prefix("urn:slapbox:")
            .ok_or(IdentityError::Nobody)?;
        let (kind, name) = named.split_once(':').ok_or(IdentityError::Nobody)?;
        Ok(match kind {
            "computer" => Self::Computer(name.parse()?),
            "instance" => Self::Instance(name.parse()?),
            kind => Self::User(
                kind.parse().map_err(|_| IdentityError::Nobody)?,
                name.parse()?,
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_its_uri() {
        for uri in [
            "urn:slapbox:computer:COMP-2",
            "urn:slapbox:operator:ann",
            "urn:slapbox:person:bob",
            "urn:slapbox:organisation:acme",
            "urn:slapbox:instance:SOFTINST-3",
        ] {
            assert_eq!(uri.parse::<Identity>().unwrap().to_string(), uri);
        }
    }

    #[test]
    fn names_of_other_kinds_are_nobody() {
        for uri in [
            "urn:slapbox:king:COMP-2",
            "urn:slapbox:operator:",
            "urn:slapbox:operator:a:b",
            "urn:slapbox:computer:",
            "https://example/",
        ] {
            assert!(uri.parse::<Identity>().is_err(), "{uri}");
        }
    }
}
