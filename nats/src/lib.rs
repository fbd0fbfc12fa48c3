//! Everything in Skein that knows NATS: connections, credentials, the embedded
//! server, the declared streams, and the ports the hub and the agent use them by.
//!
//! The crate decides nothing about clusters, works or placements. It turns the
//! bus's many half-typed answers into a few typed ones, so that the layers above
//! never match on text and never see a client library's type.
//!
//! * who may say what: [`accounts`] (the declared model), [`jwt`], [`nkey`],
//!   [`operator`] (keys on disk), [`resolver`] (telling running servers), [`join_token`]
//! * servers: [`server_config`], [`embedded`]
//! * connections: [`mod@connect`], [`message`]
//! * storage: [`topology`] (streams as data), [`ledger`], [`commands`],
//!   [`desired`], [`status`], [`content`], [`snapshots`], [`lease`]

pub mod accounts;
pub mod commands;
pub mod connect;
pub mod content;
pub mod desired;
pub mod embedded;
pub mod join_token;
pub mod jwt;
pub mod lease;
pub mod ledger;
pub mod message;
pub mod nkey;
pub mod operator;
mod pause;
mod private_file;
mod publish;
mod reader;
pub mod resolver;
pub mod server_config;
pub mod snapshots;
pub mod status;
mod task;
pub mod topology;

pub use connect::{Connection, Credentials, Settings, connect};
pub use ledger::{Ledger, NewRecord, Outcome, StoredRecord};
pub use message::{Headers, Message, StoredMessage};
pub use operator::{OperatorKeys, OperatorStore};
pub use publish::{PendingStore, StoreMessageError};
pub use reader::{Bounds, ReadError};
