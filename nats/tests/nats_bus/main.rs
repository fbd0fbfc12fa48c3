//! The crate against a real `nats-server`.

mod access;
mod embedded;
mod ledger;
mod streams;
mod support;
mod topology;
