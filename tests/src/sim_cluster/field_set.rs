//! Sets of field paths, as `metadata.managedFields` records them (`FieldsV1`), and their algebra.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

/// One step of a field path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PathElement {
    /// A field of an object (`f:name`).
    Field(String),
    /// An item of a keyed list, by the canonical JSON of its keys (`k:{"name":"web"}`).
    Key(String),
    /// A value of a set, by its JSON (`v:"a"`).
    Value(String),
    /// An item by its position (`i:0`).
    Index(usize),
}

/// A set of field paths: a tree whose marked nodes are the members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    nodes: BTreeMap<PathElement, Node>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Node {
    member: bool,
    below: FieldSet,
}

impl Node {
    fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }
}

impl FieldSet {
    /// Whether no path is in the set.
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Adds the path that is `element` alone.
    pub(crate) fn insert(&mut self, element: PathElement) {
        self.nodes.entry(element).or_default().member = true;
    }

    /// Adds all paths of `below`, each prefixed by `element`.
    pub(crate) fn insert_below(&mut self, element: PathElement, below: &FieldSet) {
        if below.is_empty() {
            return;
        }
        let node = self.nodes.entry(element).or_default();
        node.below = std::mem::take(&mut node.below).union(below);
    }

    /// Whether the path `element` is a member.
    pub(crate) fn has(&self, element: &PathElement) -> bool {
        self.nodes.get(element).is_some_and(|node| node.member)
    }

    /// The paths that begin with `element`, without it.
    pub(crate) fn below(&self, element: &PathElement) -> Option<&FieldSet> {
        self.nodes
            .get(element)
            .map(|node| &node.below)
            .filter(|below| !below.is_empty())
    }

    /// The first steps of all paths, with whether the step itself is a member.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (&PathElement, bool, &FieldSet)> {
        self.nodes
            .iter()
            .map(|(element, node)| (element, node.member, &node.below))
    }

    /// Paths in either set.
    pub(crate) fn union(mut self, other: &FieldSet) -> FieldSet {
        for (element, theirs) in &other.nodes {
            let node = self.nodes.entry(element.clone()).or_default();
            node.member |= theirs.member;
            node.below = std::mem::take(&mut node.below).union(&theirs.below);
        }
        self
    }

    /// Paths in both sets.
    pub(crate) fn intersection(&self, other: &FieldSet) -> FieldSet {
        self.combine(
            |element| other.nodes.get(element),
            |ours, theirs| ours && theirs,
            |ours, theirs| {
                theirs.map_or_else(FieldSet::default, |theirs| ours.intersection(theirs))
            },
        )
    }

    /// Paths in this set that are not in the other.
    pub(crate) fn difference(&self, other: &FieldSet) -> FieldSet {
        self.combine(
            |element| other.nodes.get(element),
            |ours, theirs| ours && !theirs,
            |ours, theirs| theirs.map_or_else(|| ours.clone(), |theirs| ours.difference(theirs)),
        )
    }

    fn combine<'o>(
        &self,
        other: impl Fn(&PathElement) -> Option<&'o Node>,
        member: impl Fn(bool, bool) -> bool,
        below: impl Fn(&FieldSet, Option<&'o FieldSet>) -> FieldSet,
    ) -> FieldSet {
        let mut nodes = BTreeMap::new();
        for (element, ours) in &self.nodes {
            let theirs = other(element);
            let node = Node {
                member: member(ours.member, theirs.is_some_and(|node| node.member)),
                below: below(&ours.below, theirs.map(|node| &node.below)),
            };
            if !node.is_empty() {
                nodes.insert(element.clone(), node);
            }
        }
        FieldSet { nodes }
    }

    /// Removes `path` and everything below it.
    pub(crate) fn remove_tree(&mut self, path: &[PathElement]) {
        match path {
            [] => self.nodes.clear(),
            [last] => {
                self.nodes.remove(last);
            }
            [first, rest @ ..] => {
                let Some(node) = self.nodes.get_mut(first) else {
                    return;
                };
                node.below.remove_tree(rest);
                if node.is_empty() {
                    self.nodes.remove(first);
                }
            }
        }
    }

    /// Keeps only `path` and what is below it.
    pub(crate) fn only(&self, first: &PathElement) -> FieldSet {
        FieldSet {
            nodes: self
                .nodes
                .get_key_value(first)
                .map(|(e, n)| (e.clone(), n.clone()))
                .into_iter()
                .collect(),
        }
    }

    /// Every member path, printed as Kubernetes prints it (`.spec.containers[name="web"].image`), in order.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut all = Vec::new();
        self.collect_paths(&mut String::new(), &mut all);
        all
    }

    fn collect_paths(&self, prefix: &mut String, all: &mut Vec<String>) {
        // The members of a level come before what lies below them, as in conflict messages.
        for element in self
            .nodes
            .iter()
            .filter(|(_, node)| node.member)
            .map(|(element, _)| element)
        {
            all.push(format!("{prefix}{element}"));
        }
        for (element, node) in &self.nodes {
            let length = prefix.len();
            prefix.push_str(&element.to_string());
            node.below.collect_paths(prefix, all);
            prefix.truncate(length);
        }
    }

    /// The set in the `FieldsV1` notation.
    pub(crate) fn to_fields_v1(&self) -> Value {
        let mut out = Map::new();
        for (element, node) in &self.nodes {
            let mut below = node.below.to_fields_v1();
            if let (Value::Object(fields), true) =
                (&mut below, node.member && !node.below.is_empty())
            {
                fields.insert(".".to_owned(), Value::Object(Map::new()));
            }
            out.insert(element.to_key(), below);
        }
        Value::Object(out)
    }

    /// Reads the `FieldsV1` notation; entries of an unknown notation are left out.
    pub(crate) fn from_fields_v1(fields: &Value) -> FieldSet {
        let mut nodes = BTreeMap::new();
        for (key, below) in fields.as_object().into_iter().flatten() {
            let Some(element) = PathElement::from_key(key) else {
                continue;
            };
            let inner = FieldSet::from_fields_v1(below);
            let member = inner.is_empty() || below.get(".").is_some();
            nodes.insert(
                element,
                Node {
                    member,
                    below: inner,
                },
            );
        }
        FieldSet { nodes }
    }
}

impl PathElement {
    /// A field of an object.
    pub(crate) fn field(name: &str) -> PathElement {
        PathElement::Field(name.to_owned())
    }

    fn to_key(&self) -> String {
        match self {
            PathElement::Field(name) => format!("f:{name}"),
            PathElement::Key(keys) => format!("k:{keys}"),
            PathElement::Value(value) => format!("v:{value}"),
            PathElement::Index(index) => format!("i:{index}"),
        }
    }

    fn from_key(key: &str) -> Option<PathElement> {
        let (notation, rest) = key.split_once(':')?;
        match notation {
            "f" => Some(PathElement::Field(rest.to_owned())),
            "k" => Some(PathElement::Key(rest.to_owned())),
            "v" => Some(PathElement::Value(rest.to_owned())),
            "i" => rest.parse().ok().map(PathElement::Index),
            _ => None,
        }
    }
}

impl fmt::Display for PathElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathElement::Field(name) => write!(f, ".{name}"),
            PathElement::Key(keys) => {
                let keys: BTreeMap<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let printed: Vec<String> = keys
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                write!(f, "[{}]", printed.join(","))
            }
            PathElement::Value(value) => write!(f, "[={value}]"),
            PathElement::Index(index) => write!(f, "[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(fields: &Value) -> FieldSet {
        FieldSet::from_fields_v1(fields)
    }

    #[test]
    fn notation_survives_a_round_trip() {
        let fields = json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}, "f:finalizers": {"v:\"a/b\"": {}}},
            "f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:image": {}}}, "f:args": {"i:0": {}}}});
        assert_eq!(set(&fields).to_fields_v1(), fields);
        assert_eq!(
            set(&fields).paths(),
            [
                ".metadata.labels",
                r#".metadata.finalizers[="a/b"]"#,
                ".metadata.labels.app",
                ".spec.args[0]",
                r#".spec.containers[name="web"]"#,
                r#".spec.containers[name="web"].image"#,
            ]
        );
    }

    #[test]
    fn algebra_counts_a_node_and_what_is_below_apart() {
        let whole = set(&json!({"f:a": {".": {}, "f:b": {}, "f:c": {}}}));
        let part = set(&json!({"f:a": {"f:b": {}}}));
        assert_eq!(
            whole.difference(&part),
            set(&json!({"f:a": {".": {}, "f:c": {}}}))
        );
        assert_eq!(whole.intersection(&part), part);
        assert_eq!(whole.difference(&part).union(&part), whole);
        assert!(part.difference(&whole).is_empty());
    }

    #[test]
    fn a_tree_is_removed_with_its_empty_parents() {
        let mut fields = set(&json!({"f:metadata": {"f:name": {}}, "f:spec": {}}));
        fields.remove_tree(&[PathElement::field("metadata"), PathElement::field("name")]);
        assert_eq!(fields, set(&json!({"f:spec": {}})));
    }
}
