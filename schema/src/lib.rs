//! The language of Skein: resources, commands, events and messages, and the subjects they travel
//! on. Everything that crosses a wire or stays in a ledger has its type here, with its golden form
//! in the tests. No clock, no randomness, no I/O.

pub mod code;
pub mod command;
pub mod decode;
pub mod desired;
pub mod digest;
pub mod envelope;
pub mod event;
pub mod join;
pub mod json_path;
pub mod kind;
pub mod name;
pub mod object;
pub mod query;
pub mod record;
pub mod resource;
pub mod seal;
pub mod status;
pub mod subject;
pub mod sync;
