//! What the agent relies on, asked of every API server that the tests use.
//!
//! One list of checks runs against a simulated cluster in process, against one over HTTP, and against a real
//! kube-apiserver with etcd and kube-controller-manager. All must give the same answers. Where the real control plane
//! cannot be had, that is said in the last lines of the output.
//!
//! `cargo test -p skein-tests --test conformance -- WORD` runs the checks whose name contains the word.

use std::process::ExitCode;

#[path = "conformance/apply.rs"]
mod apply;
#[path = "conformance/context.rs"]
mod context;
#[path = "conformance/objects.rs"]
mod objects;
#[path = "conformance/runner.rs"]
mod runner;
#[path = "conformance/watches.rs"]
mod watches;

fn main() -> ExitCode {
    let checks = [objects::checks(), apply::checks(), watches::checks()].concat();
    runner::run(&checks)
}
