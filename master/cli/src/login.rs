//! Logging in, as an operator, a person or an organisation: a key is made here, its certificate asked for with the token.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use slap::JoinBlob;
use slap::client::{Client, Settings};
use slap::v1::{EnrolReply, EnrolRequest, Inventory, Wanted};

use crate::home::{Home, Login};
use crate::output;

/// Redeems a user's token and keeps the login.
pub(crate) async fn login(
    home: &Home,
    join: &JoinBlob,
    replace: bool,
    json: bool,
    proxy: Option<&str>,
) -> Result<()> {
    if home.has_login() && !replace {
        bail!("there is a login already: `--replace` forgets it");
    }
    let key = match home.waiting_key()? {
        Some(pem) => {
            KeyPair::from_pem(&pem).context("the key of an earlier login cannot be read")?
        }
        None => {
            let key = KeyPair::generate().context("cannot make a key")?;
            home.keep_waiting_key(&key.serialize_pem())?;
            key
        }
    };
    let mut settings = Settings::joining(join);
    settings.proxy = proxy.map(str::to_owned);
    let client = Client::new(&settings)?;
    let request = EnrolRequest {
        token: join.token.clone(),
        csr: signing_request(&key)?,
        wanted: Some(Wanted::User),
        inventory: Inventory {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Inventory::default()
        },
    };
    let (operator, certificate, ca) = enrol(&client, &request).await?;
    let login = Login::new(
        operator,
        join.urls.clone(),
        ca,
        certificate,
        key.serialize_pem(),
    );
    home.keep(&login)?;
    if json {
        return output::print_json(&json!({ "operator": login.operator, "urls": join.urls }));
    }
    output::complain(&format!(
        "logged in to {} as {}",
        join.urls.join(", "),
        login.operator
    ));
    Ok(())
}

/// Returns a certificate signing request in PEM. The master decides on the name.
pub(crate) fn signing_request(key: &KeyPair) -> Result<String> {
    CertificateParams::default()
        .serialize_request(key)
        .and_then(|request| request.pem())
        .context("cannot make a certificate signing request")
}

async fn enrol(client: &Client, request: &EnrolRequest) -> Result<(String, String, String)> {
    let mut told = false;
    loop {
        match client.enrol(request).await.context("cannot log in")? {
            EnrolReply::Enrolled {
                reference,
                certificate,
                ca,
            } => return Ok((reference, certificate, ca)),
            EnrolReply::Pending {
                code,
                retry_after_seconds,
            } => {
                if !told {
                    output::complain(&format!(
                        "waiting for an operator to approve this key; its code is {code}"
                    ));
                    told = true;
                }
                tokio::time::sleep(Duration::from_secs(retry_after_seconds.clamp(1, 60))).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::prelude::FromDer as _;

    use super::*;

    #[test]
    fn a_request_for_a_certificate_names_nobody() {
        let pem = signing_request(&KeyPair::generate().unwrap()).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
        let (_, request) = X509CertificationRequest::from_der(&pem.contents).unwrap();
        request.verify_signature().unwrap();
        assert_eq!(
            request.requested_extensions().into_iter().flatten().count(),
            0
        );
    }
}
