//! The demo: the main job, for real, told step by step.

use std::process::ExitCode;

use clap::Parser as _;
use skein_tests::demo::Arguments;

#[tokio::main]
async fn main() -> ExitCode {
    Arguments::parse().run().await
}
