//! `./justw demo`: the main job on one machine, driven only through the public command line.
//!
//! Nothing here knows how Skein works inside: it starts the programs, types commands, and looks at
//! what they print and at what the clusters hold.

mod clusters;
mod scenes;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use crate::stage::{Failure, Outcome, Stage};

/// Run Skein's main job on this machine and tell what happens
///
/// Starts a hub and three agents for simulated clusters (or for real ones, with --kubeconfig), lets
/// them join, applies Open Cluster Management's YAML, breaks and heals things, cuts a cluster off
/// and looks into the past.
#[derive(Debug, Parser)]
#[command(name = "demo")]
pub struct Arguments {
    /// Leave everything running at the end, and print how to talk to it
    #[arg(long)]
    keep: bool,
    /// Use real clusters of this kubeconfig instead of simulated ones
    #[arg(long, value_name = "FILE", requires = "context")]
    kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; give it two or three times
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    context: Vec<String>,
}

impl Arguments {
    /// Plays the demo; the exit code is 0 if every step did what it says.
    pub async fn run(self) -> ExitCode {
        let begin = Instant::now();
        if self.kubeconfig.is_some() && !(2..=3).contains(&self.context.len()) {
            eprintln!("error: the demo needs two or three contexts");
            return ExitCode::from(2);
        }
        let mut stage = match Stage::build() {
            Ok(stage) => stage,
            Err(failure) => {
                eprintln!("error: cannot prepare the demo: {failure}");
                return ExitCode::FAILURE;
            }
        };
        let played = tokio::select! {
            played = self.play(&mut stage) => played,
            _ = tokio::signal::ctrl_c() => Err(Failure::new("interrupted")),
        };
        match played {
            Ok(played) => println!(
                "\n\u{2713} {played} steps in {:.1}s: {}",
                begin.elapsed().as_secs_f64(),
                stage.summary()
            ),
            Err(failure) => {
                println!("\n\u{2717} {failure}\n  logs: {}", stage.logs().display());
                stage.keep_files();
                stage.end().await;
                return ExitCode::FAILURE;
            }
        }
        if self.keep {
            return stage.stay().await;
        }
        stage.end().await;
        ExitCode::SUCCESS
    }

    /// Plays all steps; gives their number, or what went wrong with the step's name.
    async fn play(&self, stage: &mut Stage) -> Outcome<usize> {
        for (number, scene) in (1..).zip(scenes::ALL) {
            let start = Instant::now();
            println!("\n\u{25b6} {number}. {}", scene.name);
            scene.play(stage, self).await.map_err(|failure| {
                Failure::new(format!("step {number} failed: {}\n  {failure}", scene.name))
            })?;
            println!("  \u{2713} {:.1}s", start.elapsed().as_secs_f64());
        }
        Ok(scenes::ALL.len())
    }
}
