//! `skein`: kubectl's habits for a fleet of clusters.
//!
//! One file per command under `commands/`; the doc comment of its arguments is the help text.
//! Standard output is data, standard error the rest; the exit code follows from the kind of error.

mod app;
mod ask;
mod authority;
mod change;
mod cli;
mod client;
mod commands;
mod context;
mod documents;
mod error;
mod follow;
mod keyed;
mod moment;
mod output;
mod private;
mod program;
#[cfg(test)]
mod reference;
mod removal;
mod seal;
mod wait;

pub use app::run;
