//! A box against a master over real TLS: the master here is a small one of the test's own, since an agent knows no master's
//! code; the product's own is met in `qa`.

#![expect(clippy::unwrap_used, reason = "what a test cannot do makes it fail")]

mod enrolment;
mod format;
mod master;
mod requests;
mod usage;
