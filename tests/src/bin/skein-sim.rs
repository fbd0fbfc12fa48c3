//! `skein-sim`: serves simulated Kubernetes clusters over HTTP.

use std::process::ExitCode;

use clap::Parser;
use skein_tests::sim_cluster::program::{Arguments, run};

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("skein-sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}
