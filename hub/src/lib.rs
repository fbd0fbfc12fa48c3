//! The hub: it decides commands, keeps the ledger, tells agents what is wanted, and answers
//! questions. What is decided is in `skein-hub-core`; how the bus is spoken to, in `skein-nats`;
//! this crate connects the two.
//!
//! * start here: [`app`] (the composition root), [`config`], [`embedded`], [`task`]
//! * the loop: [`driver`], with [`state`], what everybody else may see
//! * in: [`intake`] (commands), [`join`], [`status`], [`beats`], [`lead`]
//! * out: [`answers`], [`dispatch`] (desired messages), [`snapshots`], [`revoke`]
//! * questions: [`queries`], [`sync`], [`hydrate`], [`http`], [`metrics`]
//! * keys: [`signing`], [`authority`], [`private_file`]

pub mod answers;
pub mod app;
pub mod authority;
pub mod beats;
pub mod config;
pub mod dispatch;
pub mod driver;
pub mod embedded;
pub mod http;
pub mod hydrate;
pub mod intake;
pub mod join;
pub mod lead;
pub mod metrics;
pub mod private_file;
pub mod queries;
pub mod revoke;
pub mod signing;
pub mod snapshots;
pub mod state;
pub mod status;
pub mod sync;
pub mod task;
pub mod trace;

/// An error with all that caused it, on one line, for logs.
pub(crate) fn report(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
