//! The list of certificates that count no more: for services that believe this CA and cannot ask the master. The master itself asks its store.

use std::time::Duration;

use rcgen::{
    CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber,
};

use super::issue::date;
use super::{Authority, CaError};
use crate::clock::Moment;
use crate::store::certificates::Revoked;

/// When whoever has a list shall fetch the next one.
const NEXT_AFTER: Duration = Duration::from_hours(1);

impl Authority {
    /// Returns the list in PEM: of this CA's certificates, then of those of the CA that it follows, if there is one.
    pub fn revocations(
        &self,
        own: &[Revoked],
        previous: &[Revoked],
        now: Moment,
    ) -> Result<String, CaError> {
        let mut text = list(&self.issuer, own, now)?;
        if let Some(before) = &self.previous {
            text += &list(&before.issuer, previous, now)?;
        }
        Ok(text)
    }
}

fn list(
    issuer: &Issuer<'static, KeyPair>,
    revoked: &[Revoked],
    now: Moment,
) -> Result<String, CaError> {
    let revoked = revoked.iter().map(|it| {
        Ok(RevokedCertParams {
            serial_number: SerialNumber::from_slice(&bytes(&it.serial)),
            revocation_time: date(it.at)?,
            reason_code: None,
            invalidity_date: None,
        })
    });
    let params = CertificateRevocationListParams {
        this_update: date(now)?,
        next_update: date(now.plus(NEXT_AFTER))?,
        crl_number: SerialNumber::from(now.seconds().unsigned_abs()),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect::<Result<_, CaError>>()?,
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params
        .signed_by(issuer)
        .and_then(|it| it.pem())
        .map_err(CaError::FailedSign)
}

/// Returns the bytes of a serial number as it is stored.
fn bytes(serial: &str) -> Vec<u8> {
    (0..serial.len())
        .step_by(2)
        .filter_map(|at| u8::from_str_radix(serial.get(at..at + 2)?, 16).ok())
        .collect()
}
