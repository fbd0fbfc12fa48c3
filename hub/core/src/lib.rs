//! Every decision of the hub, as pure functions of folded state: no clock, no randomness, no I/O.
//!
//! The ledger is folded into a [`World`], agents' reports into [`Observed`]. [`decide()`] turns a
//! command into a [`Decision`] or a refusal, [`join`] an agent's wish, [`react`] what has happened;
//! a decision is a record for the ledger, and the next [`World::evolve`] takes it in.

pub mod access;
pub mod availability;
pub mod clusterset;
pub mod decide;
pub mod desired;
pub mod history;
pub mod invariant;
pub mod join;
pub mod lease;
pub mod ledger;
pub mod merge;
pub mod observed;
pub mod placement;
pub mod react;
pub mod rollout;
pub mod select;
pub mod snapshot;
pub mod taint;
pub mod view;
pub mod world;

mod nkey;
mod pack;
mod stamp;

#[cfg(test)]
mod scenario;

pub use availability::Heartbeats;
pub use decide::{Context, Decision, Subject, decide};
pub use join::{Grant, JoinDecision, JoinVerdict, decide_join, decide_renew};
pub use ledger::Stored;
pub use observed::{Observed, ObservedChange};
pub use react::Trigger;
pub use world::{Changes, World};
