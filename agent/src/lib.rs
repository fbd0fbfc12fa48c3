//! The klusterlet: Skein's agent on a managed cluster.
//!
//! It registers, keeps one connection to the bus, takes in what the hub has signed, makes the
//! cluster so, and tells what it sees. What is to be done is decided by `skein-agent-core`; here is
//! everything that touches the world. Many agents can live in one process.
//!
//! * composition: [`app`], [`config`], [`environment`], [`task`]
//! * membership: [`keys`], [`credential`], [`registration`]
//! * the hub: [`link`], [`uplink`], [`outbox`]
//! * the loop and its memory: [`driver`], [`journal`], [`content`], [`state_dir`]
//! * the cluster: [`cluster`], [`reconcile`], [`watch`], [`inventory`]
//! * seen from outside: [`metrics`], [`http`]

pub mod app;
pub mod cause;
pub mod cluster;
pub mod config;
pub mod content;
pub mod credential;
pub mod driver;
pub mod environment;
pub mod http;
pub mod inventory;
pub mod journal;
pub mod keys;
pub mod link;
pub mod metrics;
pub mod outbox;
pub mod program;
pub mod reconcile;
pub mod registration;
pub mod state_dir;
pub mod task;
pub mod uplink;
pub mod watch;

pub use app::{Agent, AgentHandle, AgentOptions, AgentState};
