//! The composition root: the only place that reads the clock and makes ids, and that turns an
//! error into text and an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use jiff::Timestamp;
use uuid::Uuid;

use crate::cli::Cli;
use crate::error::CliError;

/// Parses `arguments`, runs the command, prints what went wrong, and answers the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // clap prints help and version to stdout, mistakes to stderr.
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            return match error.print() {
                Ok(()) => ExitCode::from(code),
                Err(_) => ExitCode::FAILURE,
            };
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(source) => return fail(&CliError::io("start the runtime", &source)),
    };
    match runtime.block_on(cli.run()) {
        Ok(code) => code,
        // `skein get … | head` closes our output early; that is no error of ours.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &CliError) -> ExitCode {
    error.print();
    ExitCode::from(error.exit_code())
}

/// The time now.
#[allow(
    clippy::disallowed_methods,
    reason = "the composition root owns the clock"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// A new id for a command or a trace.
#[expect(clippy::disallowed_methods, reason = "the composition root makes ids")]
pub(crate) fn new_id() -> Uuid {
    Uuid::now_v7()
}

/// A W3C trace context for a command: everything that follows from it shares the trace id.
pub(crate) fn new_traceparent() -> String {
    let span = new_id().as_u128() & u128::from(u64::MAX);
    format!("00-{:032x}-{span:016x}-01", new_id().as_u128())
}
