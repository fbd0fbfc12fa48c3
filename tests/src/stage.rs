//! What the demo and the end-to-end tests play on: a folder, the programs, and the command line.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::relay::Relay;

mod member;

pub use member::{Kind, Member};

/// How long any one thing may take before it is called broken.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Why a step did not do what it says, in words for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

/// The answer of a step.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// A failure in words.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What was tried, and the error with its causes.
    #[must_use]
    pub fn because(what: &str, error: &dyn std::error::Error) -> Self {
        let mut text = format!("{what}: {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        Self(text)
    }
}

/// The programs, the folder they work in, and who plays.
pub struct Stage {
    folder: Option<TempDir>,
    path: PathBuf,
    programs: PathBuf,
    children: Vec<(String, Child)>,
    /// The clusters, in order.
    pub members: Vec<Member>,
    /// The network between the last cluster and the bus.
    pub relay: Option<Relay>,
    /// The ledger's sequence before the change that is looked back at.
    pub before_change: Option<u64>,
    commands: u32,
}

impl Stage {
    /// Finds the programs, which cargo builds beside ours, and makes a folder.
    ///
    /// # Errors
    /// When a program is not built, or the folder cannot be made.
    pub fn build() -> Outcome<Self> {
        let this =
            std::env::current_exe().map_err(|e| Failure::because("find the programs", &e))?;
        let mut programs = this.parent().unwrap_or(Path::new("."));
        if programs.ends_with("deps") {
            // A test's program lies one folder deeper.
            programs = programs.parent().unwrap_or(programs);
        }
        let programs = programs.to_owned();
        for name in ["skein", "skein-hub", "skein-agent", "skein-sim"] {
            if !programs.join(name).is_file() {
                return Err(Failure::new(format!(
                    "{} is not built: run `cargo build --workspace --bins`",
                    programs.join(name).display()
                )));
            }
        }
        let folder = tempfile::Builder::new()
            .prefix("skein-stage-")
            .tempdir()
            .map_err(|e| Failure::because("make a folder", &e))?;
        let path = folder.path().to_owned();
        std::fs::create_dir(path.join("logs"))
            .map_err(|e| Failure::because("make a folder", &e))?;
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

    /// A path in the stage's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where the programs' logs are.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// Lets the folder stay, for somebody to look into.
    pub fn keep_files(&mut self) {
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
        command
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .env("SKEIN_CONFIG", self.path("config.yaml"))
            .kill_on_drop(true)
            .stdin(Stdio::null());
        command
    }

    /// Starts a nats-server that is not supervised by a hub.
    ///
    /// # Errors
    /// When there is none, or it does not start.
    pub fn start_server(&mut self, name: &str, arguments: &[&str]) -> Outcome<()> {
        let binary = skein_nats::embedded::find_binary(None)
            .map_err(|e| Failure::because("find nats-server", &e))?;
        self.spawn(name, Command::new(binary.path), arguments)
    }

    /// Starts a program that stays; its output goes to a log of that name.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&mut self, name: &str, program: &str, arguments: &[&str]) -> Outcome<()> {
        let command = self.program(program);
        self.spawn(name, command, arguments)
    }

    fn spawn(&mut self, name: &str, mut command: Command, arguments: &[&str]) -> Outcome<()> {
        let log = self.logs().join(format!("{name}.log"));
        let open = || File::options().create(true).append(true).open(&log);
        let (out, err) = open()
            .and_then(|file| Ok((file.try_clone()?, file)))
            .map_err(|e| Failure::because("open a log", &e))?;
        let child = command
            .args(arguments)
            .stdout(out)
            .stderr(err)
            .kill_on_drop(true)
            .process_group(0)
            .spawn()
            .map_err(|e| Failure::because(&format!("start {name}"), &e))?;
        self.children.push((name.to_owned(), child));
        Ok(())
    }

    /// The process of a program that was started under this name and stays.
    pub fn process(&self, name: &str) -> Option<u32> {
        let (_, child) = self.children.iter().find(|(known, _)| known == name)?;
        child.id()
    }

    /// Fails if a program that should stay has ended.
    fn check_running(&mut self) -> Outcome<()> {
        for (name, child) in &mut self.children {
            if let Ok(Some(status)) = child.try_wait() {
                let log = self.path.join("logs").join(format!("{name}.log"));
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                let tail: Vec<&str> = text.lines().rev().take(8).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                return Err(Failure::new(format!(
                    "{name} has ended ({status}); its last words:\n    {}",
                    tail.join("\n    ")
                )));
            }
        }
        Ok(())
    }

    /// Types a command for the reader to see, and answers what it printed.
    pub async fn skein(&mut self, line: &str) -> Outcome<String> {
        println!("  $ skein {line}");
        let out = self.ask(line).await?;
        for line in out.lines() {
            println!("    {line}");
        }
        Ok(out)
    }

    /// Types a command whose exit code 1 means that it found differences.
    pub async fn differences(&mut self, line: &str) -> Outcome<String> {
        println!("  $ skein {line}");
        let out = self.run(line, &[0, 1]).await?;
        for line in out.lines() {
            println!("    {line}");
        }
        Ok(out)
    }

    /// Runs a command without showing it. Words are separated by one space.
    pub async fn ask(&mut self, line: &str) -> Outcome<String> {
        self.run(line, &[0]).await
    }

    /// Runs a command that must end with this exit code, and answers what it printed and what it
    /// said beside that.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub async fn fail(&mut self, line: &str, code: i32) -> Outcome<(String, String)> {
        let output = self.output(line).await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, said) = (text(&output.stdout), text(&output.stderr));
        if output.status.code() == Some(code) {
            return Ok((out, said));
        }
        self.check_running()?;
        Err(Failure::new(format!(
            "`skein {line}` ended with {} and not with {code}:\n    {}",
            output.status,
            said.trim().replace('\n', "\n    ")
        )))
    }

    async fn output(&mut self, line: &str) -> Outcome<std::process::Output> {
        self.commands += 1;
        self.program("skein")
            .args(line.split(' '))
            .output()
            .await
            .map_err(|e| Failure::because("run skein", &e))
    }

    async fn run(&mut self, line: &str, good: &[i32]) -> Outcome<String> {
        let output = self.output(line).await?;
        if !output
            .status
            .code()
            .is_some_and(|code| good.contains(&code))
        {
            self.check_running()?;
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::new(format!(
                "`skein {line}` ended with {}:\n    {}",
                output.status,
                said.trim().replace('\n', "\n    ")
            )));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Asks again until `judge` is content with what was printed.
    pub async fn until(&mut self, line: &str, judge: impl Fn(&str) -> bool) -> Outcome<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let last = match self.ask(line).await {
                Ok(out) if judge(&out) => return Ok(out),
                Ok(out) => out,
                Err(failure) => failure.to_string(),
            };
            self.check_running()?;
            if Instant::now() > deadline {
                return Err(Failure::new(format!(
                    "`skein {line}` after {}s still says:\n    {}",
                    PATIENCE.as_secs(),
                    last.replace('\n', "\n    ")
                )));
            }
            pause().await;
        }
    }

    /// Waits until a file is there and holds something.
    pub async fn file(&mut self, path: &Path) -> Outcome<String> {
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
            pause().await;
        }
    }

    /// Waits until `judge` is content with what a program that was started has printed.
    ///
    /// # Errors
    /// When it is not, or a program has ended.
    pub async fn until_said(
        &mut self,
        name: &str,
        judge: impl Fn(&str) -> bool,
    ) -> Outcome<String> {
        let log = self.logs().join(format!("{name}.log"));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            if judge(&text) {
                return Ok(text);
            }
            self.check_running()?;
            if Instant::now() > deadline {
                return Err(Failure::new(format!(
                    "{name} after {}s has said only:\n    {}",
                    PATIENCE.as_secs(),
                    text.replace('\n', "\n    ")
                )));
            }
            pause().await;
        }
    }

    /// Puts a relay between a cluster and the bus at `target`.
    pub async fn lay_relay(&mut self, target: SocketAddr) -> Outcome<SocketAddr> {
        let relay = Relay::start(target)
            .await
            .map_err(|e| Failure::because("lay a relay", &e))?;
        let address = relay.address();
        self.relay = Some(relay);
        Ok(address)
    }

    /// Kills a program, and what it started, without warning.
    ///
    /// # Errors
    /// When there is no such program.
    pub async fn kill(&mut self, name: &str) -> Outcome<()> {
        let index = self.children.iter().position(|(known, _)| known == name);
        let (_, mut child) = index
            .map(|index| self.children.remove(index))
            .ok_or_else(|| Failure::new(format!("{name} does not run")))?;
        if let Some(pid) = process_id(&child) {
            rustix::process::kill_process_group(pid, rustix::process::Signal::KILL)
                .map_err(|e| Failure::because(&format!("kill {name}"), &e))?;
        }
        child
            .wait()
            .await
            .map(drop)
            .map_err(|e| Failure::because(&format!("wait for {name}"), &e))
    }

    /// One line about what was done.
    pub fn summary(&self) -> String {
        format!(
            "{} clusters, {} commands, 1 hub, nothing scripted behind the command line",
            self.members.len(),
            self.commands
        )
    }

    /// Stops every program, last started first.
    pub async fn end(&mut self) {
        for (_, child) in self.children.iter_mut().rev() {
            if let Some(pid) = process_id(child) {
                // An error means that it has ended already.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
            if tokio::time::timeout(Duration::from_secs(15), child.wait())
                .await
                .is_err()
            {
                let _ = child.kill().await;
            }
        }
        self.children.clear();
    }

    /// Tells how to talk to what runs, and stays until interrupted.
    pub async fn stay(&mut self) -> ExitCode {
        println!("\nEverything goes on running. In another terminal:");
        println!(
            "  export SKEIN_CONFIG={}",
            self.path("config.yaml").display()
        );
        println!("  export PATH={}:$PATH", self.programs.display());
        println!("  skein get managedclusters -o wide");
        for member in &self.members {
            println!(
                "  kubectl --kubeconfig {} --context {} get all -A",
                member.kubeconfig.display(),
                member.context
            );
        }
        println!("Ctrl-C ends it.");
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("error: cannot wait for Ctrl-C: {error}");
        }
        self.end().await;
        ExitCode::SUCCESS
    }
}

/// A stage that was not ended, because somebody panicked, leaves nothing running.
impl Drop for Stage {
    fn drop(&mut self) {
        for pid in self
            .children
            .iter()
            .filter_map(|(_, child)| process_id(child))
        {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

/// The process that still runs. It leads a group of its own, which holds its children.
fn process_id(child: &Child) -> Option<rustix::process::Pid> {
    let pid = i32::try_from(child.id()?).ok()?;
    rustix::process::Pid::from_raw(pid)
}

/// Between two looks at something that has a deadline.
#[expect(
    clippy::disallowed_methods,
    reason = "another program can only be looked at again"
)]
pub async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}
