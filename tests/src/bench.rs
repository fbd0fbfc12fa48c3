//! `just bench`: what Skein does in a second, and what the bus alone does in the same run.
//!
//! Baselines and Skein take turns within a run, so that a noisy machine is noisy for both; what
//! counts are ratios and medians. The load and what is measured share the machine. Nothing here
//! judges: it reports.

mod commands;
mod fill;
mod footprint;
mod hops;
mod machine;
mod numbers;
mod plane;
mod raw;
mod report;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use jiff::Timestamp;

use crate::stage::{Failure, Outcome};
use report::Section;

/// Measure Skein on this machine
#[derive(Debug, Parser)]
#[command(name = "bench")]
pub struct Arguments {
    /// One repetition and small sizes: shows that everything runs, not how fast it is
    #[arg(long)]
    quick: bool,
    /// Measure only this; can be repeated. The report is printed and no file is written
    #[arg(long, value_name = "NAME")]
    only: Vec<Part>,
    /// Repetitions [default: 5, or 1 with --quick]
    #[arg(long, value_name = "COUNT")]
    repetitions: Option<usize>,
    /// Where the report goes
    #[arg(long, value_name = "FILE", default_value = "docs/benchmarks.md")]
    output: PathBuf,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Durable commands per second, and how long one takes.
    Commands,
    /// From an apply to the status at the command line.
    Hops,
    /// Reading the ledger, starting a hub, and the memory it takes.
    Replay,
    /// Agents' memory and the sizes of the programs.
    Footprint,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    repetitions: usize,
    /// Appends and commands in one measurement.
    burst: usize,
    /// One after another.
    single: usize,
    /// Works applied, one after another, to see each hop.
    hops: usize,
    /// Clusters of the large ledger.
    clusters: usize,
    /// Works of each of these clusters.
    works: usize,
}

impl Sizes {
    fn of(arguments: &Arguments) -> Self {
        let small = Self {
            repetitions: 1,
            burst: 3_000,
            single: 300,
            hops: 30,
            clusters: 1_000,
            works: 9,
        };
        let usual = Self {
            repetitions: 5,
            burst: 20_000,
            single: 2_000,
            hops: 200,
            clusters: 10_000,
            works: 9,
        };
        let sizes = if arguments.quick { small } else { usual };
        Self {
            repetitions: arguments.repetitions.unwrap_or(sizes.repetitions).max(1),
            ..sizes
        }
    }
}

impl Arguments {
    /// Measures, prints and writes the report.
    pub async fn run(self) -> ExitCode {
        match self.measure().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("error: {failure}");
                ExitCode::FAILURE
            }
        }
    }

    async fn measure(&self) -> Outcome<()> {
        let sizes = Sizes::of(self);
        // Before anything is measured: somebody may commit meanwhile.
        let machine = machine::Machine::look();
        let wanted = |part| self.only.is_empty() || self.only.contains(&part);
        let mut sections: Vec<Section> = Vec::new();
        if wanted(Part::Commands) {
            eprintln!("commands …");
            sections.push(commands::measure(&sizes).await?);
        }
        if wanted(Part::Hops) {
            eprintln!("hops …");
            sections.extend(hops::measure(&sizes).await?);
        }
        if wanted(Part::Replay) {
            eprintln!("replay …");
            sections.extend(fill::measure(&sizes).await?);
        }
        if wanted(Part::Footprint) {
            eprintln!("footprint …");
            sections.extend(footprint::measure().await?);
        }
        let text = report::render(&machine, self.quick, &sizes, &sections);
        println!("{text}");
        if self.only.is_empty() {
            std::fs::write(&self.output, text).map_err(|error| {
                Failure::because(&format!("write {}", self.output.display()), &error)
            })?;
            eprintln!("written to {}", self.output.display());
        }
        Ok(())
    }
}

/// The time now, for envelopes and credentials.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark is a program with a clock of its own"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
