//! How a machine or a person gets a certificate, and the next one.

use serde::{Deserialize, Serialize};

use crate::join::Token;

/// `POST /v1/enrol`. Idempotent for the same key and token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// The token to redeem.
    pub token: Token,
    /// Certificate signing request in PEM: proves that the caller holds the key.
    pub csr: String,
    /// What the caller means to become: a token for something else is refused and stays good.
    #[serde(default)]
    pub wanted: Option<Wanted>,
    /// What the machine is; people send an empty one with their name in it.
    #[serde(default)]
    pub inventory: Inventory,
}

/// What somebody means to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// A computer.
    Node,
    /// An operator, a person or an organisation.
    User,
}

/// What a machine says of itself. Nothing of it is proven.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inventory {
    /// The name in its configuration, or its host name.
    pub name: String,
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// The UUID its firmware gives, or empty.
    pub smbios_uuid: String,
    /// The serial number its firmware gives, or empty.
    pub serial: String,
    /// MAC addresses of its real interfaces, sorted.
    pub macs: Vec<String>,
    /// Size of its memory.
    pub memory_bytes: u64,
    /// How many processors it has.
    pub cpus: u32,
    /// The version of its software.
    pub version: String,
}

/// What becomes of an enrolment: 200 enrolled, 202 pending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum EnrolReply {
    /// The caller is let in.
    Enrolled {
        /// Who it is from now on: `COMP-2`, or an operator's name.
        reference: String,
        /// Its certificate in PEM.
        certificate: String,
        /// The CA's certificate in PEM.
        ca: String,
    },
    /// An operator has to approve; ask again with the same key and token.
    Pending {
        /// What the operator compares: see [`crate::comparison_code`].
        code: String,
        /// When to ask again.
        retry_after_seconds: u64,
    },
}

/// `POST /v1/renew`, by the holder of a certificate that still counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewRequest {
    /// Certificate signing request in PEM; the key may be another.
    pub csr: String,
}

/// The next certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewReply {
    /// The certificate in PEM.
    pub certificate: String,
    /// The CA's certificate in PEM.
    pub ca: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_says_its_state() {
        let pending = EnrolReply::Pending {
            code: "ABCD-EFGH".into(),
            retry_after_seconds: 10,
        };
        let json = r#"{"state":"pending","code":"ABCD-EFGH","retry_after_seconds":10}"#;
        assert_eq!(serde_json::to_string(&pending).unwrap(), json);
        assert_eq!(serde_json::from_str::<EnrolReply>(json).unwrap(), pending);
    }

    #[test]
    fn an_older_machine_may_say_less_and_a_newer_one_more() {
        let token = Token::from_random([0; 12], [0; 32]).reveal();
        let json = format!(r#"{{"token":"{token}","csr":"x","inventory":{{"name":"n","new":1}}}}"#);
        let request: EnrolRequest = serde_json::from_str(&json).unwrap();
        assert_eq!(request.inventory.name, "n");
        assert_eq!(request.inventory.cpus, 0);
        assert_eq!(request.wanted, None);
    }
}
