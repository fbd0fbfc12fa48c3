//! One program of a control plane.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::StartError;

/// A running program. It ends when this is dropped, and also when this process dies: a small shell holds a pipe from
/// us and kills the program when the pipe closes.
#[derive(Debug)]
pub(super) struct Process {
    name: &'static str,
    shell: Child,
    log: PathBuf,
}

const WATCH: &str = r#"exec 3<&0; "$@" 3<&- </dev/null & child=$!
{ read -r line <&3; kill -KILL $child; } >/dev/null 2>&1 &
wait $child"#;

impl Process {
    /// Starts a program; its output goes to `<name>.log` in the folder.
    pub(super) fn start(
        name: &'static str,
        program: &Path,
        arguments: &[String],
        folder: &Path,
    ) -> io::Result<Process> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log)?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", WATCH, name])
            .arg(program)
            .args(arguments)
            .current_dir(folder);
        command
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output);
        Ok(Process {
            name,
            shell: command.spawn()?,
            log,
        })
    }

    /// The program's name.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// The id of the process that stands for the program: when it ends, so has the program.
    pub(super) fn id(&self) -> u32 {
        self.shell.id()
    }

    /// Whether the program has ended, and what it said last.
    pub(super) fn ended(&mut self) -> Option<StartError> {
        // If the state cannot be read the program is taken to live; the deadline will tell.
        self.shell.try_wait().ok().flatten()?;
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let mut tail: Vec<&str> = log.lines().rev().take(20).collect();
        tail.reverse();
        Some(StartError::Ended {
            program: self.name,
            log: self.log.display().to_string(),
            tail: tail.join("\n"),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Closing the pipe is what ends the program; then the shell ends by itself.
        drop(self.shell.stdin.take());
        drop(self.shell.wait());
    }
}
