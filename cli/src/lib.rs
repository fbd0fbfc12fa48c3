//! Placeholder crate root, filled by the next commits.
