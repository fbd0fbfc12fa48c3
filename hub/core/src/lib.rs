//! Placeholder crate root, filled by the next commits.

pub mod clusterset;
pub mod lease;
pub mod taint;
