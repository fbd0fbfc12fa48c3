//! The program `skein-agent`.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    skein_agent::program::run(skein_agent::config::Arguments::parse())
}
