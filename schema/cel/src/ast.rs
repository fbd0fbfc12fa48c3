//! Expressions, with macros already taken apart.

use super::value::Value;

/// An expression and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    /// Byte in the text.
    pub(crate) at: usize,
    /// Levels of expressions below it.
    pub(crate) depth: usize,
    pub(crate) kind: Kind,
}

/// Binary operators that are functions of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// Macros over the members of a list or the keys of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Macro {
    All,
    Exists,
    ExistsOne,
    Filter,
    /// With one or two expressions: the first of two is a filter.
    Map,
}

/// Macros over an optional value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OptionalMacro {
    Map,
    FlatMap,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Literal(Value),
    Identifier(String),
    /// `a.b`, `a.?b`
    Select {
        operand: Box<Expr>,
        field: String,
        optional: bool,
    },
    /// `has(a.b)`
    Has {
        operand: Box<Expr>,
        field: String,
    },
    /// `a[b]`, `a[?b]`
    Index {
        operand: Box<Expr>,
        index: Box<Expr>,
        optional: bool,
    },
    Call {
        target: Option<Box<Expr>>,
        function: String,
        arguments: Vec<Expr>,
    },
    /// The flag marks `?element`.
    List(Vec<(bool, Expr)>),
    Map(Vec<(bool, Expr, Expr)>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Conditional(Box<Expr>, Box<Expr>, Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Over {
        kind: Macro,
        range: Box<Expr>,
        variable: String,
        bodies: Vec<Expr>,
    },
    Optional {
        kind: OptionalMacro,
        target: Box<Expr>,
        variable: String,
        body: Box<Expr>,
    },
}

impl Kind {
    /// The expressions directly inside.
    pub(crate) fn children(&self) -> Vec<&Expr> {
        match self {
            Kind::Literal(_) | Kind::Identifier(_) => Vec::new(),
            Kind::Select { operand, .. } | Kind::Has { operand, .. } => vec![operand],
            Kind::Index { operand, index, .. } => vec![operand, index],
            Kind::Call {
                target, arguments, ..
            } => target.iter().map(AsRef::as_ref).chain(arguments).collect(),
            Kind::List(items) => items.iter().map(|(_, item)| item).collect(),
            Kind::Map(members) => members.iter().flat_map(|(_, k, v)| [k, v]).collect(),
            Kind::And(parts) | Kind::Or(parts) => parts.iter().collect(),
            Kind::Conditional(a, b, c) => vec![a, b, c],
            Kind::Binary(_, a, b) => vec![a, b],
            Kind::Not(a) | Kind::Negate(a) => vec![a],
            Kind::Over { range, bodies, .. } => {
                std::iter::once(range.as_ref()).chain(bodies).collect()
            }
            Kind::Optional { target, body, .. } => vec![target, body],
        }
    }
}
