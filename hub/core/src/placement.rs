//! Which clusters a placement chooses.

pub mod cel_selector;
