//! `skein`: kubectl's habits for a fleet of clusters.
//!
//! One file per command under `commands/`; the doc comment of its arguments is the help text.
//! Standard output is data, standard error the rest; the exit code follows from the kind of error.

mod app;
mod ask;
mod authority;
mod cli;
mod client;
mod commands;
mod context;
mod documents;
mod error;
mod moment;
mod output;
mod removal;
mod seal;
mod change;
mod keyed;
mod private;
mod program;
mod wait;

pub use app::run;
