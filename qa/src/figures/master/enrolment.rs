//! Keys, and certificates for them from the real `/v1/enrol`. Keys and requests are made beforehand: that work is the node's.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result, bail};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use slap::JoinBlob;
use slap::client::Identity;
use slap::v1::{EnrolReply, EnrolRequest, Inventory};

use crate::load::{Line, Target, post};

/// Somebody who wants in: a key, and the call that shows it.
pub(super) struct Applicant {
    key: KeyPair,
    call: Vec<u8>,
    pub(super) from: IpAddr,
}

/// Somebody who was let in.
pub(super) struct Enrolled {
    pub(super) reference: String,
    pub(super) ca: String,
    pub(super) identity: Identity,
    pub(super) from: IpAddr,
}

impl Applicant {
    /// Makes a key and a request. Each calls from an address of its own: the master slows down who is refused too often, by address.
    pub(super) fn new(join: &JoinBlob, number: u32) -> Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("cannot make a key")?;
        let csr = CertificateParams::new([format!("node-{number}")])
            .and_then(|it| it.serialize_request(&key))
            .and_then(|it| it.pem())
            .context("cannot make a request")?;
        let request = EnrolRequest {
            token: join.token.clone(),
            csr,
            wanted: None,
            inventory: Inventory {
                name: format!("node-{number}"),
                machine_id: format!("{number:032x}"),
                smbios_uuid: format!("5ec0ffee-0000-4000-8000-{number:012x}"),
                memory_bytes: 512 << 20,
                cpus: 2,
                ..Inventory::default()
            },
        };
        let body = serde_json::to_string(&request).context("our types become JSON")?;
        let [_, high, middle, low] = number.to_be_bytes();
        Ok(Self {
            key,
            call: post("/v1/enrol", "application/json", &body),
            from: Ipv4Addr::new(127, 1 + high, middle, low).into(),
        })
    }

    /// Enrols: one connection, one call, as a node does.
    pub(super) async fn enrol(&self, stranger: &Target) -> Result<Enrolled> {
        let mut line = Line::to(stranger.clone().from(self.from));
        let answer = line.ask(&self.call).await?;
        answer.must_be_good()?;
        let reply = serde_json::from_slice(answer.body).context("no reply to an enrolment")?;
        let (reference, certificate, ca) = match reply {
            EnrolReply::Enrolled {
                reference,
                certificate,
                ca,
            } => (reference, certificate, ca),
            EnrolReply::Pending { .. } => bail!("an enrolment waits to be approved"),
        };
        line.close().await;
        Ok(Enrolled {
            reference,
            ca,
            identity: Identity {
                certificate_pem: certificate,
                key_pem: self.key.serialize_pem(),
            },
            from: self.from,
        })
    }
}

impl Enrolled {
    /// The master as this one calls it.
    pub(super) fn target(&self, address: SocketAddr) -> Result<Target> {
        let target = Target::trusting(address, &self.ca, &self.identity)?;
        Ok(target.from(self.from))
    }
}
