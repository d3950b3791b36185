//! The operator's certificate is renewed in passing, once half of its life is over.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use rcgen::KeyPair;
use slap::client::Client;
use x509_parser::pem::parse_x509_pem;

use crate::home::{Home, Login};
use crate::login::signing_request;

/// Renews the certificate of a login if it is time; returns the login to go on with.
pub(crate) async fn renew_if_due(
    home: &Home,
    login: Login,
    client: &Client,
    now: SystemTime,
) -> Result<Login> {
    if !is_due(&login.certificate, now)? {
        return Ok(login);
    }
    let key = KeyPair::from_pem(&login.key).context("the login's key cannot be read")?;
    let reply = client.renew(&signing_request(&key)?).await?;
    let renewed = Login::new(
        login.operator,
        login.urls,
        reply.ca,
        reply.certificate,
        login.key,
    );
    home.keep(&renewed)?;
    Ok(renewed)
}

/// Whether half of a certificate's life is over.
fn is_due(certificate_pem: &str, now: SystemTime) -> Result<bool> {
    let (_, pem) = parse_x509_pem(certificate_pem.as_bytes())
        .context("the login's certificate cannot be read")?;
    let validity = pem
        .parse_x509()
        .context("the login's certificate cannot be read")?
        .validity()
        .clone();
    let now = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let (begin, end) = (
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    );
    Ok(now > begin + (end - begin) / 2)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_certificate_is_renewed_in_its_second_half() {
        let mut params = rcgen::CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 1, 11);
        let pem = params
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap()
            .pem();
        let new_year = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let due = |days: u64| is_due(&pem, new_year + Duration::from_secs(days * 86_400)).unwrap();
        assert_eq!(
            [due(0), due(4), due(6), due(12)],
            [false, false, true, true]
        );
    }
}
