//! Starting the programs that do the long work: the hub and the agent.

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use skein_schema::code::Code;
use tokio::process::{Child, Command};

use crate::error::{CliError, CliResult};

/// Finds `name` next to this program, else on the PATH. `variable` names another place.
pub(crate) fn find(name: &str, variable: &str) -> CliResult<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(path.into());
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|this| Some(this.parent()?.join(name)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(name));
    beside
        .into_iter()
        .chain(on_path)
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| {
            CliError::new(Code::MissingProgram, format!("cannot find {name}")).with_hint(format!(
                "install it beside skein or on the PATH, or let {variable} name it"
            ))
        })
}

/// Runs `command` in the foreground: its input and output are ours, and our end is its end.
pub(crate) async fn run_with_input(name: &str, mut command: Command) -> CliResult<ExitCode> {
    command.kill_on_drop(true);
    let mut child = command
        .spawn()
        .map_err(|error| CliError::io(&format!("start {name}"), &error))?;
    tokio::select! {
        status = child.wait() => {
            let status = status.map_err(|error| CliError::io(&format!("wait for {name}"), &error))?;
            // 128 + signal is how a shell tells of a program that a signal ended.
            use std::os::unix::process::ExitStatusExt as _;
            let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
            Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
        }
        stopped = stop_signal() => {
            stopped?;
            stop(name, child).await
        }
    }
}

/// Starts `command`; if we are killed, so is it.
pub(crate) fn start(name: &str, command: &mut Command) -> CliResult<Child> {
    command.kill_on_drop(true).stdin(Stdio::null());
    command
        .spawn()
        .map_err(|error| CliError::io(&format!("start {name}"), &error))
}

/// Resolves when we are asked to stop.
pub(crate) async fn stop_signal() -> CliResult<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|error| CliError::io("listen for signals", &error));
    let (mut terminate, mut interrupt) = (
        listen(SignalKind::terminate())?,
        listen(SignalKind::interrupt())?,
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Asks `child` to stop and waits until it has.
pub(crate) async fn stop(name: &str, mut child: Child) -> CliResult<ExitCode> {
    if let Some(pid) = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(rustix::process::Pid::from_raw)
    {
        // An error means that it is gone already, which is what we want.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    child
        .wait()
        .await
        .map_err(|error| CliError::io(&format!("wait for {name}"), &error))?;
    Ok(ExitCode::SUCCESS)
}
