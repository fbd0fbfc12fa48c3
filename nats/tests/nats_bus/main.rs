//! The crate against a real `nats-server`.

mod access;
mod attack;
mod cluster;
mod embedded;
mod ledger;
mod streams;
mod support;
mod topology;
