//! Evaluation.

use super::ast::{Expr, Kind, Macro, Operator, OptionalMacro};
use super::effort::{Effort, weight};
use super::functions;
use super::host::Host;
use super::value::{Key, Value};
use super::{EvaluateError, MAX_VALUE_DEPTH};
use std::cmp::Ordering;
use std::collections::BTreeMap;

type Result<T> = std::result::Result<T, EvaluateError>;

pub(crate) fn evaluate(
    root: &Expr,
    variables: &BTreeMap<&str, Value>,
    host: &dyn Host,
    effort: Effort<'_>,
) -> Result<Value> {
    let scope = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    let mut evaluator = Evaluator {
        scope,
        host,
        effort,
    };
    evaluator.value(root)
}

struct Evaluator<'a> {
    /// Variables, the innermost last.
    scope: Vec<(String, Value)>,
    host: &'a dyn Host,
    effort: Effort<'a>,
}

/// Names of types, which are values too.
pub(crate) fn type_value(name: &str) -> Option<Value> {
    const TYPES: &[&str] = &[
        "bool",
        "int",
        "uint",
        "double",
        "string",
        "bytes",
        "list",
        "map",
        "null_type",
        "type",
        "optional_type",
    ];
    TYPES
        .iter()
        .find(|known| **known == name)
        .map(|known| Value::Type(known))
}

impl Evaluator<'_> {
    fn spend(&mut self, steps: usize) -> Result<()> {
        self.effort.spend(steps)
    }

    fn value(&mut self, expr: &Expr) -> Result<Value> {
        self.spend(1)?;
        let value = self.value_of(&expr.kind)?;
        // Values are compared and dropped by recursion.
        if value.depth() > MAX_VALUE_DEPTH {
            return Err(EvaluateError::Cost);
        }
        Ok(value)
    }

    fn value_of(&mut self, kind: &Kind) -> Result<Value> {
        match kind {
            Kind::Literal(value) => Ok(value.clone()),
            Kind::Identifier(name) => self.variable(name),
            Kind::Select {
                operand,
                field,
                optional,
            } => {
                let operand = self.value(operand)?;
                let key = self.field(field)?;
                if *optional {
                    optional_member(&operand, &key)
                } else {
                    member(&operand, &key)
                }
            }
            Kind::Has { operand, field } => {
                let operand = self.value(operand)?;
                has(&operand, &self.field(field)?).map(Value::Bool)
            }
            Kind::Index {
                operand,
                index,
                optional,
            } => {
                let operand = self.value(operand)?;
                let index = self.value(index)?;
                self.spend(weight(&index))?;
                if *optional {
                    optional_index(&operand, &index)
                } else {
                    index_of(&operand, &index)
                }
            }
            Kind::Call {
                target,
                function,
                arguments,
            } => self.call(target.as_deref(), function, arguments),
            Kind::List(items) => self.list(items),
            Kind::Map(members) => self.map(members),
            Kind::And(parts) => self.logical(parts, false),
            Kind::Or(parts) => self.logical(parts, true),
            Kind::Conditional(condition, yes, no) => match self.value(condition)? {
                Value::Bool(true) => self.value(yes),
                Value::Bool(false) => self.value(no),
                _ => Err(EvaluateError::NoSuchOverload),
            },
            Kind::Binary(operator, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                binary(*operator, &left, &right, &mut self.effort)
            }
            Kind::Not(operand) => match self.value(operand)? {
                Value::Bool(value) => Ok(Value::Bool(!value)),
                _ => Err(EvaluateError::NoSuchOverload),
            },
            Kind::Negate(operand) => match self.value(operand)? {
                Value::Int(value) => value.checked_neg().map(Value::Int).ok_or(OVERFLOW),
                Value::Double(value) => Ok(Value::Double(-value)),
                _ => Err(EvaluateError::NoSuchOverload),
            },
            Kind::Over {
                kind,
                range,
                variable,
                bodies,
            } => self.over(*kind, range, variable, bodies),
            Kind::Optional {
                kind,
                target,
                variable,
                body,
            } => self.optional(*kind, target, variable, body),
        }
    }

    /// `optMap` and `optFlatMap`.
    fn optional(
        &mut self,
        kind: OptionalMacro,
        target: &Expr,
        variable: &str,
        body: &Expr,
    ) -> Result<Value> {
        let Value::Optional(value) = self.value(target)? else {
            return Err(EvaluateError::NoSuchOverload);
        };
        let Some(value) = value else {
            return Ok(Value::Optional(None));
        };
        let value = Value::clone(&value);
        let result = self.with(variable, value, |evaluator| evaluator.value(body))?;
        match (kind, result) {
            (OptionalMacro::Map, result) => Ok(Value::some(result)),
            (OptionalMacro::FlatMap, result @ Value::Optional(_)) => Ok(result),
            (OptionalMacro::FlatMap, _) => Err(EvaluateError::NoSuchOverload),
        }
    }

    fn field(&mut self, name: &str) -> Result<Key> {
        self.spend(name.len() / 10)?;
        Ok(Key::String(name.into()))
    }

    fn variable(&self, name: &str) -> Result<Value> {
        let found = self.scope.iter().rev().find(|(known, _)| known == name);
        let found = found
            .map(|(_, value)| value.clone())
            .or_else(|| type_value(name));
        found.ok_or_else(|| EvaluateError::Conversion(format!("no such attribute: {name}")))
    }

    fn with<T>(&mut self, name: &str, value: Value, body: impl FnOnce(&mut Self) -> T) -> T {
        self.scope.push((name.to_owned(), value));
        let result = body(self);
        self.scope.pop();
        result
    }

    /// `&&` and `||`: a part that decides wins, whatever errors the others give.
    fn logical(&mut self, parts: &[Expr], decides: bool) -> Result<Value> {
        let mut error = None;
        for part in parts {
            match self.value(part) {
                Ok(Value::Bool(value)) if value == decides => return Ok(Value::Bool(decides)),
                Ok(Value::Bool(_)) => {}
                Ok(_) => error = error.or(Some(EvaluateError::NoSuchOverload)),
                Err(EvaluateError::Cost) => return Err(EvaluateError::Cost),
                Err(failed) => error = error.or(Some(failed)),
            }
        }
        error.map_or(Ok(Value::Bool(!decides)), Err)
    }

    fn call(&mut self, target: Option<&Expr>, function: &str, arguments: &[Expr]) -> Result<Value> {
        // `optional.of(x)` and `format.named(x)` are functions with a dot in their name.
        if let Some(Expr {
            kind: Kind::Identifier(prefix),
            ..
        }) = target
            && !self.scope.iter().any(|(name, _)| name == prefix)
        {
            let name = format!("{prefix}.{function}");
            let arguments = self.all(arguments)?;
            return self.function(&name, None, &arguments);
        }
        let target = target.map(|target| self.value(target)).transpose()?;
        // What stands in for a missing value is looked at only if it is missing.
        match (function, &target) {
            ("or", Some(Value::Optional(Some(_)))) => return target.ok_or(EvaluateError::None),
            ("orValue", Some(Value::Optional(Some(value)))) => return Ok(Value::clone(value)),
            _ => {}
        }
        let arguments = self.all(arguments)?;
        self.function(function, target.as_ref(), &arguments)
    }

    /// Calls a function. What it looks at is paid for before, what it makes after.
    fn function(
        &mut self,
        name: &str,
        target: Option<&Value>,
        arguments: &[Value],
    ) -> Result<Value> {
        self.spend(arguments.iter().chain(target).map(weight).sum())?;
        let effort = &mut self.effort;
        let result = functions::call(name, target, arguments, effort)
            .or_else(|| self.host.call(name, target, arguments, effort))
            .unwrap_or(Err(EvaluateError::NoSuchOverload))?;
        self.spend(weight(&result))?;
        Ok(result)
    }

    fn all(&mut self, expressions: &[Expr]) -> Result<Vec<Value>> {
        expressions
            .iter()
            .map(|expression| self.value(expression))
            .collect()
    }

    fn list(&mut self, items: &[(bool, Expr)]) -> Result<Value> {
        let mut list = Vec::new();
        for (optional, item) in items {
            match (optional, self.value(item)?) {
                (false, value) => list.push(value),
                (true, Value::Optional(value)) => {
                    list.extend(value.map(|value| Value::clone(&value)));
                }
                (true, _) => return Err(EvaluateError::NoSuchOverload),
            }
        }
        Ok(Value::list(list))
    }

    fn map(&mut self, members: &[(bool, Expr, Expr)]) -> Result<Value> {
        let mut map = BTreeMap::new();
        for (optional, key, value) in members {
            let key = self.value(key)?;
            self.spend(weight(&key))?;
            let key = Key::of(&key).ok_or(EvaluateError::NoSuchOverload)?;
            let value = match (optional, self.value(value)?) {
                (false, value) => value,
                (true, Value::Optional(Some(value))) => Value::clone(&value),
                (true, Value::Optional(None)) => continue,
                (true, _) => return Err(EvaluateError::NoSuchOverload),
            };
            let text = key.text();
            if map.insert(key, value).is_some() {
                return Err(EvaluateError::Conversion(format!(
                    "Failed with repeated key: {text}"
                )));
            }
        }
        Ok(Value::map(map))
    }

    fn over(
        &mut self,
        kind: Macro,
        range: &Expr,
        variable: &str,
        bodies: &[Expr],
    ) -> Result<Value> {
        let items: Vec<Value> = match self.value(range)? {
            Value::List(items) => items.to_vec(),
            Value::Map(map) => map.keys().map(Key::value).collect(),
            _ => return Err(EvaluateError::NoSuchOverload),
        };
        self.spend(items.len())?;
        match kind {
            Macro::All => self.any(&items, variable, bodies, false),
            Macro::Exists => self.any(&items, variable, bodies, true),
            Macro::ExistsOne => {
                let hits = self.filtered(items, variable, bodies)?;
                Ok(Value::Bool(hits.len() == 1))
            }
            Macro::Filter => self.filtered(items, variable, bodies).map(Value::list),
            Macro::Map => {
                let items = match bodies {
                    [_] => items,
                    _ => self.filtered(items, variable, &bodies[..1])?,
                };
                let last = bodies.last().ok_or(EvaluateError::NoSuchOverload)?;
                let mapped = items
                    .into_iter()
                    .map(|item| self.with(variable, item, |evaluator| evaluator.value(last)));
                mapped.collect::<Result<_>>().map(Value::list)
            }
        }
    }

    /// `exists` if `decides`, else `all`: an item that decides wins, whatever errors others give.
    fn any(
        &mut self,
        items: &[Value],
        variable: &str,
        bodies: &[Expr],
        decides: bool,
    ) -> Result<Value> {
        let body = bodies.first().ok_or(EvaluateError::NoSuchOverload)?;
        let mut error = None;
        for item in items {
            match self.with(variable, item.clone(), |evaluator| evaluator.value(body)) {
                Ok(Value::Bool(value)) if value == decides => return Ok(Value::Bool(decides)),
                Ok(Value::Bool(_)) => {}
                Ok(_) => error = error.or(Some(EvaluateError::NoSuchOverload)),
                Err(EvaluateError::Cost) => return Err(EvaluateError::Cost),
                Err(failed) => error = error.or(Some(failed)),
            }
        }
        error.map_or(Ok(Value::Bool(!decides)), Err)
    }

    fn filtered(
        &mut self,
        items: Vec<Value>,
        variable: &str,
        bodies: &[Expr],
    ) -> Result<Vec<Value>> {
        let body = bodies.first().ok_or(EvaluateError::NoSuchOverload)?;
        let mut kept = Vec::new();
        for item in items {
            match self.with(variable, item.clone(), |evaluator| evaluator.value(body))? {
                Value::Bool(true) => kept.push(item),
                Value::Bool(false) => {}
                _ => return Err(EvaluateError::NoSuchOverload),
            }
        }
        Ok(kept)
    }
}

const OVERFLOW: EvaluateError = EvaluateError::Arithmetic("integer overflow");

fn member(operand: &Value, key: &Key) -> Result<Value> {
    match operand {
        Value::Map(map) => map
            .get(key)
            .cloned()
            .ok_or_else(|| EvaluateError::NoSuchKey(key.text())),
        Value::Optional(Some(inner)) => optional_member(inner, key),
        Value::Optional(None) => Ok(Value::Optional(None)),
        _ => Err(EvaluateError::NoSuchOverload),
    }
}

fn optional_member(operand: &Value, key: &Key) -> Result<Value> {
    match operand {
        Value::Map(map) => Ok(Value::optional(map.get(key).cloned())),
        Value::Optional(Some(inner)) => optional_member(inner, key),
        Value::Optional(None) => Ok(Value::Optional(None)),
        _ => Err(EvaluateError::NoSuchOverload),
    }
}

fn has(operand: &Value, key: &Key) -> Result<bool> {
    match operand {
        Value::Map(map) => Ok(map.contains_key(key)),
        Value::Optional(Some(inner)) => has(inner, key),
        Value::Optional(None) => Ok(false),
        _ => Err(EvaluateError::NoSuchOverload),
    }
}

fn index_of(operand: &Value, index: &Value) -> Result<Value> {
    match operand {
        Value::List(items) => {
            let Some(Key::Integer(at)) = Key::of(index) else {
                return Err(EvaluateError::NoSuchOverload);
            };
            let found = usize::try_from(at).ok().and_then(|at| items.get(at));
            let at = i64::try_from(at).unwrap_or(i64::MAX);
            found.cloned().ok_or(EvaluateError::OutOfBounds(at))
        }
        Value::Map(_) => {
            let key = Key::of(index).ok_or(EvaluateError::NoSuchOverload)?;
            member(operand, &key)
        }
        Value::Optional(_) => optional_index(operand, index),
        _ => Err(EvaluateError::NoSuchOverload),
    }
}

fn optional_index(operand: &Value, index: &Value) -> Result<Value> {
    match operand {
        Value::Optional(None) => Ok(Value::Optional(None)),
        Value::Optional(Some(inner)) => optional_index(inner, index),
        operand => match index_of(operand, index) {
            Ok(value) => Ok(Value::some(value)),
            Err(EvaluateError::NoSuchKey(_) | EvaluateError::OutOfBounds(_)) => {
                Ok(Value::Optional(None))
            }
            Err(error) => Err(error),
        },
    }
}

fn binary(
    operator: Operator,
    left: &Value,
    right: &Value,
    effort: &mut Effort<'_>,
) -> Result<Value> {
    let mut ordered = |fits: fn(Ordering) -> bool| {
        let order = left.compare(right, effort)?;
        Ok(Value::Bool(fits(order)))
    };
    match operator {
        Operator::Less => ordered(Ordering::is_lt),
        Operator::LessEqual => ordered(Ordering::is_le),
        Operator::Greater => ordered(Ordering::is_gt),
        Operator::GreaterEqual => ordered(Ordering::is_ge),
        Operator::Equal => Ok(Value::Bool(left.equals(right, effort)?)),
        Operator::NotEqual => Ok(Value::Bool(!left.equals(right, effort)?)),
        Operator::In => contains(right, left, effort).map(Value::Bool),
        Operator::Add => sum(left, right, effort),
        _ => arithmetic(operator, left, right),
    }
}

fn contains(container: &Value, value: &Value, effort: &mut Effort<'_>) -> Result<bool> {
    match container {
        Value::List(items) => {
            for item in items.iter() {
                if item.equals(value, effort)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Map(map) => {
            effort.spend(weight(value))?;
            Ok(Key::of(value).is_some_and(|key| map.contains_key(&key)))
        }
        _ => Err(EvaluateError::NoSuchOverload),
    }
}

/// What `+` makes of texts and lists is paid for before it is made.
fn sum(left: &Value, right: &Value, effort: &mut Effort<'_>) -> Result<Value> {
    match (left, right) {
        (Value::String(a), Value::String(b)) => {
            effort.make_text(a.len() + b.len())?;
            Ok(format!("{a}{b}").into())
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            effort.make_text(a.len() + b.len())?;
            Ok(Value::Bytes(a.iter().chain(b.iter()).copied().collect()))
        }
        (Value::List(a), Value::List(b)) => {
            effort.spend(a.len() + b.len())?;
            Ok(Value::list(a.iter().chain(b.iter()).cloned().collect()))
        }
        _ => arithmetic(Operator::Add, left, right),
    }
}

fn arithmetic(operator: Operator, left: &Value, right: &Value) -> Result<Value> {
    let overflow = |value: Option<i64>| value.map(Value::Int).ok_or(OVERFLOW);
    let unsigned = |value: Option<u64>| {
        value
            .map(Value::Uint)
            .ok_or(EvaluateError::Arithmetic("unsigned integer overflow"))
    };
    let divided = |by_zero: bool, modulo: bool| match (by_zero, modulo) {
        (false, _) => Ok(()),
        (true, false) => Err(EvaluateError::Arithmetic("divide by zero")),
        (true, true) => Err(EvaluateError::Arithmetic("modulus by zero")),
    };
    match (operator, left, right) {
        (Operator::Add, Value::Int(a), Value::Int(b)) => overflow(a.checked_add(*b)),
        (Operator::Subtract, Value::Int(a), Value::Int(b)) => overflow(a.checked_sub(*b)),
        (Operator::Multiply, Value::Int(a), Value::Int(b)) => overflow(a.checked_mul(*b)),
        (Operator::Divide, Value::Int(a), Value::Int(b)) => {
            divided(*b == 0, false).and_then(|()| overflow(a.checked_div(*b)))
        }
        (Operator::Modulo, Value::Int(a), Value::Int(b)) => {
            divided(*b == 0, true).and_then(|()| overflow(a.checked_rem(*b)))
        }
        (Operator::Add, Value::Uint(a), Value::Uint(b)) => unsigned(a.checked_add(*b)),
        (Operator::Subtract, Value::Uint(a), Value::Uint(b)) => unsigned(a.checked_sub(*b)),
        (Operator::Multiply, Value::Uint(a), Value::Uint(b)) => unsigned(a.checked_mul(*b)),
        (Operator::Divide, Value::Uint(a), Value::Uint(b)) => {
            divided(*b == 0, false).and_then(|()| unsigned(a.checked_div(*b)))
        }
        (Operator::Modulo, Value::Uint(a), Value::Uint(b)) => {
            divided(*b == 0, true).and_then(|()| unsigned(a.checked_rem(*b)))
        }
        (Operator::Add, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        (Operator::Subtract, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a - b)),
        (Operator::Multiply, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a * b)),
        (Operator::Divide, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a / b)),
        _ => functions::time::arithmetic(operator, left, right),
    }
}
