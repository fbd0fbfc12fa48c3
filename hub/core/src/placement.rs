//! Which clusters a placement chooses, and why.
//!
//! [`scope()`] says which sets a placement may choose from, [`Rules`] is its spec, checked once, and
//! [`choose()`] makes the choice out of what is known of the candidates ([`ClusterFacts`]). The
//! steps and the arithmetic are OCM's: predicates, then taints, then prioritizers, then the best N,
//! then groups. All of it is a function of its arguments: equal inputs give equal choices,
//! whatever the order in which clusters became known.

pub mod cel_selector;
pub mod choose;
pub mod facts;
pub mod group;
pub mod predicate;
pub mod prioritize;
pub mod rules;
pub mod satisfaction;
pub mod scheduler;
pub mod scope;
pub mod spread;
pub mod toleration;

mod outcome;

pub use choose::{Choice, Chosen, Inputs, LeftOut, Overrun, choose};
pub use facts::ClusterFacts;
pub use group::Group;
pub use prioritize::{Load, Prioritizer, ScoreOf, Scores};
pub use rules::Rules;
pub use satisfaction::Satisfaction;
pub use scheduler::{Due, Look, Scheduler};
pub use scope::scope;
