//! Types, as far as they can be known before there is data.
//!
//! Values of the object are of any type, so most of an expression fits always. What is found here
//! is what OCM refuses before it evaluates: names that do not exist, and constants that cannot go
//! together, such as `1 < 2.0` or `null == false`.

mod generic;
mod signatures;

use super::ast::{Expr, Kind, Macro, Operator, OptionalMacro};
use super::evaluate::type_value;
use super::host::Function;
use super::value::Value;
use super::{Problem, ValueType};
use std::collections::BTreeMap;
use std::fmt;

/// The type of an expression.
#[derive(Debug, Clone, PartialEq)]
enum Type {
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    /// A type as a value.
    Meta,
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Optional(Box<Type>),
    Named(&'static str),
}

/// How deep a type may be nested to be told from others.
const MAX_TYPE_DEPTH: usize = 50;

impl Type {
    /// How many types stand in each other. Keys of maps are never nested.
    fn depth(&self) -> usize {
        let mut depth = 0;
        let mut inner = self;
        while let Type::List(next) | Type::Map(_, next) | Type::Optional(next) = inner {
            depth += 1;
            inner = next;
        }
        depth
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Dyn => f.write_str("dyn"),
            Type::Null => f.write_str("null"),
            Type::Bool => f.write_str("bool"),
            Type::Int => f.write_str("int"),
            Type::Uint => f.write_str("uint"),
            Type::Double => f.write_str("double"),
            Type::String => f.write_str("string"),
            Type::Bytes => f.write_str("bytes"),
            Type::Timestamp => f.write_str("timestamp"),
            Type::Duration => f.write_str("duration"),
            Type::Meta => f.write_str("type"),
            Type::List(item) => write!(f, "list({item})"),
            Type::Map(key, value) => write!(f, "map({key}, {value})"),
            Type::Optional(inner) => write!(f, "optional_type({inner})"),
            Type::Named(name) => f.write_str(name),
        }
    }
}

/// Checks an expression.
pub(crate) fn check(
    root: &Expr,
    variables: &BTreeMap<&str, ValueType>,
    functions: &[Function],
) -> Result<(), Problem> {
    let scope = variables
        .iter()
        .map(|(name, known)| ((*name).to_owned(), Type::from(*known)))
        .collect();
    Checker { scope, functions }.infer(root).map(drop)
}

impl From<ValueType> for Type {
    fn from(known: ValueType) -> Self {
        match known {
            ValueType::Dyn => Type::Dyn,
            ValueType::Bool => Type::Bool,
            ValueType::Int => Type::Int,
            ValueType::String => Type::String,
            ValueType::List => Type::List(Box::new(Type::Dyn)),
            ValueType::Map => Type::Map(Box::new(Type::String), Box::new(Type::Dyn)),
        }
    }
}

struct Checker<'a> {
    scope: Vec<(String, Type)>,
    /// Functions beside those of every expression.
    functions: &'a [Function],
}

fn problem<T>(expr: &Expr, problem: String) -> Result<T, Problem> {
    Err(Problem {
        at: expr.at,
        problem,
    })
}

fn no_overload<T>(expr: &Expr, function: &str, types: &[&Type]) -> Result<T, Problem> {
    let types: Vec<String> = types.iter().map(ToString::to_string).collect();
    let types = types.join(", ");
    problem(
        expr,
        format!("found no matching overload for '{function}' applied to '({types})'"),
    )
}

impl Checker<'_> {
    /// The type of an expression. One that is nested too deep counts as unknown, so that a short
    /// text cannot make types that take long to copy and to compare.
    fn infer(&mut self, expr: &Expr) -> Result<Type, Problem> {
        let found = self.infer_whole(expr)?;
        Ok(if found.depth() > MAX_TYPE_DEPTH {
            Type::Dyn
        } else {
            found
        })
    }

    fn infer_whole(&mut self, expr: &Expr) -> Result<Type, Problem> {
        match &expr.kind {
            Kind::Literal(value) => Ok(of_literal(value)),
            Kind::Identifier(name) => self.variable(name, expr),
            Kind::Select {
                operand,
                field: _,
                optional,
            } => {
                let operand_type = self.infer(operand)?;
                let member = select(expr, &operand_type)?;
                Ok(if *optional {
                    optional_of(member)
                } else {
                    member
                })
            }
            Kind::Has { operand, .. } => {
                let operand_type = self.infer(operand)?;
                select(expr, &operand_type).map(|_| Type::Bool)
            }
            Kind::Index {
                operand,
                index,
                optional,
            } => {
                let (operand, index) = (self.infer(operand)?, self.infer(index)?);
                let item = index_type(expr, &operand, &index)?;
                Ok(if *optional { optional_of(item) } else { item })
            }
            Kind::Call {
                target,
                function,
                arguments,
            } => self.call(expr, target.as_deref(), function, arguments),
            Kind::List(items) => {
                let items = items
                    .iter()
                    .map(|(optional, item)| self.element(*optional, item));
                Ok(Type::List(Box::new(common(
                    items.collect::<Result<_, _>>()?,
                ))))
            }
            Kind::Map(members) => self.map(members),
            Kind::And(parts) => self.logical(expr, "_&&_", parts),
            Kind::Or(parts) => self.logical(expr, "_||_", parts),
            Kind::Conditional(condition, yes, no) => {
                let condition = self.infer(condition)?;
                let (yes, no) = (self.infer(yes)?, self.infer(no)?);
                if !fits(&condition, &Type::Bool) || !assignable(&yes, &no) {
                    return no_overload(expr, "_?_:_", &[&condition, &yes, &no]);
                }
                Ok(if yes == no { yes } else { Type::Dyn })
            }
            Kind::Binary(operator, left, right) => {
                let (left, right) = (self.infer(left)?, self.infer(right)?);
                binary(expr, *operator, &left, &right)
            }
            Kind::Not(operand) => match self.infer(operand)? {
                Type::Bool | Type::Dyn => Ok(Type::Bool),
                other => no_overload(expr, "!_", &[&other]),
            },
            Kind::Negate(operand) => match self.infer(operand)? {
                known @ (Type::Int | Type::Double | Type::Dyn) => Ok(known),
                other => no_overload(expr, "-_", &[&other]),
            },
            Kind::Over {
                kind,
                range,
                variable,
                bodies,
            } => self.over(expr, *kind, range, variable, bodies),
            Kind::Optional {
                kind,
                target,
                variable,
                body,
            } => self.optional(expr, *kind, target, variable, body),
        }
    }

    /// What `optMap` and `optFlatMap` give.
    fn optional(
        &mut self,
        expr: &Expr,
        kind: OptionalMacro,
        target: &Expr,
        variable: &str,
        body: &Expr,
    ) -> Result<Type, Problem> {
        let inner = match self.infer(target)? {
            Type::Optional(inner) => *inner,
            Type::Dyn => Type::Dyn,
            other => return no_overload(expr, "optMap", &[&other]),
        };
        let body = self.with(variable, inner, |checker| checker.infer(body))?;
        match (kind, body) {
            (OptionalMacro::Map, body) => Ok(optional_of(body)),
            (OptionalMacro::FlatMap, body @ (Type::Optional(_) | Type::Dyn)) => Ok(body),
            (OptionalMacro::FlatMap, other) => no_overload(expr, "optFlatMap", &[&other]),
        }
    }

    fn variable(&self, name: &str, expr: &Expr) -> Result<Type, Problem> {
        if let Some((_, found)) = self.scope.iter().rev().find(|(known, _)| known == name) {
            return Ok(found.clone());
        }
        match type_value(name) {
            Some(_) => Ok(Type::Meta),
            None => problem(
                expr,
                format!("undeclared reference to '{name}' (in container '')"),
            ),
        }
    }

    fn with<T>(&mut self, name: &str, kind: Type, body: impl FnOnce(&mut Self) -> T) -> T {
        self.scope.push((name.to_owned(), kind));
        let result = body(self);
        self.scope.pop();
        result
    }

    fn element(&mut self, optional: bool, item: &Expr) -> Result<Type, Problem> {
        match (optional, self.infer(item)?) {
            (false, kind) => Ok(kind),
            (true, Type::Optional(inner)) => Ok(*inner),
            (true, Type::Dyn) => Ok(Type::Dyn),
            (true, other) => problem(
                item,
                format!("expected type 'optional_type' but found '{other}'"),
            ),
        }
    }

    fn map(&mut self, members: &[(bool, Expr, Expr)]) -> Result<Type, Problem> {
        let mut keys = Vec::new();
        let mut values = Vec::new();
        for (optional, key, value) in members {
            keys.push(self.key(key)?);
            values.push(self.element(*optional, value)?);
        }
        Ok(Type::Map(Box::new(common(keys)), Box::new(common(values))))
    }

    /// Only these can be keys when the expression is evaluated. With lists and maps as keys a type
    /// would double with each step of a chain.
    fn key(&mut self, key: &Expr) -> Result<Type, Problem> {
        match self.infer(key)? {
            known @ (Type::Bool | Type::Int | Type::Uint | Type::String | Type::Dyn) => Ok(known),
            other => problem(key, format!("unsupported key type: {other}")),
        }
    }

    fn logical(&mut self, expr: &Expr, name: &str, parts: &[Expr]) -> Result<Type, Problem> {
        for part in parts {
            let kind = self.infer(part)?;
            if !fits(&kind, &Type::Bool) {
                return no_overload(expr, name, &[&kind]);
            }
        }
        Ok(Type::Bool)
    }

    fn call(
        &mut self,
        expr: &Expr,
        target: Option<&Expr>,
        function: &str,
        arguments: &[Expr],
    ) -> Result<Type, Problem> {
        if let Some(Expr {
            kind: Kind::Identifier(prefix),
            ..
        }) = target
            && !self.scope.iter().any(|(name, _)| name == prefix)
        {
            let name = format!("{prefix}.{function}");
            if signatures::exists(&name, false, self.functions) {
                let arguments = self.all(arguments)?;
                return self.overload(expr, &name, None, &arguments);
            }
        }
        let target = target.map(|target| self.infer(target)).transpose()?;
        let arguments = self.all(arguments)?;
        if !signatures::exists(function, target.is_some(), self.functions)
            && !signatures::exists(function, target.is_none(), self.functions)
        {
            return problem(
                expr,
                format!("undeclared reference to '{function}' (in container '')"),
            );
        }
        self.overload(expr, function, target.as_ref(), &arguments)
    }

    fn overload(
        &self,
        expr: &Expr,
        name: &str,
        target: Option<&Type>,
        arguments: &[Type],
    ) -> Result<Type, Problem> {
        let result = generic::result(name, target, arguments)
            .unwrap_or_else(|| signatures::result(name, target, arguments, self.functions));
        if let Some(result) = result {
            return Ok(result);
        }
        let types: Vec<&Type> = target.into_iter().chain(arguments).collect();
        no_overload(expr, name, &types)
    }

    fn all(&mut self, expressions: &[Expr]) -> Result<Vec<Type>, Problem> {
        expressions
            .iter()
            .map(|expression| self.infer(expression))
            .collect()
    }

    fn over(
        &mut self,
        expr: &Expr,
        kind: Macro,
        range: &Expr,
        variable: &str,
        bodies: &[Expr],
    ) -> Result<Type, Problem> {
        let item = match self.infer(range)? {
            Type::List(item) => *item,
            Type::Map(key, _) => *key,
            Type::Dyn => Type::Dyn,
            other => {
                let text =
                    format!("expression of type '{other}' cannot be range of a comprehension");
                return problem(range, text);
            }
        };
        let predicates = if kind == Macro::Map {
            bodies.len() - 1
        } else {
            bodies.len()
        };
        let mut last = Type::Dyn;
        for (index, body) in bodies.iter().enumerate() {
            last = self.with(variable, item.clone(), |checker| checker.infer(body))?;
            if index < predicates && !fits(&last, &Type::Bool) {
                return no_overload(expr, "_&&_", &[&last]);
            }
        }
        Ok(match kind {
            Macro::All | Macro::Exists | Macro::ExistsOne => Type::Bool,
            Macro::Filter => Type::List(Box::new(item)),
            Macro::Map => Type::List(Box::new(last)),
        })
    }
}

fn of_literal(value: &Value) -> Type {
    match value {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::Bool,
        Value::Int(_) => Type::Int,
        Value::Uint(_) => Type::Uint,
        Value::Double(_) => Type::Double,
        Value::String(_) => Type::String,
        Value::Bytes(_) => Type::Bytes,
        _ => Type::Dyn,
    }
}

fn optional_of(inner: Type) -> Type {
    match inner {
        Type::Optional(_) => inner,
        other => Type::Optional(Box::new(other)),
    }
}

fn common(types: Vec<Type>) -> Type {
    let mut types = types.into_iter();
    let Some(first) = types.next() else {
        return Type::Dyn;
    };
    if types.all(|other| other == first) {
        first
    } else {
        Type::Dyn
    }
}

fn select(expr: &Expr, operand: &Type) -> Result<Type, Problem> {
    match operand {
        Type::Dyn => Ok(Type::Dyn),
        Type::Map(_, value) => Ok((**value).clone()),
        Type::Optional(inner) => select(expr, inner).map(optional_of),
        other => problem(
            expr,
            format!("type '{other}' does not support field selection"),
        ),
    }
}

fn index_type(expr: &Expr, operand: &Type, index: &Type) -> Result<Type, Problem> {
    match operand {
        Type::Dyn => Ok(Type::Dyn),
        Type::List(item) if fits(index, &Type::Int) => Ok((**item).clone()),
        Type::Map(key, value) if assignable(index, key) => Ok((**value).clone()),
        Type::Optional(inner) => index_type(expr, inner, index).map(optional_of),
        other => no_overload(expr, "_[_]", &[other, index]),
    }
}

/// True if a value of type `kind` may be one of type `wanted`.
fn fits(kind: &Type, wanted: &Type) -> bool {
    *kind == Type::Dyn || *wanted == Type::Dyn || kind == wanted
}

/// True if values of the two types can be compared or stand for one another.
fn assignable(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Dyn, _) | (_, Type::Dyn) => true,
        (Type::List(a), Type::List(b)) | (Type::Optional(a), Type::Optional(b)) => assignable(a, b),
        (Type::Map(ka, va), Type::Map(kb, vb)) => assignable(ka, kb) && assignable(va, vb),
        (Type::Null, other) | (other, Type::Null) => matches!(
            other,
            Type::Null | Type::Timestamp | Type::Duration | Type::Optional(_) | Type::Named(_)
        ),
        _ => a == b,
    }
}

fn binary(expr: &Expr, operator: Operator, left: &Type, right: &Type) -> Result<Type, Problem> {
    let (name, fitting) = match operator {
        Operator::Equal => ("_==_", assignable(left, right).then_some(Type::Bool)),
        Operator::NotEqual => ("_!=_", assignable(left, right).then_some(Type::Bool)),
        Operator::Less => ("_<_", ordered(left, right)),
        Operator::LessEqual => ("_<=_", ordered(left, right)),
        Operator::Greater => ("_>_", ordered(left, right)),
        Operator::GreaterEqual => ("_>=_", ordered(left, right)),
        Operator::In => ("@in", contained(left, right)),
        Operator::Add => ("_+_", sum(left, right, true)),
        Operator::Subtract => ("_-_", sum(left, right, false)),
        Operator::Multiply => ("_*_", product(left, right, true)),
        Operator::Divide => ("_/_", product(left, right, true)),
        Operator::Modulo => ("_%_", product(left, right, false)),
    };
    match fitting {
        Some(result) => Ok(result),
        None => no_overload(expr, name, &[left, right]),
    }
}

fn ordered(left: &Type, right: &Type) -> Option<Type> {
    let orderable = |kind: &Type| {
        !matches!(
            kind,
            Type::Null
                | Type::Meta
                | Type::List(_)
                | Type::Map(..)
                | Type::Optional(_)
                | Type::Named(_)
        )
    };
    (orderable(left) && orderable(right) && fits(left, right)).then_some(Type::Bool)
}

fn contained(left: &Type, right: &Type) -> Option<Type> {
    let fitting = match right {
        Type::Dyn => true,
        Type::List(item) => assignable(left, item),
        Type::Map(key, _) => assignable(left, key),
        _ => false,
    };
    fitting.then_some(Type::Bool)
}

fn sum(left: &Type, right: &Type, add: bool) -> Option<Type> {
    match (left, right) {
        (Type::Dyn, Type::Dyn) => Some(Type::Dyn),
        (Type::Timestamp, Type::Duration) => Some(Type::Timestamp),
        (Type::Duration, Type::Timestamp) if add => Some(Type::Timestamp),
        (Type::Timestamp, Type::Timestamp) if !add => Some(Type::Duration),
        (Type::List(a), Type::List(b)) if add && assignable(a, b) => Some(if a == b {
            left.clone()
        } else {
            Type::List(Box::new(Type::Dyn))
        }),
        (known, Type::Dyn) | (Type::Dyn, known) => summable(known, add).then_some(Type::Dyn),
        (a, b) => (a == b && summable(a, add) && !matches!(a, Type::Timestamp)).then(|| a.clone()),
    }
}

fn summable(kind: &Type, add: bool) -> bool {
    match kind {
        Type::Int | Type::Uint | Type::Double | Type::Duration | Type::Timestamp => true,
        Type::String | Type::Bytes | Type::List(_) => add,
        _ => false,
    }
}

fn product(left: &Type, right: &Type, fractions: bool) -> Option<Type> {
    let number = |kind: &Type| match kind {
        Type::Int | Type::Uint | Type::Dyn => true,
        Type::Double => fractions,
        _ => false,
    };
    let result = if left == right {
        left.clone()
    } else {
        Type::Dyn
    };
    (number(left) && number(right) && fits(left, right)).then_some(result)
}
