//! Given, when, then: each command accepted, refused, and sent twice.

mod admit;
mod apply;
mod clusters;
mod delete;
mod once;
mod refused;
mod rights;
mod tokens;
mod works;
