//! A failed call in words that a person at the console can act on. Pure.

use std::io;

use slap::client::{CallError, TlsRefusal};
use slap::v1::ApiError;

use crate::causes;

/// Why a call failed, in words.
pub fn reason(error: &CallError) -> String {
    match error {
        CallError::Unreachable { url, err } => {
            format!("the master at {} {}", host(url), silence(err))
        }
        CallError::TlsRefused { url, refusal } => {
            let host = host(url);
            match refusal {
                TlsRefusal::OtherCa => format!(
                    "{host} is not the master of the join blob: its certificate is not signed by the expected CA"
                ),
                TlsRefusal::OtherName
                | TlsRefusal::Expired
                | TlsRefusal::NotYetValid
                | TlsRefusal::Alert(_)
                | TlsRefusal::Other(_) => format!("no TLS with {host}: {refusal}"),
            }
        }
        CallError::Forbidden(api) | CallError::NotReady(api) => format!("the master says: {api}"),
        CallError::NotFound(api) => format!("this is not a Slapbox master, or an old one: {api}"),
        CallError::Status { status, error } => format!("the master answered {status}: {error}"),
        CallError::BadTimeSignature
        | CallError::OtherCa
        | CallError::TooLong(_)
        | CallError::Cut(_)
        | CallError::BadAnswer { .. } => causes::in_one_line(error),
    }
}

/// The master's own code for a refusal.
pub fn code_of(error: &CallError) -> Option<&str> {
    let api: &ApiError = match error {
        CallError::Forbidden(api) | CallError::NotReady(api) | CallError::NotFound(api) => api,
        CallError::Status { error, .. } => error,
        CallError::Unreachable { .. }
        | CallError::TlsRefused { .. }
        | CallError::Cut(_)
        | CallError::TooLong(_)
        | CallError::BadAnswer { .. }
        | CallError::BadTimeSignature
        | CallError::OtherCa => return None,
    };
    Some(&api.error)
}

/// Whether the call failed since a certificate does not count at the time that the box has.
pub(super) fn is_clock(error: &CallError) -> bool {
    matches!(
        error,
        CallError::TlsRefused {
            refusal: TlsRefusal::Expired | TlsRefusal::NotYetValid,
            ..
        }
    )
}

/// Whether the master has taken the identity back. SLAP's routes say so in plain words.
pub(super) fn is_revoked(error: &CallError) -> bool {
    match error {
        CallError::Forbidden(api) => {
            api.error == "revoked" || api.message == "this certificate is revoked"
        }
        CallError::NotReady(_)
        | CallError::NotFound(_)
        | CallError::Status { .. }
        | CallError::Unreachable { .. }
        | CallError::TlsRefused { .. }
        | CallError::Cut(_)
        | CallError::TooLong(_)
        | CallError::BadAnswer { .. }
        | CallError::BadTimeSignature
        | CallError::OtherCa => false,
    }
}

/// Whether the very same call would always fail.
pub(super) fn is_final(error: &CallError) -> bool {
    match error {
        CallError::NotFound(_) => true,
        CallError::Status { status, .. } => (400..500).contains(status) && *status != 429,
        CallError::Forbidden(api) => api.error == "forbidden",
        CallError::NotReady(_)
        | CallError::Unreachable { .. }
        | CallError::TlsRefused { .. }
        | CallError::Cut(_)
        | CallError::TooLong(_)
        | CallError::BadAnswer { .. }
        | CallError::BadTimeSignature
        | CallError::OtherCa => false,
    }
}

/// `https://` is on every address and tells nothing.
fn host(url: &str) -> &str {
    url.trim_start_matches("https://").trim_end_matches('/')
}

/// Why nobody answered.
fn silence(error: &reqwest::Error) -> String {
    let causes: Vec<_> = causes::all(error).collect();
    let kind = causes
        .iter()
        .find_map(|cause| cause.downcast_ref::<io::Error>())
        .map(io::Error::kind);
    let named = |what: &str| causes.iter().any(|cause| cause.to_string().contains(what));
    match kind {
        _ if named("dns error") || named("failed to lookup address") => {
            "cannot be found: its name is not known here".to_owned()
        }
        Some(io::ErrorKind::ConnectionRefused) => {
            "does not answer: the connection is refused".to_owned()
        }
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
            "cannot be reached: there is no route to it".to_owned()
        }
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof) => {
            "cut the connection".to_owned()
        }
        _ if error.is_timeout() => "does not answer in time".to_owned(),
        _ => {
            let last = causes
                .last()
                .map_or_else(|| error.to_string(), ToString::to_string);
            format!("cannot be reached: {last}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(error: &str, message: &str) -> ApiError {
        ApiError {
            error: error.into(),
            message: message.into(),
        }
    }

    #[test]
    fn a_foreign_master_is_said_to_be_one() {
        let refused = |refusal| CallError::TlsRefused {
            url: "https://192.0.2.1/".into(),
            refusal,
        };
        assert_eq!(
            reason(&refused(TlsRefusal::OtherCa)),
            "192.0.2.1 is not the master of the join blob: its certificate is not signed by the expected CA"
        );
        assert!(is_clock(&refused(TlsRefusal::NotYetValid)));
        assert!(!is_clock(&refused(TlsRefusal::OtherCa)));
    }

    #[test]
    fn a_revocation_is_known_in_either_form() {
        assert!(is_revoked(&CallError::Forbidden(api("revoked", "x"))));
        assert!(is_revoked(&CallError::Forbidden(api(
            "status_403",
            "this certificate is revoked"
        ))));
        assert!(!is_revoked(&CallError::Forbidden(api(
            "token_refused",
            "x"
        ))));
    }

    #[test]
    fn only_what_can_never_work_is_given_up() {
        let status = |status| CallError::Status {
            status,
            error: api("x", "y"),
        };
        assert!(is_final(&status(409)) && is_final(&status(400)));
        assert!(!is_final(&status(500)) && !is_final(&status(429)));
    }
}
