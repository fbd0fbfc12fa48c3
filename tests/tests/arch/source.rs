//! The workspace as the rules see it: its packages, its files and their tokens.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cargo_metadata::{Metadata, MetadataCommand, Package};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;

/// The root folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("tests/ is a folder of the workspace")
        .to_owned()
}

/// What cargo knows about the workspace and everything it depends on.
pub(crate) fn metadata() -> &'static Metadata {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    METADATA.get_or_init(|| {
        MetadataCommand::new()
            .manifest_path(root().join("Cargo.toml"))
            .other_options(["--locked".to_owned()])
            .exec()
            .expect("cargo metadata")
    })
}

/// The packages of the workspace, by name.
pub(crate) fn members() -> BTreeMap<String, &'static Package> {
    let metadata = metadata();
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| (package.name.to_string(), package))
        .collect()
}

/// The folder of a package.
pub(crate) fn folder(package: &Package) -> PathBuf {
    package
        .manifest_path
        .parent()
        .expect("a manifest is in a folder")
        .as_std_path()
        .to_owned()
}

/// The `.rs` files below a folder, sorted; nothing if it does not exist.
pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return files;
    };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// A path as people write it: relative to the root.
pub(crate) fn short(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Whether a file holds nothing but tests: below a `tests` folder, or `x/tests.rs`.
pub(crate) fn is_test_file(path: &Path) -> bool {
    let path = short(path);
    path.contains("/tests/") || path.starts_with("tests/tests/") || path.ends_with("/tests.rs")
}

/// A source file without its tests: `#[cfg(test)]` items are taken out.
pub(crate) fn production_code(path: &Path) -> syn::File {
    let text = std::fs::read_to_string(path).expect("a readable source file");
    let mut file =
        syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", short(path)));
    file.items = without_tests(file.items);
    file
}

fn without_tests(items: Vec<syn::Item>) -> Vec<syn::Item> {
    let mut kept: Vec<_> = items
        .into_iter()
        .filter(|item| !is_test_only(attributes(item)))
        .collect();
    for item in &mut kept {
        match item {
            syn::Item::Mod(module) => {
                if let Some((_, items)) = &mut module.content {
                    *items = without_tests(std::mem::take(items));
                }
            }
            syn::Item::Impl(block) => block.items.retain(|item| match item {
                syn::ImplItem::Fn(function) => !is_test_only(&function.attrs),
                _ => true,
            }),
            _ => {}
        }
    }
    kept
}

fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.to_token_stream().to_string().contains("test")
    })
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        _ => &[],
    }
}

/// One word of a source file and the line it stands on.
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// All words of a stream in order, brackets included, attributes (and so documentation) left out.
pub(crate) fn words(stream: TokenStream) -> Vec<Word> {
    let mut words = Vec::new();
    collect(stream, &mut words);
    words
}

fn collect(stream: TokenStream, words: &mut Vec<Word>) {
    let mut tokens = stream.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let line = token.span().start().line;
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                if matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == '!') {
                    tokens.next();
                }
                if matches!(tokens.peek(), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket)
                {
                    tokens.next();
                }
            }
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                words.push(Word {
                    text: open.to_owned(),
                    line,
                });
                collect(group.stream(), words);
                words.push(Word {
                    text: close.to_owned(),
                    line: group.span_close().start().line,
                });
            }
            other => words.push(Word {
                text: other.to_string(),
                line,
            }),
        }
    }
}

/// The lines on which a sequence of words stands.
pub(crate) fn lines_with(words: &[Word], sequence: &[&str]) -> Vec<usize> {
    words
        .windows(sequence.len())
        .filter(|window| {
            window
                .iter()
                .zip(sequence)
                .all(|(word, wanted)| word.text == *wanted)
        })
        .map(|window| window[0].line)
        .collect()
}

/// Fails with every breach on a line of its own.
pub(crate) fn assert_none(rule: &str, breaches: &[String]) {
    assert!(breaches.is_empty(), "{rule}\n  {}", breaches.join("\n  "));
}
