//! JSONPath as Kubernetes speaks it (`kubectl get -o jsonpath`), for feedback rules.
//!
//! The dialect is older than RFC 9535 and differs from it nearly everywhere: text and expressions
//! in braces alternate, `range` and `end` loop, filters compare by type, a dot in a quoted name
//! still separates, `[]` is the first item. Users' rules are written for it, so this evaluator
//! follows client-go's behaviour, also where that is odd; where client-go takes Go's random map
//! order (`.map.*`), keys come in byte order here.

mod evaluate;
mod value;

pub use evaluate::EvaluateError;
pub use skein_schema::json_path::ParseError;
pub use value::{Found, Kind};

use serde_json::{Map, Value};
use skein_schema::json_path::{Node, parse};

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    nodes: Vec<Node>,
}

impl Template {
    /// Parses a template such as `{.status.phase}`.
    ///
    /// # Errors
    /// When client-go would not parse it, or when it is longer than
    /// [`skein_schema::json_path::MAX_LENGTH`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse(text).map(|nodes| Self { nodes })
    }

    /// What each part of the template finds in `object`. A field that is not there finds nothing,
    /// and is no error.
    ///
    /// # Errors
    /// When the template does not fit the object, e.g. an index is out of bounds.
    pub fn find<'a>(
        &'a self,
        object: &'a Map<String, Value>,
    ) -> Result<Vec<Vec<Found<'a>>>, EvaluateError> {
        evaluate::find(&self.nodes, object)
    }
}

#[cfg(test)]
mod tests;
