//! What is measured on, and what processes take, as the kernel tells it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::stage::{Failure, Outcome};

/// The machine and the sources.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) memory: String,
    pub(super) kernel: String,
    pub(super) nats_server: String,
    pub(super) commit: String,
    pub(super) build: &'static str,
}

impl Machine {
    pub(super) fn look() -> Self {
        let told = |path: &str, key: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(key));
            line.and_then(|line| line.split_once(':')).map_or_else(
                || "unknown".to_owned(),
                |(_, value)| value.trim().to_owned(),
            )
        };
        let server = skein_nats::embedded::find_binary(None).ok();
        Self {
            processor: told("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: told("/proc/meminfo", "MemTotal"),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            nats_server: server.map_or_else(
                || "unknown".to_owned(),
                |server| output(&server.path, &["--version"]),
            ),
            commit: output(
                Path::new("git"),
                &["describe", "--always", "--dirty", "--abbrev=12"],
            ),
            build: if cfg!(debug_assertions) {
                "debug: figures say nothing"
            } else {
                "release"
            },
        }
    }
}

fn output(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// Resident memory of a process, in KiB.
pub(super) fn resident(pid: u32) -> Outcome<f64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).map_err(|error| Failure::because(&path, &error))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| Failure::new(format!("{path} does not tell the memory")))
}

/// Processor time that a process has had, in clock ticks of 10 ms.
pub(super) fn ticks(pid: u32) -> Outcome<u64> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).map_err(|error| Failure::because(&path, &error))?;
    // The name, in parentheses, may hold anything.
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<_> = rest.split_whitespace().collect();
    let field = |place: usize| fields.get(place)?.parse::<u64>().ok();
    match (field(11), field(12)) {
        (Some(user), Some(system)) => Ok(user + system),
        _ => Err(Failure::new(format!("{path} cannot be read"))),
    }
}

/// The children of a process.
pub(super) fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|text| {
            let pids = text.split_whitespace().filter_map(|pid| pid.parse().ok());
            pids.collect::<Vec<_>>()
        })
        .collect()
}

/// The folder of the programs, which cargo builds beside this one.
pub(super) fn programs() -> Outcome<PathBuf> {
    let this =
        std::env::current_exe().map_err(|error| Failure::because("find the programs", &error))?;
    Ok(this.parent().unwrap_or(Path::new(".")).to_owned())
}
