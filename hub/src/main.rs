//! The `skein-hub` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    skein_hub::app::run(std::env::args_os())
}
