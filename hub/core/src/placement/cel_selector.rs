//! Selecting clusters by expressions in CEL.
//!
//! The expressions are a user's text, and run over every cluster of the fleet inside the hub. They
//! are read once, and every evaluation stops when its steps are used up.

mod cluster;
mod quantity;

pub use cluster::{CelCluster, ScoreList};

use skein_cel::{
    Budget, EvaluateError, Function, MAX_LENGTH, PARSE_JSON, Program, Value, ValueType,
};
use skein_schema::code::excerpt;
use skein_schema::decode::{FieldError, Problem};
use std::collections::BTreeMap;
use std::fmt;

/// How many expressions a selector may have.
pub const MAX_EXPRESSIONS: usize = 100;
/// How many bytes the expressions of a selector may have together.
pub const MAX_LENGTH_OF_SELECTOR: usize = 4 * MAX_LENGTH;
/// How many steps the expressions of a selector may take together over one cluster. Each of them
/// may take [`skein_cel::MAX_STEPS`]. OCM has the same two limits, 10,000,000 and 1,000,000 of units
/// of its own, of which the same work takes about as many.
pub const MAX_STEPS_OF_SELECTOR: u64 = 9_400_000;

/// Longest piece of a refused expression that is repeated, in characters.
const EXCERPT: usize = 80;

/// The variable that holds the cluster.
const CLUSTER: &str = "managedCluster";

/// `cluster.scores(name)`: what the cluster's `AddOnPlacementScore` of that name says, as a list of
/// `{name, value}`. Without the object it is an error. Until when the scores are valid is not
/// looked at, as in OCM.
const SCORES: Function = Function {
    name: "scores",
    receiver: Some(ValueType::Dyn),
    arguments: &[ValueType::String],
    result: ValueType::List,
};

/// Finds the scores of the cluster that is looked at, by the name of their object.
pub type ScoreLookup<'a> = dyn Fn(&str) -> Option<ScoreList> + 'a;

/// The expressions of a `celSelector`, read and checked. A cluster matches if all are true.
#[derive(Debug, Clone)]
pub struct CelSelector {
    programs: Vec<Program>,
}

/// What evaluating a selector over a cluster came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Why the cluster does not match; none if it does.
    pub mismatch: Option<Mismatch>,
    /// Steps that it took: what a caller adds up who looks at many clusters in one go.
    pub steps: u64,
}

/// The first expression that is not true, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Index of the expression in its selector.
    pub expression: usize,
    /// What is with it.
    pub reason: MismatchReason,
}

/// Why an expression does not select a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MismatchReason {
    /// It is false.
    False,
    /// It is no truth value.
    NotBool {
        /// The type that it has.
        found: &'static str,
    },
    /// It cannot be evaluated over this cluster.
    Failed(EvaluateError),
    /// It took more steps than it may, or than those before it left.
    OverBudget,
}

impl CelSelector {
    /// Reads the expressions of the list at `path`. Without expressions every cluster matches.
    ///
    /// # Errors
    /// Every expression that is too long or nested too deep, or that cannot be compiled, each with
    /// its path; or the list, if it has more than [`MAX_EXPRESSIONS`] or all together are longer
    /// than [`MAX_LENGTH_OF_SELECTOR`].
    pub fn new(path: &str, expressions: &[String]) -> Result<Self, Vec<FieldError>> {
        let length = expressions
            .iter()
            .fold(0_usize, |sum, text| sum.saturating_add(text.len()));
        for (max, found) in [
            (MAX_EXPRESSIONS, expressions.len()),
            (MAX_LENGTH_OF_SELECTOR, length),
        ] {
            if found > max {
                let [max, found] = [max, found].map(|n| u64::try_from(n).unwrap_or(u64::MAX));
                return Err(vec![FieldError::new(path, Problem::TooLong { max, found })]);
            }
        }
        let variables = BTreeMap::from([(CLUSTER, ValueType::Map)]);
        let mut programs = Vec::new();
        let mut errors = Vec::new();
        for (index, text) in expressions.iter().enumerate() {
            match Program::compile(text, &variables, &[SCORES, PARSE_JSON]) {
                Ok(program) => programs.push(program),
                Err(error) => errors.push(FieldError::new(
                    format!("{path}[{index}]"),
                    Problem::Invalid {
                        value: excerpt(text, EXCERPT),
                        rule: error.to_string(),
                    },
                )),
            }
        }
        if errors.is_empty() {
            Ok(Self { programs })
        } else {
            Err(errors)
        }
    }

    /// Whether all expressions are true of a cluster.
    #[must_use]
    pub fn matches(&self, cluster: &CelCluster, scores: &ScoreLookup<'_>) -> bool {
        self.judge(cluster, scores).mismatch.is_none()
    }

    /// Whether all expressions are true of a cluster, why not, and what finding out took. The first
    /// that is not true ends it.
    #[must_use]
    pub fn judge(&self, cluster: &CelCluster, scores: &ScoreLookup<'_>) -> Judgement {
        let mut budget = Budget::new(MAX_STEPS_OF_SELECTOR);
        let host = cluster::Scored { cluster, scores };
        let mismatch = self
            .programs
            .iter()
            .enumerate()
            .find_map(|(expression, program)| {
                let result = program.evaluate(cluster.variables(), &host, &mut budget);
                let reason = not_true(result)?;
                Some(Mismatch { expression, reason })
            });
        Judgement {
            mismatch,
            steps: MAX_STEPS_OF_SELECTOR - budget.left(),
        }
    }
}

/// Why a result does not count as true; none if it does. An optional value counts as what is in it.
fn not_true(result: Result<Value, EvaluateError>) -> Option<MismatchReason> {
    let mut value = match result {
        Ok(value) => value,
        Err(EvaluateError::Cost) => return Some(MismatchReason::OverBudget),
        Err(error) => return Some(MismatchReason::Failed(error)),
    };
    while let Value::Optional(Some(inner)) = value {
        value = Value::clone(&inner);
    }
    match value {
        Value::Bool(true) => None,
        Value::Bool(false) => Some(MismatchReason::False),
        other => Some(MismatchReason::NotBool {
            found: other.type_name(),
        }),
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expression {} {}", self.expression, self.reason)
    }
}

impl fmt::Display for MismatchReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::False => f.write_str("is false"),
            Self::NotBool { found } => write!(f, "is no truth value but {found}"),
            Self::Failed(error) => write!(f, "cannot be evaluated: {error}"),
            Self::OverBudget => f.write_str("takes too many steps"),
        }
    }
}
