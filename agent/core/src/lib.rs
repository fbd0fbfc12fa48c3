//! The agent's decisions, without I/O, clock or chance: what the hub wants of a cluster, what is to
//! be done on its API server next, and what is to be told about it.

pub mod aggregate;
pub mod applied_work;
pub mod condition_rules;
pub mod converge;
pub mod deletion;
pub mod drift;
pub mod feedback;
pub mod json_path;
pub mod manifest_config;
pub mod order;
pub mod outcome;
pub mod ownership;
pub mod readiness;
pub mod report;
pub mod retry;
pub mod state;
