//! What evaluating may cost. Everything that takes time or memory is paid for in steps, before it
//! is done or right after a piece of bounded size.

use super::ast::{Expr, Kind};
use super::value::Value;
use super::{EvaluateError, MAX_STEPS};
use regex::{Error, Regex, RegexBuilder};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

type Result<T> = std::result::Result<T, EvaluateError>;

/// Longest text that an evaluation makes, in bytes.
pub(crate) const MAX_TEXT: usize = 1 << 20;
/// Steps for compiling a regular expression, beside those for its length.
const COMPILE: usize = 5_000;
/// Sizes that a compiled regular expression may have, in bytes. The first that is enough says how
/// many states a character of the text may have to be looked at with.
const SIZES: [usize; 4] = [1 << 12, 1 << 14, 1 << 16, 1 << 18];
/// Size of a compiled regular expression with which a byte of text costs a step.
const SIZE_OF_STEP: usize = 1 << 14;
/// How many compiled regular expressions an evaluation keeps.
const KEPT: usize = 8;
/// How many of the regular expressions that stand in an expression stay compiled, and how large
/// they may be, so that programs which are kept take little memory.
const KEPT_BY_PROGRAM: usize = 2;
const LARGEST_KEPT_BY_PROGRAM: usize = 1 << 14;

/// Steps that evaluations may take. Several that belong together share one, so that many rules
/// cannot do what one may not.
#[derive(Debug)]
pub struct Budget {
    left: u64,
}

impl Budget {
    /// A budget of so many steps.
    #[must_use]
    pub fn new(steps: u64) -> Self {
        Self { left: steps }
    }

    /// What is left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Pays for something.
    ///
    /// # Errors
    /// When it costs more than is left; then nothing is left.
    pub fn spend(&mut self, steps: usize) -> Result<()> {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        let enough = steps <= self.left;
        self.left = self.left.saturating_sub(steps);
        if enough {
            Ok(())
        } else {
            Err(EvaluateError::Cost)
        }
    }
}

/// The regular expressions that stand in an expression, compiled when they are first needed. Every
/// evaluation pays as if it had compiled them, so that its steps do not depend on those before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patterns {
    slots: BTreeMap<String, OnceLock<Arc<Expression>>>,
}

impl Patterns {
    /// Those of an expression.
    pub(crate) fn of(root: &Expr) -> Self {
        let mut patterns = Self::default();
        patterns.collect(root);
        patterns
    }

    fn collect(&mut self, expr: &Expr) {
        if let Kind::Call {
            function,
            arguments,
            ..
        } = &expr.kind
            && matches!(function.as_str(), "matches" | "find" | "findAll")
        {
            for argument in arguments {
                if let Kind::Literal(Value::String(text)) = &argument.kind
                    && self.slots.len() < KEPT_BY_PROGRAM
                {
                    self.slots.entry(text.to_string()).or_default();
                }
            }
        }
        for child in expr.kind.children() {
            self.collect(child);
        }
    }

    fn compiled(&self, pattern: &str) -> Result<Arc<Expression>> {
        let slot = self.slots.get(pattern);
        if let Some(known) = slot.and_then(OnceLock::get) {
            return Ok(Arc::clone(known));
        }
        let compiled = Arc::new(compile(pattern)?);
        match slot {
            Some(slot) if compiled.size <= LARGEST_KEPT_BY_PROGRAM => {
                Ok(Arc::clone(slot.get_or_init(|| compiled)))
            }
            _ => Ok(compiled),
        }
    }
}

/// What one evaluation has spent and made.
#[derive(Debug)]
pub struct Effort<'a> {
    /// The evaluation's own steps.
    own: Budget,
    /// Those it shares with others.
    shared: &'a mut Budget,
    expressions: BTreeMap<String, Arc<Expression>>,
    patterns: &'a Patterns,
}

/// A compiled regular expression.
#[derive(Debug)]
pub(crate) struct Expression {
    pub(crate) regex: Regex,
    size: usize,
}

impl Expression {
    /// Steps that looking at so many bytes takes at worst: every state for each of them.
    pub(crate) fn steps(&self, bytes: usize) -> usize {
        1 + bytes.saturating_mul(self.size) / SIZE_OF_STEP
    }
}

impl<'a> Effort<'a> {
    pub(crate) fn new(shared: &'a mut Budget, patterns: &'a Patterns) -> Self {
        Self {
            own: Budget::new(MAX_STEPS),
            shared,
            expressions: BTreeMap::new(),
            patterns,
        }
    }

    /// Pays for something, from the evaluation's own steps and from those it shares.
    ///
    /// # Errors
    /// When it costs more than is left of either.
    pub fn spend(&mut self, steps: usize) -> Result<()> {
        self.shared.spend(steps)?;
        self.own.spend(steps)
    }

    /// Pays for a text that is to be made.
    pub(crate) fn make_text(&mut self, bytes: usize) -> Result<()> {
        if bytes > MAX_TEXT {
            return Err(EvaluateError::Cost);
        }
        self.spend(bytes / 16)
    }

    /// A regular expression that is about to look at so many bytes. Each is compiled once.
    pub(crate) fn expression(&mut self, pattern: &str, bytes: usize) -> Result<Arc<Expression>> {
        let known = self.expressions.get(pattern).map(Arc::clone);
        let expression = match known {
            Some(known) => known,
            None => self.compiled(pattern)?,
        };
        self.spend(expression.steps(bytes))?;
        Ok(expression)
    }

    fn compiled(&mut self, pattern: &str) -> Result<Arc<Expression>> {
        self.spend(COMPILE + pattern.len())?;
        let compiled = self.patterns.compiled(pattern)?;
        if self.expressions.len() >= KEPT {
            self.expressions.clear();
        }
        self.expressions
            .insert(pattern.to_owned(), Arc::clone(&compiled));
        Ok(compiled)
    }
}

fn compile(pattern: &str) -> Result<Expression> {
    let refused =
        |error: &Error| EvaluateError::Conversion(format!("error parsing regexp: {error}"));
    for size in SIZES {
        let built = RegexBuilder::new(pattern)
            .size_limit(size)
            .dfa_size_limit((16 * size).min(1 << 20))
            .build();
        match built {
            Ok(regex) => return Ok(Expression { regex, size }),
            Err(Error::CompiledTooBig(_)) => {}
            Err(error) => return Err(refused(&error)),
        }
    }
    Err(refused(&Error::CompiledTooBig(SIZES[SIZES.len() - 1])))
}

/// How much of a value a function may have to look at.
pub(crate) fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() / 10,
        Value::Bytes(bytes) => bytes.len() / 10,
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        _ => 0,
    }
}
