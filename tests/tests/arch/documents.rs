//! Documents point to things that exist.

use std::path::{Path, PathBuf};

use crate::source::{assert_none, root, short};

#[test]
fn paths_named_in_documents_exist() {
    let mut breaches = Vec::new();
    for document in documents() {
        let text = std::fs::read_to_string(&document).expect("a readable document");
        let folder = document.parent().expect("a document is in a folder");
        for path in quoted_paths(&text) {
            if !root().join(&path).exists() && !folder.join(&path).exists() {
                breaches.push(format!("{}: `{path}`", short(&document)));
            }
        }
        for link in relative_links(&text) {
            if !folder.join(&link).exists() {
                breaches.push(format!("{}: ({link})", short(&document)));
            }
        }
    }
    assert_none("documents name paths that do not exist:", &breaches);
}

#[test]
fn decisions_are_numbered_without_gaps_and_have_their_three_parts() {
    let mut pages: Vec<_> = markdown_files(&root().join("docs/decisions"));
    pages.retain(|page| !page.ends_with("README.md"));
    pages.sort();
    let mut breaches = Vec::new();
    for (index, page) in pages.iter().enumerate() {
        let name = page
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if !name.starts_with(&format!("{:04}-", index + 1)) {
            breaches.push(format!("{name} should be number {:04}", index + 1));
        }
        let text = std::fs::read_to_string(page).expect("a readable page");
        for part in ["## Context", "## Choice", "## Consequence"] {
            if !text.contains(part) {
                breaches.push(format!("{name} has no `{part}`"));
            }
        }
    }
    assert_none("docs/decisions:", &breaches);
}

#[test]
fn a_path_is_told_from_other_code() {
    let text = "See `schema/src/subject.rs`, `./justw test`, `a/b`, `cmd.<user>`, `docs/`, `hub/core/src/*.rs`.\n\
                ```\n`not/here.rs`\n```\nand [that](docs/glossary.md#x) or [this](https://example.org/x).";
    assert_eq!(quoted_paths(text), ["schema/src/subject.rs", "docs/"]);
    assert_eq!(relative_links(text), ["docs/glossary.md"]);
}

/// Documents of the whole project; those of a folder below `docs/` included.
fn documents() -> Vec<PathBuf> {
    let mut documents: Vec<_> = std::fs::read_dir(root())
        .expect("a readable folder")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    documents.extend(markdown_files(&root().join("docs")));
    documents.sort();
    documents
}

fn markdown_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            files.extend(markdown_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
    files
}

/// `quoted` words that are paths: they end in `/` or have a folder and a file extension.
fn quoted_paths(text: &str) -> Vec<String> {
    let mut inside_block = false;
    let mut paths = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside_block = !inside_block;
        } else if !inside_block {
            paths.extend(
                line.split('`')
                    .skip(1)
                    .step_by(2)
                    .filter(|word| is_path(word))
                    .map(str::to_owned),
            );
        }
    }
    paths
}

fn is_path(word: &str) -> bool {
    let plain = word
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
    let last = word.rsplit('/').next().unwrap_or_default();
    let generated =
        word.starts_with(".tools") || word.starts_with("target/") || word.starts_with('/');
    plain
        && !generated
        && word.contains('/')
        && (last.is_empty()
            || [".rs", ".md", ".toml", ".yaml", ".py", ".sh", ".mod"]
                .iter()
                .any(|end| last.ends_with(end)))
}

/// Targets of Markdown links that are not addresses, without their fragment.
fn relative_links(text: &str) -> Vec<String> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| {
            !target.contains("://") && !target.starts_with('#') && !target.contains(' ')
        })
        .map(|target| target.split('#').next().unwrap_or_default().to_owned())
        .collect()
}
