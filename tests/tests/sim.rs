//! Hub and agent cores on one seeded virtual clock, with loss, repetition, disorder and crashes.
//!
//! `SKEIN_SIM_SEEDS` says how many runs there are, `SKEIN_SIM_SEED` repeats the one of that seed.

use std::env;

use skein_tests::fleet_sim::{self, Options, Summary};

/// Runs, unless somebody asks for more.
const SEEDS: u64 = 12;

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")),
    )
}

#[test]
fn what_must_hold_holds_whatever_goes_wrong() {
    let seeds = match number("SKEIN_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SKEIN_SIM_SEEDS").unwrap_or(SEEDS),
    };
    let mut all = Summary::default();
    let mut runs = 0;
    for seed in seeds {
        match fleet_sim::run(seed, &Options::default()) {
            Ok(summary) => {
                runs += 1;
                all.commands += summary.commands;
                all.records += summary.records;
                all.works += summary.works;
                all.conflicts += summary.conflicts;
                all.gaps += summary.gaps;
                all.lost += summary.lost;
                all.crashes += summary.crashes;
                all.forged += summary.forged;
            }
            Err(failure) => panic!("{failure}\nagain: SKEIN_SIM_SEED={seed} just sim"),
        }
    }
    println!(
        "{runs} runs: {} commands, {} records, {} works held at the end; {} messages lost, {} gaps \
         noticed, {} crashes, {} conflicts, {} forged messages refused",
        all.commands,
        all.records,
        all.works,
        all.lost,
        all.gaps,
        all.crashes,
        all.conflicts,
        all.forged
    );
    assert!(
        all.records > all.commands / 2,
        "most commands leave a record: {all:?}"
    );
    assert!(
        all.crashes > 0 && all.lost > 0 && all.gaps > 0 && all.forged > 0,
        "nothing went wrong: {all:?}"
    );
}

#[test]
fn a_seed_runs_the_same_again() {
    let options = Options {
        trouble_seconds: 120,
        ..Options::default()
    };
    let run = || fleet_sim::run(7, &options).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(run(), run());
}
