//! Placeholder crate root, filled by the next commits.

pub mod decode;
pub mod kind;
pub mod resource;
