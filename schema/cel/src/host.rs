//! Functions that expressions have only where they are used for something that needs them.

use crate::effort::Effort;
use crate::value::Value;
use crate::{EvaluateError, ValueType};

/// A function beside those that every expression has. It exists for the expressions that are
/// compiled with it. [`HAS_CONDITIONS`] and [`PARSE_JSON`] need nothing but their arguments and are
/// carried out here; any other is carried out by the [`Host`] of the evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// Its name. It must be none of the language's own.
    pub name: &'static str,
    /// What it is a method of, if it is one.
    pub receiver: Option<ValueType>,
    /// What it takes.
    pub arguments: &'static [ValueType],
    /// What it gives.
    pub result: ValueType,
}

/// `hasConditions(status)`: whether a status has a list of conditions that is not empty. OCM gives
/// it to the condition rules of works.
pub const HAS_CONDITIONS: Function = Function {
    name: "hasConditions",
    receiver: None,
    arguments: &[ValueType::Dyn],
    result: ValueType::Bool,
};

/// `text.parseJSON()`: what a JSON text says, with every number as a fraction. OCM gives it to the
/// selectors of placements.
pub const PARSE_JSON: Function = Function {
    name: "parseJSON",
    receiver: Some(ValueType::String),
    arguments: &[],
    result: ValueType::Dyn,
};

/// Carries out the functions for which an expression needs data that is not among its variables.
pub trait Host {
    /// Calls a function; none if there is no such function for these values. The values are paid
    /// for; what takes more than a look at them is paid for with `effort` before it is done.
    fn call(
        &self,
        name: &str,
        target: Option<&Value>,
        arguments: &[Value],
        effort: &mut Effort<'_>,
    ) -> Option<Result<Value, EvaluateError>>;
}

/// A host without functions.
impl Host for () {
    fn call(
        &self,
        _name: &str,
        _target: Option<&Value>,
        _arguments: &[Value],
        _effort: &mut Effort<'_>,
    ) -> Option<Result<Value, EvaluateError>> {
        None
    }
}
