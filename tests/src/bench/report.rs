//! The report, in Markdown.

use std::fmt::Write as _;

use super::Sizes;
use super::machine::Machine;

/// A table and what it is about.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: String,
    pub(super) about: String,
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

/// The whole report.
pub(super) fn render(
    machine: &Machine,
    quick: bool,
    sizes: &Sizes,
    sections: &[Section],
) -> String {
    let mut text = String::from("# Benchmarks\n\n");
    text.push_str(
        "Written by `just bench`. Baselines and Skein take turns in one run; load and target share \
         the machine. Ratios are medians over the repetitions of ratios within one repetition; \
         absolute figures hold for this machine alone.\n\n",
    );
    let facts = [
        ("Commit", machine.commit.clone()),
        ("Build", machine.build.to_owned()),
        (
            "Machine",
            format!(
                "{}, {} cores, {}",
                machine.processor, machine.cores, machine.memory
            ),
        ),
        ("Kernel", machine.kernel.clone()),
        ("nats-server", machine.nats_server.clone()),
        (
            "Repetitions",
            format!(
                "{}{}",
                sizes.repetitions,
                if quick {
                    " (`--quick`: small sizes)"
                } else {
                    ""
                }
            ),
        ),
    ];
    text.push_str("| | |\n|---|---|\n");
    for (name, value) in facts {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    for section in sections {
        let _ = write!(text, "\n## {}\n\n{}\n\n", section.title, section.about);
        let _ = writeln!(text, "| {} |", section.columns.join(" | "));
        let _ = writeln!(text, "|{}", "---|".repeat(section.columns.len()));
        for row in &section.rows {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
    }
    text
}
