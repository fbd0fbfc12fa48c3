//! The hub program against a real nats-server: started, spoken to over the bus alone, killed,
//! started again.
#![allow(clippy::unwrap_used, reason = "a step that fails, fails its test")]

#[path = "hub/agent.rs"]
mod agent;
#[path = "hub/commands.rs"]
mod commands;
#[path = "hub/desired.rs"]
mod desired;
#[path = "hub/failures.rs"]
mod failures;
#[path = "hub/joins.rs"]
mod joins;
#[path = "hub/process.rs"]
mod process;
#[path = "hub/queries.rs"]
mod queries;
#[path = "hub/replicas.rs"]
mod replicas;
#[path = "hub/user.rs"]
mod user;
#[path = "hub/wait.rs"]
mod wait;
