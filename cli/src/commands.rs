//! The commands, one file each.

pub(crate) mod accept;
pub(crate) mod annotate;
pub(crate) mod apply;
pub(crate) mod clusterset;
pub(crate) mod completion;
pub(crate) mod contexts;
pub(crate) mod delete;
pub(crate) mod deny;
pub(crate) mod describe;
pub(crate) mod detach;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod get;
pub(crate) mod history;
pub(crate) mod init;
pub(crate) mod join;
pub(crate) mod label;
pub(crate) mod replay;
pub(crate) mod taint;
pub(crate) mod token;
pub(crate) mod up;
pub(crate) mod version;
