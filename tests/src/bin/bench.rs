//! The benchmarks: baselines and Skein in one run, written to docs/benchmarks.md.

use std::process::ExitCode;

use clap::Parser as _;
use skein_tests::bench::Arguments;

#[tokio::main]
async fn main() -> ExitCode {
    Arguments::parse().run().await
}
