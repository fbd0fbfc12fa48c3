//! `docs/cli.md` is the help of every command; this keeps it true.

use clap::CommandFactory as _;

use crate::cli::Cli;

/// The reference: one section per command, with its help as it is printed.
fn reference() -> String {
    let mut text = String::from(
        "# The command line\n\nWhat `skein COMMAND --help` prints, for every command. Written by a test: `UPDATE_GOLDEN=1 cargo test -p skein reference`.\n",
    );
    let mut root = Cli::command().term_width(100);
    root.build();
    section(&mut text, &mut root, 2);
    text
}

fn section(text: &mut String, command: &mut clap::Command, level: usize) {
    let name = command
        .get_bin_name()
        .unwrap_or(command.get_name())
        .to_owned();
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    text.push_str(&format!(
        "\n{} `{name}`\n\n```text\n{}\n```\n",
        "#".repeat(level.min(4)),
        help.join("\n").trim_end()
    ));
    for child in command
        .get_subcommands_mut()
        .filter(|child| child.get_name() != "help")
    {
        section(text, child, level + 1);
    }
}

#[test]
fn the_reference_is_what_help_prints() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md");
    let now = reference();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        golden == now,
        "docs/cli.md is not what --help prints; UPDATE_GOLDEN=1 writes it anew"
    );
}
