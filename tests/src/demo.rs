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

use crate::stage::Stage;

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
        let mut played = 0;
        for scene in scenes::ALL {
            let start = Instant::now();
            println!("\n\u{25b6} {}. {}", played + 1, scene.name);
            if let Err(failure) = scene.play(&mut stage, &self).await {
                println!(
                    "\n\u{2717} step {} failed: {}\n  {failure}",
                    played + 1,
                    scene.name
                );
                println!("  logs: {}", stage.logs().display());
                stage.keep_files();
                return ExitCode::FAILURE;
            }
            played += 1;
            println!("  \u{2713} {:.1}s", start.elapsed().as_secs_f64());
        }
        println!(
            "\n\u{2713} {played} steps in {:.1}s: {}",
            begin.elapsed().as_secs_f64(),
            stage.summary()
        );
        if self.keep {
            return stage.stay().await;
        }
        stage.end().await;
        ExitCode::SUCCESS
    }
}
