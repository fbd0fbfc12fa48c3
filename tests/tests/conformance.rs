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
#[path = "conformance/definitions.rs"]
mod definitions;
#[path = "conformance/deletion.rs"]
mod deletion;
#[path = "conformance/namespaces.rs"]
mod namespaces;
#[path = "conformance/objects.rs"]
mod objects;
#[path = "conformance/runner.rs"]
mod runner;
#[path = "conformance/twins.rs"]
mod twins;
#[path = "conformance/watches.rs"]
mod watches;
#[path = "conformance/workloads.rs"]
mod workloads;

fn main() -> ExitCode {
    let checks = [
        objects::checks(),
        apply::checks(),
        watches::checks(),
        deletion::checks(),
        namespaces::checks(),
        definitions::checks(),
        workloads::checks(),
    ];
    runner::run(&checks.concat())
}
