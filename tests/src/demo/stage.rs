//! What the demo plays on: a folder, the programs, and the command line.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::cast::Member;
use super::{Failure, Outcome};
use crate::relay::Relay;

/// How long any one thing may take before the demo calls it broken.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The programs, the folder they work in, and who plays.
pub(super) struct Stage {
    folder: Option<TempDir>,
    path: PathBuf,
    programs: PathBuf,
    children: Vec<(String, Child)>,
    /// The clusters of the demo, in order.
    pub(super) members: Vec<Member>,
    /// The network between the last cluster and the bus.
    pub(super) relay: Option<Relay>,
    /// The ledger's sequence before the change that is looked back at.
    pub(super) before_change: Option<u64>,
    commands: u32,
}

impl Stage {
    /// Finds the programs and makes a folder.
    pub(super) fn build() -> Outcome<Self> {
        let this = std::env::current_exe().map_err(|e| Failure::because("find the programs", &e))?;
        let programs = this.parent().unwrap_or(Path::new(".")).to_owned();
        for name in ["skein", "skein-hub", "skein-agent", "skein-sim"] {
            if !programs.join(name).is_file() {
                return Err(Failure::new(format!(
                    "{} is not built: run `cargo build --workspace --bins`",
                    programs.join(name).display()
                )));
            }
        }
        let folder = tempfile::Builder::new()
            .prefix("skein-demo-")
            .tempdir()
            .map_err(|e| Failure::because("make a folder", &e))?;
        let path = folder.path().to_owned();
        std::fs::create_dir(path.join("logs")).map_err(|e| Failure::because("make a folder", &e))?;
        Ok(Self {
            folder: Some(folder),
            path,
            programs,
            children: Vec::new(),
            members: Vec::new(),
            relay: None,
            before_change: None,
            commands: 0,
        })
    }

    /// A path in the demo's folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where the programs' logs are.
    pub(super) fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// Lets the folder stay, for somebody to look into.
    pub(super) fn keep_files(&mut self) {
        if let Some(folder) = self.folder.take() {
            let _ = folder.keep();
        }
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        // The reader's own configuration must not play a part.
        for variable in ["SKEIN_CONTEXT", "SKEIN_TOKEN", "KUBECONFIG"] {
            command.env_remove(variable);
        }
        command.env("SKEIN_CONFIG", self.path("config.yaml")).kill_on_drop(true).stdin(Stdio::null());
        command
    }

    /// Starts a program that stays; its output goes to a log of that name.
    pub(super) fn start(&mut self, name: &str, program: &str, arguments: &[&str]) -> Outcome<()> {
        let log = self.logs().join(format!("{name}.log"));
        let open = || File::options().create(true).append(true).open(&log);
        let (out, err) = open().and_then(|file| Ok((file.try_clone()?, file))).map_err(|e| Failure::because("open a log", &e))?;
        let child = self
            .program(program)
            .args(arguments)
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|e| Failure::because(&format!("start {program}"), &e))?;
        self.children.push((name.to_owned(), child));
        Ok(())
    }

    /// Fails if a program that should stay has ended.
    fn check_running(&mut self) -> Outcome<()> {
        for (name, child) in &mut self.children {
            if let Ok(Some(status)) = child.try_wait() {
                let log = self.path.join("logs").join(format!("{name}.log"));
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                let tail: Vec<&str> = text.lines().rev().take(8).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                return Err(Failure::new(format!("{name} has ended ({status}); its last words:\n    {}", tail.join("\n    "))));
            }
        }
        Ok(())
    }

    /// Types a command for the reader to see, and answers what it printed.
    pub(super) async fn skein(&mut self, line: &str) -> Outcome<String> {
        println!("  $ skein {line}");
        let out = self.ask(line).await?;
        for line in out.lines() {
            println!("    {line}");
        }
        Ok(out)
    }

    /// Types a command whose exit code 1 means that it found differences.
    pub(super) async fn differences(&mut self, line: &str) -> Outcome<String> {
        println!("  $ skein {line}");
        let out = self.run(line, &[0, 1]).await?;
        for line in out.lines() {
            println!("    {line}");
        }
        Ok(out)
    }

    /// Runs a command without showing it. Words are separated by one space.
    pub(super) async fn ask(&mut self, line: &str) -> Outcome<String> {
        self.run(line, &[0]).await
    }

    async fn run(&mut self, line: &str, good: &[i32]) -> Outcome<String> {
        self.commands += 1;
        let output = self
            .program("skein")
            .args(line.split(' '))
            .output()
            .await
            .map_err(|e| Failure::because("run skein", &e))?;
        if !output.status.code().is_some_and(|code| good.contains(&code)) {
            self.check_running()?;
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::new(format!("`skein {line}` ended with {}:\n    {}", output.status, said.trim().replace('\n', "\n    "))));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Asks again until `judge` is content with what was printed.
    pub(super) async fn until(&mut self, line: &str, judge: impl Fn(&str) -> bool) -> Outcome<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let last = match self.ask(line).await {
                Ok(out) if judge(&out) => return Ok(out),
                Ok(out) => out,
                Err(failure) => failure.to_string(),
            };
            self.check_running()?;
            if Instant::now() > deadline {
                return Err(Failure::new(format!("`skein {line}` after {}s still says:\n    {}", PATIENCE.as_secs(), last.replace('\n', "\n    "))));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a file is there and holds something.
    pub(super) async fn file(&mut self, path: &Path) -> Outcome<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match std::fs::read_to_string(path) {
                Ok(text) if !text.is_empty() => return Ok(text),
                _ => {}
            }
            self.check_running()?;
            if Instant::now() > deadline {
                return Err(Failure::new(format!("{} has not appeared", path.display())));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Puts a relay between a cluster and the bus at `target`.
    pub(super) async fn lay_relay(&mut self, target: SocketAddr) -> Outcome<SocketAddr> {
        let relay = Relay::start(target).await.map_err(|e| Failure::because("lay a relay", &e))?;
        let address = relay.address();
        self.relay = Some(relay);
        Ok(address)
    }

    /// One line about what was done.
    pub(super) fn summary(&self) -> String {
        format!("{} clusters, {} commands, 1 hub, nothing scripted behind the command line", self.members.len(), self.commands)
    }

    /// Stops every program, last started first.
    pub(super) async fn end(&mut self) {
        for (_, child) in self.children.iter_mut().rev() {
            if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw) {
                // An error means that it has ended already.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
            if tokio::time::timeout(Duration::from_secs(15), child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
        }
        self.children.clear();
    }

    /// Tells how to talk to what runs, and stays until interrupted.
    pub(super) async fn stay(&mut self) -> ExitCode {
        println!("\nEverything goes on running. In another terminal:");
        println!("  export SKEIN_CONFIG={}", self.path("config.yaml").display());
        println!("  export PATH={}:$PATH", self.programs.display());
        println!("  skein get managedclusters -o wide");
        for member in &self.members {
            println!("  kubectl --kubeconfig {} --context {} get all -A", member.kubeconfig.display(), member.context);
        }
        println!("Ctrl-C ends it.");
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("error: cannot wait for Ctrl-C: {error}");
        }
        self.end().await;
        ExitCode::SUCCESS
    }
}
