//! The house rules that a compiler does not check: which crate may know which, that the pure
//! crates stay pure, where the language is spelled, how long a file may be, that documents point
//! to things that exist. What fails here names the file and line, and the rule.

#[path = "arch/budget.rs"]
mod budget;
#[path = "arch/documents.rs"]
mod documents;
#[path = "arch/graph.rs"]
mod graph;
#[path = "arch/language.rs"]
mod language;
#[path = "arch/purity.rs"]
mod purity;
#[path = "arch/source.rs"]
mod source;
