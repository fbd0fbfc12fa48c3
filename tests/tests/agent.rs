//! The agent against a simulated cluster, with a hub that lives in memory: what it applies, heals,
//! prunes and reports, what it survives, and what it does not believe.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "agent/apply.rs"]
mod apply;
#[path = "agent/belief.rs"]
mod belief;
#[path = "agent/executor.rs"]
mod executor;
#[path = "agent/hub.rs"]
mod hub;
#[path = "agent/membership.rs"]
mod membership;
#[path = "agent/offline.rs"]
mod offline;
#[path = "agent/ownership.rs"]
mod ownership;
#[path = "agent/refusal.rs"]
mod refusal;
#[path = "agent/reports.rs"]
mod reports;
#[path = "agent/scene.rs"]
mod scene;
