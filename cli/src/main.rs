//! The command line of Skein.

use std::process::ExitCode;

fn main() -> ExitCode {
    skein::run(std::env::args_os())
}
