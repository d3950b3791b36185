//! The master as its clients meet it: over TLS, on a port of its own, with a store in a file.

mod enrolment;
mod lab;
mod services;
