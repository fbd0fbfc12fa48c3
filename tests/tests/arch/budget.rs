//! Budgets. They are raised by editing this file, so that a reviewer sees it.

use syn::spanned::Spanned;
use syn::visit::Visit;

use crate::source::{
    assert_none, folder, is_test_file, members, metadata, production_code, root, rust_files, short,
};

/// Lines of a source file, its inline tests included.
const FILE: usize = 600;
/// Lines of a file that holds tests only.
const TEST_FILE: usize = 600;
/// Lines of a function outside tests, from its signature to its closing brace.
const FUNCTION: usize = 80;
/// Lines of a `main.rs`: it parses arguments and hands over.
const MAIN: usize = 25;
/// Packages in Cargo.lock, ours included.
const PACKAGES: usize = 400;
/// Bytes of all files that are tests' material (vectors, golden files, snapshots).
const MATERIAL: u64 = 2_000_000;

#[test]
fn files_are_short() {
    let mut breaches = Vec::new();
    for package in members().into_values() {
        for path in ["src", "tests", "benches", "examples"]
            .iter()
            .flat_map(|sub| rust_files(&folder(package).join(sub)))
        {
            let lines = std::fs::read_to_string(&path)
                .expect("a readable file")
                .lines()
                .count();
            let limit = match path.file_name().and_then(|name| name.to_str()) {
                Some("main.rs") if path.ends_with("src/main.rs") => MAIN,
                _ if is_test_file(&path) => TEST_FILE,
                _ => FILE,
            };
            if lines > limit {
                breaches.push(format!("{}: {lines} lines, limit {limit}", short(&path)));
            }
        }
    }
    breaches.sort();
    breaches.dedup();
    assert_none("files over their budget:", &breaches);
}

#[test]
fn functions_are_short() {
    struct Functions<'a> {
        file: String,
        breaches: &'a mut Vec<String>,
    }
    impl Functions<'_> {
        fn measure(&mut self, name: &syn::Ident, whole: proc_macro2::Span) {
            let (first, last) = (name.span().start().line, whole.end().line);
            let lines = last + 1 - first;
            if lines > FUNCTION {
                self.breaches
                    .push(format!("{}:{first}: {name}: {lines} lines", self.file));
            }
        }
    }
    impl<'ast> Visit<'ast> for Functions<'_> {
        fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
            self.measure(&function.sig.ident, function.span());
            syn::visit::visit_item_fn(self, function);
        }
        fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
            self.measure(&function.sig.ident, function.span());
            syn::visit::visit_impl_item_fn(self, function);
        }
    }
    let mut breaches = Vec::new();
    for package in members().into_values() {
        for path in rust_files(&folder(package).join("src")) {
            if !is_test_file(&path) {
                let mut functions = Functions {
                    file: short(&path),
                    breaches: &mut breaches,
                };
                functions.visit_file(&production_code(&path));
            }
        }
    }
    assert_none("functions over their budget:", &breaches);
}

#[test]
fn modules_are_files_named_after_them() {
    let mut breaches = Vec::new();
    for package in members().into_values() {
        for path in ["src", "tests"]
            .iter()
            .flat_map(|sub| rust_files(&folder(package).join(sub)))
        {
            if path.file_name().is_some_and(|name| name == "mod.rs") {
                breaches.push(short(&path));
            }
            let stem = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or_default();
            if [
                "util", "utils", "common", "helper", "helpers", "manager", "misc",
            ]
            .contains(&stem)
            {
                breaches.push(format!("{}: a name that says nothing", short(&path)));
            }
        }
    }
    breaches.sort();
    breaches.dedup();
    assert_none(
        "a module is `x.rs` + `x/`, named after what it is about:",
        &breaches,
    );
}

#[test]
fn the_lock_file_stays_small() {
    let packages = metadata().packages.len();
    assert!(
        packages <= PACKAGES,
        "{packages} packages, limit {PACKAGES}: is the newest dependency worth it?"
    );
}

#[test]
fn test_material_stays_small() {
    let mut bytes = 0;
    let mut waiting = vec![root()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    waiting.push(path);
                }
            } else if path.extension().is_some_and(|kind| {
                ["json", "jsonl", "snap", "golden", "bin"]
                    .iter()
                    .any(|other| kind == *other)
            }) {
                bytes += path.metadata().expect("a readable file").len();
            }
        }
    }
    assert!(
        bytes <= MATERIAL,
        "{bytes} bytes of vectors and golden files, limit {MATERIAL}"
    );
}
