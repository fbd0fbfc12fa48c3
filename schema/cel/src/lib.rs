//! The Common Expression Language, as condition rules of works and placements use it.
//!
//! An expression is a user's text and runs on the cluster of somebody else, so nothing about it may
//! be without limit: its length, how deep it is nested, and how many steps it takes are bounded,
//! and each bound is an error like any other. The Rust crates for the language abort the process on
//! nested input, do not know optional values and check no types; this is a small interpreter that
//! does, with the functions that OCM gives to all its expressions. What only some of them have is
//! a [`Function`] that is named when an expression is compiled.

mod ast;
mod check;
mod effort;
mod evaluate;
mod functions;
mod host;
mod lexer;
mod parse;
mod value;

pub use effort::{Budget, Effort};
pub use functions::{network::Cidr, quantity::Quantity, url::Url};
pub use host::{Function, HAS_CONDITIONS, Host, PARSE_JSON};
pub use value::{Key, Nested, Value};

use std::collections::BTreeMap;

/// Longest expression in bytes.
pub const MAX_LENGTH: usize = 16 * 1024;
/// How many levels of operators and calls an expression may have.
pub const MAX_DEPTH: usize = 200;
/// How many brackets may stand in each other.
pub const MAX_NESTING: usize = 60;
/// How many steps one evaluation may take.
pub const MAX_STEPS: u64 = 1_000_000;
/// How many values may stand in each other.
pub const MAX_VALUE_DEPTH: usize = 300;

/// An expression that was read and whose types fit.
#[derive(Debug, Clone)]
pub struct Program {
    root: ast::Expr,
    patterns: effort::Patterns,
}

/// What a variable, or a value that a function takes or gives, is known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// Anything.
    Dyn,
    /// A truth value.
    Bool,
    /// A whole number.
    Int,
    /// A text.
    String,
    /// A list of anything.
    List,
    /// A map from texts to anything.
    Map,
}

/// An expression that cannot be read, or whose types cannot fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ERROR: <input>:{line}:{column}: {problem}")]
pub struct CompileError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
}

/// An expression that does not fit its data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// An object or map does not have the key.
    #[error("no such key: {0}")]
    NoSuchKey(String),
    /// A function or operator does not exist for these values.
    #[error("no such overload")]
    NoSuchOverload,
    /// An index behind the end or before the beginning of a list or text.
    #[error("index out of bounds: {0}")]
    OutOfBounds(i64),
    /// A number leaves its range.
    #[error("{0}")]
    Arithmetic(&'static str),
    /// A text cannot be read as what it is to be.
    #[error("{0}")]
    Conversion(String),
    /// The optional value is none.
    #[error("optional.none() dereference")]
    None,
    /// It took too many steps.
    #[error("operation cancelled: actual cost limit exceeded")]
    Cost,
}

impl Program {
    /// Reads an expression. `variables` are those it may use, `functions` what it may call beside
    /// the functions that every expression has.
    ///
    /// # Errors
    /// When it is too long or nested too deep, is no expression, or uses variables, functions or
    /// combinations of types that do not exist.
    pub fn compile(
        text: &str,
        variables: &BTreeMap<&str, ValueType>,
        functions: &[Function],
    ) -> Result<Self, CompileError> {
        let problem = |at: usize, problem: String| locate(text, at, problem);
        if text.len() > MAX_LENGTH {
            return Err(problem(
                0,
                format!("the expression is longer than {MAX_LENGTH} bytes"),
            ));
        }
        let root = parse::parse(text).map_err(|error| problem(error.at, error.problem))?;
        check::check(&root, variables, functions)
            .map_err(|error| problem(error.at, error.problem))?;
        let patterns = effort::Patterns::of(&root);
        Ok(Self { root, patterns })
    }

    /// Evaluates the expression. The host carries out the functions that are its own; `&()` has
    /// none.
    ///
    /// # Errors
    /// When it does not fit the data, or takes more than [`MAX_STEPS`] or than what is left of the
    /// budget that it shares with others.
    pub fn evaluate(
        &self,
        variables: &BTreeMap<&str, Value>,
        host: &dyn Host,
        budget: &mut Budget,
    ) -> Result<Value, EvaluateError> {
        let effort = Effort::new(budget, &self.patterns);
        evaluate::evaluate(&self.root, variables, host, effort)
    }
}

/// A problem at a byte of an expression.
#[derive(Debug)]
struct Problem {
    at: usize,
    problem: String,
}

fn locate(text: &str, at: usize, problem: String) -> CompileError {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    CompileError {
        line,
        column,
        problem,
    }
}

#[cfg(test)]
mod tests;
