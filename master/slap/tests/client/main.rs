//! The client against a small TLS server: whom it believes, what its errors say, and what it sends.

mod calls;
mod server;
mod streams;
mod trust;
