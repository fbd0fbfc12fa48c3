//! Walks a template over an object.

use super::value::{Found, Kind};
use serde_json::{Map, Value};
use skein_schema::json_path::{EXISTS, Node, Slice};
use std::cmp::Ordering;

/// Most values that one evaluation may touch: unions and descents multiply.
const MAX_WORK: usize = 200_000;

/// A template that does not fit the object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// An index or slice on something else than a list.
    #[error("{0} is not array or slice")]
    NotAList(&'static str),
    /// A filter on something else than a list.
    #[error("{0} is not array or slice and cannot be filtered")]
    NotFilterable(&'static str),
    /// An index behind the end.
    #[error("array index out of bounds: index {index}, length {length}")]
    OutOfBounds {
        /// The index.
        index: i64,
        /// The list's length.
        length: i64,
    },
    /// `[3:1]`.
    #[error("starting index {start} is greater than ending index {end}")]
    Reversed {
        /// Start of the slice.
        start: i64,
        /// End of the slice.
        end: i64,
    },
    /// `[::0]`.
    #[error("step must be > 0")]
    Step,
    /// A word that is neither `range` nor `end`.
    #[error("unrecognized identifier {0}")]
    Identifier(String),
    /// `end` without `range`.
    #[error("not in range, nothing to end")]
    NothingToEnd,
    /// One side of a comparison has several values.
    #[error("can only compare one element at a time")]
    Several,
    /// A comparison with `null`, a list or an object, or an order of truth values.
    #[error("invalid type for comparison")]
    NotComparable,
    /// The sides of a comparison are of different kinds.
    #[error("incompatible types for comparison")]
    Incompatible,
    /// An operator that is not known.
    #[error("unrecognized filter operator {0}")]
    Operator(String),
    /// The template multiplies its results.
    #[error("the path finds too many values")]
    TooMuch,
}

/// Results of a step; with an error, those it had when the error came: a filter that only asks
/// whether something is there looks at them.
type Results<'a> = (Vec<Found<'a>>, Option<EvaluateError>);

pub(super) fn find<'a>(
    nodes: &'a [Node],
    object: &'a Map<String, Value>,
) -> Result<Vec<Vec<Found<'a>>>, EvaluateError> {
    let mut walker = Walker {
        work: 0,
        opened: 0,
        inside: 0,
        ended: 0,
        last_end: 0,
    };
    walker.template(nodes, 0, Some(Found::Root(object)))
}

/// Counters of `range` and `end`, and of the work done.
struct Walker {
    work: usize,
    opened: usize,
    inside: usize,
    ended: usize,
    last_end: usize,
}

impl Walker {
    /// Evaluates the template's parts from `from` on. `current` is what `@` stands for; inside a
    /// range without items it is nothing.
    fn template<'a>(
        &mut self,
        nodes: &'a [Node],
        from: usize,
        current: Option<Found<'a>>,
    ) -> Result<Vec<Vec<Found<'a>>>, EvaluateError> {
        let current: Vec<Found<'a>> = current.into_iter().collect();
        let mut all = Vec::new();
        let mut at = from;
        while at < nodes.len() {
            let results = match self.step(current.clone(), &nodes[at]) {
                (results, None) => results,
                (_, Some(error)) => return Err(error),
            };
            if self.ended > 0 && self.ended <= self.inside {
                self.ended -= 1;
                self.last_end = at;
                break;
            }
            if self.opened > 0 {
                self.opened -= 1;
                self.inside += 1;
                if results.is_empty() {
                    // Walked without items, only to find the matching end.
                    self.template(nodes, at + 1, None)?;
                }
                for item in results {
                    all.extend(self.template(nodes, at + 1, Some(item))?);
                }
                self.inside -= 1;
                at = at.max(self.last_end) + 1;
                continue;
            }
            all.push(results);
            at += 1;
        }
        Ok(all)
    }

    fn list<'a>(&mut self, mut values: Vec<Found<'a>>, nodes: &'a [Node]) -> Results<'a> {
        for node in nodes {
            let (next, error) = self.step(values, node);
            if error.is_some() {
                return (next, error);
            }
            values = next;
        }
        (values, None)
    }

    fn step<'a>(&mut self, input: Vec<Found<'a>>, node: &'a Node) -> Results<'a> {
        self.work += 1 + input.len();
        if self.work > MAX_WORK {
            return (input, Some(EvaluateError::TooMuch));
        }
        let each = |literal: Found<'a>| (vec![literal; input.len()], None);
        match node {
            Node::Text(text) => (vec![Found::Text(text)], None),
            Node::List(nodes) => self.list(input, nodes),
            Node::Field(name) => (
                input.into_iter().filter_map(|v| member(v, name)).collect(),
                None,
            ),
            Node::Array(slice) => match slices(&input, *slice) {
                Ok(items) => (items, None),
                Err(error) => (input, Some(error)),
            },
            Node::Filter {
                left,
                operator,
                right,
            } => self.filter(input, left, operator, right),
            Node::Integer(value) => each(Found::Integer(*value)),
            Node::Float(value) => each(Found::Float(*value)),
            Node::Bool(value) => each(Found::Bool(*value)),
            Node::Wildcard => (input.into_iter().flat_map(Found::children).collect(), None),
            Node::Recursive => {
                let mut found = Vec::new();
                let error = self.descend(&input, &mut found).err();
                (found, error)
            }
            Node::Union(parts) => {
                let mut found = Vec::new();
                for part in parts {
                    let (results, error) = self.list(input.clone(), part);
                    if error.is_some() {
                        return (input, error);
                    }
                    found.extend(results);
                }
                (found, None)
            }
            Node::Identifier(name) => self.identifier(input, name),
        }
    }

    fn identifier<'a>(&mut self, input: Vec<Found<'a>>, name: &str) -> Results<'a> {
        match name {
            "range" => {
                self.opened += 1;
                (input, None)
            }
            "end" if self.inside > 0 => {
                self.ended += 1;
                (Vec::new(), None)
            }
            "end" => (Vec::new(), Some(EvaluateError::NothingToEnd)),
            other => (input, Some(EvaluateError::Identifier(other.to_owned()))),
        }
    }

    fn descend<'a>(
        &mut self,
        input: &[Found<'a>],
        found: &mut Vec<Found<'a>>,
    ) -> Result<(), EvaluateError> {
        for value in input {
            self.work += 1;
            if self.work > MAX_WORK {
                return Err(EvaluateError::TooMuch);
            }
            let children = value.children();
            if !children.is_empty() {
                found.push(*value);
                self.descend(&children, found)?;
            }
        }
        Ok(())
    }

    fn filter<'a>(
        &mut self,
        input: Vec<Found<'a>>,
        left: &'a [Node],
        operator: &str,
        right: &'a [Node],
    ) -> Results<'a> {
        let mut found = Vec::new();
        for value in &input {
            let Kind::List(items) = value.kind() else {
                let error = EvaluateError::NotFilterable(value.kind().name());
                return (input, Some(error));
            };
            for item in items.iter().map(Found::Part) {
                let (lefts, error) = self.list(vec![item], left);
                if operator == EXISTS {
                    // An error here is as good as finding nothing, or what came before it.
                    if !lefts.is_empty() {
                        found.push(item);
                    }
                    continue;
                }
                if error.is_some() {
                    return (input, error);
                }
                match self.compares(item, &lefts, operator, right) {
                    Ok(true) => found.push(item),
                    Ok(false) => {}
                    Err(error) => return (found, Some(error)),
                }
            }
        }
        (found, None)
    }

    fn compares<'a>(
        &mut self,
        item: Found<'a>,
        lefts: &[Found<'a>],
        operator: &str,
        right: &'a [Node],
    ) -> Result<bool, EvaluateError> {
        let left = match lefts {
            [] => return Ok(false),
            [left] => left.kind(),
            _ => return Err(EvaluateError::Several),
        };
        let right = match self.list(vec![item], right) {
            (_, Some(error)) => return Err(error),
            (rights, None) => match rights.as_slice() {
                [] => return Ok(false),
                [right] => right.kind(),
                _ => return Err(EvaluateError::Several),
            },
        };
        match operator {
            "==" => equal(left, right),
            "!=" => equal(left, right).map(|equal| !equal),
            "<" => less(left, right),
            "<=" => Ok(less(left, right)? || equal(left, right)?),
            ">" => Ok(!(less(left, right)? || equal(left, right)?)),
            ">=" => less(left, right).map(|less| !less),
            other => Err(EvaluateError::Operator(other.to_owned())),
        }
    }
}

fn member<'a>(value: Found<'a>, name: &str) -> Option<Found<'a>> {
    match value.kind() {
        Kind::Map(map) => map.get(name).map(Found::Part),
        _ => None,
    }
}

fn slices<'a>(input: &[Found<'a>], slice: Slice) -> Result<Vec<Found<'a>>, EvaluateError> {
    let mut found = Vec::new();
    for value in input {
        let items = match value.kind() {
            Kind::Null => continue,
            Kind::List(items) => items,
            other => return Err(EvaluateError::NotAList(other.name())),
        };
        let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
        let mut start = slice.start.unwrap_or(0);
        if start < 0 {
            start = start.wrapping_add(length);
        }
        let mut end = slice.end.unwrap_or(length);
        if end < 0 || (end == 0 && slice.single) {
            end = end.wrapping_add(length);
        }
        if start == end {
            return Ok(found);
        }
        if start >= length || start < 0 {
            return Err(EvaluateError::OutOfBounds {
                index: start,
                length,
            });
        }
        if end > length || end < 0 {
            return Err(EvaluateError::OutOfBounds {
                index: end.wrapping_sub(1),
                length,
            });
        }
        if start > end {
            return Err(EvaluateError::Reversed { start, end });
        }
        let step = slice.step.unwrap_or(1);
        if step <= 0 {
            return Err(EvaluateError::Step);
        }
        let bounds = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        found.extend(items[bounds].iter().step_by(step).map(Found::Part));
    }
    Ok(found)
}

fn equal(left: Kind<'_>, right: Kind<'_>) -> Result<bool, EvaluateError> {
    match (basic(left)?, basic(right)?) {
        (Kind::Bool(a), Kind::Bool(b)) => Ok(a == b),
        (Kind::Integer(a), Kind::Integer(b)) => Ok(a == b),
        #[expect(clippy::float_cmp, reason = "the dialect compares floats exactly")]
        (Kind::Float(a), Kind::Float(b)) => Ok(a == b),
        (Kind::Unsigned(a), Kind::Unsigned(b)) => Ok(a == b),
        (Kind::String(a), Kind::String(b)) => Ok(a == b),
        _ => Err(EvaluateError::Incompatible),
    }
}

fn less(left: Kind<'_>, right: Kind<'_>) -> Result<bool, EvaluateError> {
    let order = match (basic(left)?, basic(right)?) {
        (Kind::Bool(_), Kind::Bool(_)) => return Err(EvaluateError::NotComparable),
        (Kind::Integer(a), Kind::Integer(b)) => Some(a.cmp(&b)),
        (Kind::Float(a), Kind::Float(b)) => a.partial_cmp(&b),
        (Kind::Unsigned(a), Kind::Unsigned(b)) => Some(a.cmp(&b)),
        (Kind::String(a), Kind::String(b)) => Some(a.cmp(b)),
        _ => return Err(EvaluateError::Incompatible),
    };
    Ok(order == Some(Ordering::Less))
}

/// Only truth values, numbers and texts can be compared.
fn basic(kind: Kind<'_>) -> Result<Kind<'_>, EvaluateError> {
    match kind {
        Kind::Null | Kind::List(_) | Kind::Map(_) => Err(EvaluateError::NotComparable),
        other => Ok(other),
    }
}
