//! The calls that Slapbox adds, under `/v1/`.

use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::call::{Call, bad_answer};
use super::error::{AnswerError, CallError};
use super::tls::{ca_certificates, pins_of_pem};
use super::{Client, Trust};
use crate::id::{ComputerId, Title};
use crate::v1::{
    Computer, Computers, Discovery, EnrolReply, EnrolRequest, Log, LogQuery, NewToken, NodeReport,
    RenewReply, RenewRequest, Service, Services, SignedTime, TokenRequest, Tokens, WATCH_SECONDS,
    Watched, signed_time_message,
};

impl Client {
    /// `GET /v1/`: which extensions the master has.
    pub async fn discover(&self) -> Result<Discovery, CallError> {
        self.answer(&Call::get(["v1", ""])).await
    }

    /// `GET /v1/ca`: the CA's certificate in PEM, before that of the CA which it follows. The pinned one must be among them.
    pub async fn ca(&self) -> Result<String, CallError> {
        let call = Call::get(["v1", "ca"]);
        let pem = self.text(&call).await?;
        let pins = pins_of_pem(&pem)
            .map_err(|_| bad_answer(&call, AnswerError::Other("not a certificate in PEM")))?;
        match &self.trust {
            Trust::Pin(expected) if !pins.contains(expected) => Err(CallError::OtherCa),
            Trust::Pin(_) | Trust::Ca(_) | Trust::Host(_) => Ok(pem),
        }
    }

    /// `GET /v1/time`: the master's time in seconds since 1970, signed by the CA for this nonce of 16 to 64 random bytes.
    pub async fn time(&self, nonce: &[u8]) -> Result<i64, CallError> {
        let ca = match &self.trust {
            Trust::Ca(pem) => pem.clone(),
            Trust::Pin(_) | Trust::Host(_) => self.ca().await?,
        };
        let call = Call::get(["v1", "time"]).query("nonce", URL_SAFE_NO_PAD.encode(nonce));
        let signed: SignedTime = self.answer(&call).await?;
        if is_signed(&ca, nonce, &signed) {
            Ok(signed.time)
        } else {
            Err(CallError::BadTimeSignature)
        }
    }

    /// `POST /v1/enrol`.
    pub async fn enrol(&self, request: &EnrolRequest) -> Result<EnrolReply, CallError> {
        self.answer(&Call::json(["v1", "enrol"], request)).await
    }

    /// `POST /v1/renew`.
    pub async fn renew(&self, csr_pem: &str) -> Result<RenewReply, CallError> {
        let request = RenewRequest {
            csr: csr_pem.to_owned(),
        };
        self.answer(&Call::json(["v1", "renew"], &request)).await
    }

    /// `GET /v1/watch`: the computer's generation, held back while it is `since`.
    pub async fn watch(&self, computer: &ComputerId, since: u64) -> Result<u64, CallError> {
        let call = Call::get(["v1", "watch"])
            .query("computer_id", computer)
            .query("since", since)
            .held(Duration::from_secs(WATCH_SECONDS + 20));
        Ok(self.answer::<Watched>(&call).await?.generation)
    }

    /// `POST /v1/report`.
    pub async fn report(&self, report: &NodeReport) -> Result<(), CallError> {
        self.send(&Call::json(["v1", "report"], report))
            .await
            .map(drop)
    }

    /// `POST /v1/tokens`.
    pub async fn create_token(&self, request: &TokenRequest) -> Result<NewToken, CallError> {
        self.answer(&Call::json(["v1", "tokens"], request)).await
    }

    /// `GET /v1/tokens`.
    pub async fn tokens(&self) -> Result<Tokens, CallError> {
        self.answer(&Call::get(["v1", "tokens"])).await
    }

    /// `DELETE /v1/tokens/ID`.
    pub async fn revoke_token(&self, id: &str) -> Result<(), CallError> {
        self.send(&Call::new(Method::DELETE, ["v1", "tokens", id]))
            .await
            .map(drop)
    }

    /// `GET /v1/computers`.
    pub async fn computers(&self) -> Result<Computers, CallError> {
        self.answer(&Call::get(["v1", "computers"])).await
    }

    /// `GET /v1/computers/REF`.
    pub async fn computer_status(&self, computer: &ComputerId) -> Result<Computer, CallError> {
        self.answer(&Call::get(["v1", "computers", computer.as_str()]))
            .await
    }

    /// `POST /v1/computers/REF/approve`.
    pub async fn approve_computer(&self, computer: &ComputerId) -> Result<(), CallError> {
        self.send(&Call::new(
            Method::POST,
            ["v1", "computers", computer.as_str(), "approve"],
        ))
        .await
        .map(drop)
    }

    /// `POST /v1/computers/REF/revoke`.
    pub async fn revoke_computer(&self, computer: &ComputerId) -> Result<(), CallError> {
        self.send(&Call::new(
            Method::POST,
            ["v1", "computers", computer.as_str(), "revoke"],
        ))
        .await
        .map(drop)
    }

    /// `GET /v1/log`.
    pub async fn log(&self, query: &LogQuery) -> Result<Log, CallError> {
        let mut call = Call::get(["v1", "log"]);
        if let Some(after) = query.after {
            call = call.query("after", after);
        }
        if let Some(since) = query.since {
            call = call.query("since", since);
        }
        if let Some(limit) = query.limit {
            call = call.query("limit", limit);
        }
        self.answer(&call).await
    }

    /// `GET /v1/services`.
    pub async fn services(&self) -> Result<Services, CallError> {
        self.answer(&Call::get(["v1", "services"])).await
    }

    /// `GET /v1/services/TITLE`.
    pub async fn service(&self, title: &Title) -> Result<Service, CallError> {
        self.answer(&Call::get(["v1", "services", title.as_str()]))
            .await
    }
}

/// Says whether one of the CAs signed the time.
fn is_signed(ca_pem: &str, nonce: &[u8], signed: &SignedTime) -> bool {
    let message = signed_time_message(nonce, signed.time);
    let signatures = [Some(&signed.signature), signed.previous_signature.as_ref()];
    let signatures: Vec<Vec<u8>> = signatures
        .into_iter()
        .flatten()
        .filter_map(|it| URL_SAFE_NO_PAD.decode(it).ok())
        .collect();
    ca_certificates(ca_pem)
        .unwrap_or_default()
        .iter()
        .filter_map(|ca| X509Certificate::from_der(ca).ok())
        .any(|(_, ca)| {
            let key = &ca.public_key().subject_public_key.data;
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key);
            signatures.iter().any(|it| key.verify(&message, it).is_ok())
        })
}
