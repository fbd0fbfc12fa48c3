//! Placement: OCM's answers, what Skein does beside them, and what always holds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "placement/ocm.rs"]
mod ocm;
#[path = "placement/own.rs"]
mod own;
#[path = "placement/properties.rs"]
mod properties;
#[path = "placement/question.rs"]
mod question;
#[path = "placement/toleration.rs"]
mod toleration;
