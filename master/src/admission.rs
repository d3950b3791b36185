//! Letting somebody in, in one transaction: check the token, find or make whom the key belongs to, sign the certificate.
//! What is decided is decided in `enrolment`; a lost answer asked for again changes nothing and is answered again.

mod user;

use sha2::{Digest, Sha256};
use slap::InstanceGuid;
use slap::v1::Wanted;

use crate::ca::{Authority, CaError, SigningRequest, Style, make_key};
use crate::clock::{Entropy, Moment};
use crate::enrolment::{
    self, ComputerState, Refusal, Token, TokenKind, admit, check_kind, check_token,
};
use crate::identity::{ComputerId, Identity, UserName, serial_text};
use crate::store::computers::{self, Computer, NewComputer};
use crate::store::{Store, StoreError, Writing, tokens};

/// Somebody who wants in. Of what they say of themselves nothing is believed but that the key is theirs.
#[derive(Debug)]
pub struct Applicant {
    pub token_id: String,
    pub secret: String,
    /// What they mean to become, if they say so.
    pub wanted: Option<Wanted>,
    pub key: SigningRequest,
    /// What the comparison code of the key is.
    pub code: String,
    pub smbios_uuid: String,
    pub serial: String,
    /// Everything they tell about the machine, as a document.
    pub inventory: String,
    /// Where they call from, for the audit.
    pub address: String,
    /// How their certificate is to be written.
    pub style: Style,
}

/// What came of it.
#[derive(Debug)]
pub enum Admission {
    Enrolled {
        identity: Identity,
        certificate: String,
    },
    /// An operator must approve; the code is what both sides show.
    Pending { code: String },
}

/// Why nobody was let in.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    #[error("refused")]
    Refused(#[source] Refusal),
    #[error("failed to issue a certificate")]
    FailedIssue(#[source] CaError),
    #[error("another computer has this key")]
    KeyTaken,
    #[error(
        "there is a `{0}` already, and this token may not become it: ask for one with another name"
    )]
    NameTaken(UserName),
    #[error("no computer with this key has enrolled")]
    KeyUnknown,
    // These words are what `slapos node register` looks for.
    #[error("Certificate still active.")]
    StillActive,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who signs.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    pub authority: &'a Authority,
    pub entropy: &'a Entropy,
}

/// Lets an applicant in, has it wait, or refuses it.
pub async fn enrol(
    store: &Store,
    signer: Signer<'_>,
    applicant: &Applicant,
    now: Moment,
) -> Result<Admission, AdmissionError> {
    let mut writing = store.write(applicant.address.clone(), now).await?;
    match decide(&mut writing, signer, applicant).await {
        Ok(admission) => {
            writing.commit().await?;
            Ok(admission)
        }
        Err(AdmissionError::Refused(refusal)) => {
            drop(writing);
            let mut writing = store.write(applicant.address.clone(), now).await?;
            // An id that nobody made is not kept: whoever calls could fill the audit with their own words.
            let subject = if refusal == Refusal::UnknownToken {
                "?"
            } else {
                &applicant.token_id
            };
            writing.note("refuse", subject, refusal);
            writing.commit().await?;
            Err(AdmissionError::Refused(refusal))
        }
        Err(err) => Err(err),
    }
}

/// Renews a certificate for somebody who showed the one before.
pub async fn renew(
    store: &Store,
    signer: Signer<'_>,
    identity: &Identity,
    key: &SigningRequest,
    now: Moment,
) -> Result<String, AdmissionError> {
    let mut writing = store.write(identity.to_string(), now).await?;
    let digest = key_digest(key.spki());
    match identity {
        Identity::Computer(computer) => {
            let holder = computers::computer_by_key(writing.db(), &digest).await?;
            if holder.is_some_and(|holder| holder.reference != *computer) {
                return Err(AdmissionError::KeyTaken);
            }
            writing.set_computer_key(computer, Some(&digest)).await?;
        }
        // Whose key it is, they alone need to know.
        Identity::User(..) | Identity::Instance(_) => {}
    }
    let certificate = sign(&mut writing, signer, identity, key).await?;
    writing.commit().await?;
    Ok(certificate)
}

/// Renews the certificate of a computer whose key is known, though it has none that counts: it was switched off for longer than one lives.
///
/// The request's signature proves the key, and the certificate is worth nothing without it. Only the revoked are refused.
pub async fn renew_lapsed(
    store: &Store,
    signer: Signer<'_>,
    key: &SigningRequest,
    now: Moment,
) -> Result<String, AdmissionError> {
    let mut writing = store.write("renewal", now).await?;
    let known = computers::computer_by_key(writing.db(), &key_digest(key.spki())).await?;
    let known = match known {
        Some(known) if known.state == ComputerState::Enrolled => known,
        Some(known) if known.state == ComputerState::Revoked => {
            return Err(AdmissionError::Refused(Refusal::ComputerRevoked));
        }
        Some(_) | None => return Err(AdmissionError::KeyUnknown),
    };
    let identity = Identity::Computer(known.reference);
    let certificate = sign(&mut writing, signer, &identity, key).await?;
    writing.commit().await?;
    Ok(certificate)
}

/// Returns what a key is known by: the SHA-256 of its SubjectPublicKeyInfo.
fn key_digest(spki: &[u8]) -> String {
    let digest = Sha256::digest(spki);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn decide(
    writing: &mut Writing,
    signer: Signer<'_>,
    applicant: &Applicant,
) -> Result<Admission, AdmissionError> {
    let key = key_digest(applicant.key.spki());
    let token = tokens::token(writing.db(), &applicant.token_id).await?;
    let redeemed = tokens::redemption(writing.db(), &applicant.token_id, &key).await?;
    let token = check_token(
        token.as_ref(),
        &applicant.secret,
        redeemed.is_some(),
        &applicant.serial,
        writing.now(),
    )
    .map_err(AdmissionError::Refused)?;
    check_kind(token, applicant.wanted).map_err(AdmissionError::Refused)?;
    let identity = match token.kind {
        TokenKind::Node => computer(writing, applicant, token, &key).await?,
        TokenKind::User(kind) => {
            let redeemed = redeemed.as_deref();
            Some(user::admit(writing, token, kind, redeemed, &key).await?)
        }
    };
    let Some(identity) = identity else {
        return Ok(Admission::Pending {
            code: applicant.code.clone(),
        });
    };
    let certificate =
        sign_in_style(writing, signer, &identity, &applicant.key, applicant.style).await?;
    Ok(Admission::Enrolled {
        identity,
        certificate,
    })
}

/// Finds or makes the computer of this key; none while it has to wait.
async fn computer(
    writing: &mut Writing,
    applicant: &Applicant,
    token: &Token,
    key: &str,
) -> Result<Option<Identity>, AdmissionError> {
    let known = computers::computer_by_key(writing.db(), key).await?;
    let state = admit(known.as_ref().map(|it| it.state), token.auto_approve)
        .map_err(AdmissionError::Refused)?;
    let (reference, kept_uuid) = match known {
        Some(known) => {
            if known.state != state {
                writing.set_computer_state(&known.reference, state).await?;
            }
            writing
                .set_inventory(&known.reference, &applicant.inventory)
                .await?;
            (known.reference, known.smbios_uuid)
        }
        None => {
            let new = NewComputer {
                state,
                public_key: Some(key),
                code: &applicant.code,
                smbios_uuid: &applicant.smbios_uuid,
                inventory: &applicant.inventory,
                labels: &token.labels,
                project: &token.project.clone().unwrap_or_default(),
            };
            let reference = writing.add_computer(&new).await?;
            (reference, applicant.smbios_uuid.clone())
        }
    };
    let identity = Identity::Computer(reference.clone());
    redeem_once(writing, token, key, &identity).await?;
    look_for_clones(writing, &reference, &kept_uuid, applicant).await?;
    Ok((state == ComputerState::Enrolled).then_some(identity))
}

async fn redeem_once(
    writing: &mut Writing,
    token: &Token,
    key: &str,
    identity: &Identity,
) -> Result<(), StoreError> {
    if tokens::redemption(writing.db(), &token.id, key)
        .await?
        .is_some()
    {
        return Ok(());
    }
    writing.redeem(&token.id, key, &identity.to_string()).await
}

async fn look_for_clones(
    writing: &mut Writing,
    computer: &ComputerId,
    kept_uuid: &str,
    applicant: &Applicant,
) -> Result<(), StoreError> {
    let shown = &applicant.smbios_uuid;
    let others = computers::computers_by_uuid(writing.db(), shown, computer).await?;
    for warning in enrolment::clones(computer, kept_uuid, shown, &others) {
        writing.warn(&warning).await?;
    }
    Ok(())
}

/// A certificate and the key it is for, which goes to its owner and is kept nowhere.
#[derive(Debug)]
pub struct KeyedCertificate {
    pub certificate: String,
    pub key: String,
}

/// Makes a key for an instance and signs it: its node has it from here, as SLAP has it. Only the last two of an instance are on record.
pub async fn certify_instance(
    writing: &mut Writing,
    signer: Signer<'_>,
    instance: &InstanceGuid,
) -> Result<KeyedCertificate, AdmissionError> {
    let identity = Identity::Instance(instance.clone());
    let key = make_key().map_err(|err| AdmissionError::FailedIssue(err.into()))?;
    writing.forget_older_certificates(&identity, 1).await?;
    let certificate = sign(writing, signer, &identity, &key.request).await?;
    Ok(KeyedCertificate {
        certificate,
        key: key.pem,
    })
}

/// Makes a key for a computer that has no certificate that counts, and signs it: for nodes that cannot make their own.
pub async fn certify_computer(
    writing: &mut Writing,
    signer: Signer<'_>,
    computer: &Computer,
) -> Result<KeyedCertificate, AdmissionError> {
    let identity = Identity::Computer(computer.reference.clone());
    if writing.has_certificate(&identity).await? {
        return Err(AdmissionError::StillActive);
    }
    let key = make_key().map_err(|err| AdmissionError::FailedIssue(err.into()))?;
    let digest = key_digest(key.request.spki());
    writing
        .set_computer_key(&computer.reference, Some(&digest))
        .await?;
    if computer.state == ComputerState::Approved {
        writing
            .set_computer_state(&computer.reference, ComputerState::Enrolled)
            .await?;
    }
    let certificate = sign(writing, signer, &identity, &key.request).await?;
    Ok(KeyedCertificate {
        certificate,
        key: key.pem,
    })
}

async fn sign(
    writing: &mut Writing,
    signer: Signer<'_>,
    identity: &Identity,
    key: &SigningRequest,
) -> Result<String, AdmissionError> {
    sign_in_style(writing, signer, identity, key, Style::Plain).await
}

async fn sign_in_style(
    writing: &mut Writing,
    signer: Signer<'_>,
    identity: &Identity,
    key: &SigningRequest,
    style: Style,
) -> Result<String, AdmissionError> {
    let serial = certificate_serial(signer.entropy);
    let issued = signer
        .authority
        .issue_in_style(identity, key, serial, writing.now(), style)
        .map_err(AdmissionError::FailedIssue)?;
    writing
        .record_certificate(
            &serial_text(&serial),
            identity,
            &signer.authority.pin(),
            issued.not_after,
        )
        .await?;
    Ok(issued.pem)
}

/// A positive number that needs no padding in DER.
fn certificate_serial(entropy: &Entropy) -> [u8; 16] {
    let mut serial = entropy.bytes();
    serial[0] = serial[0] & 0x7f | 0x40;
    serial
}
