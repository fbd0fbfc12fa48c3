//! Label and field selectors of lists and watches.

use serde_json::Value;

use super::error::ApiError;
use super::kinds::ResourceType;
use super::object;

/// Which objects a list or watch is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(Vec<String>, String, bool)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

/// The fields besides name and namespace that each kind can be selected by.
const FIELDS: &[(&str, &[&str])] = &[
    (
        "pods",
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
        ],
    ),
    (
        "events",
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "reason",
            "type",
            "reportingComponent",
        ],
    ),
    ("secrets", &["type"]),
    ("namespaces", &["status.phase"]),
    ("nodes", &["spec.unschedulable"]),
    ("services", &["spec.clusterIP", "spec.type"]),
];

impl Selector {
    /// Parses `labelSelector` and `fieldSelector`.
    ///
    /// # Errors
    /// 400 when a selector cannot be read, or the kind cannot be selected by a field.
    pub(crate) fn parse(
        labels: &str,
        fields: &str,
        kind: &ResourceType,
    ) -> Result<Selector, ApiError> {
        let labels = split(labels)
            .into_iter()
            .map(requirement)
            .collect::<Result<_, _>>()?;
        let fields = split(fields)
            .into_iter()
            .map(|term| field_term(term, kind))
            .collect::<Result<_, _>>()?;
        Ok(Selector { labels, fields })
    }

    /// Whether it selects everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether the object is selected.
    pub(crate) fn matches(&self, value: &Value) -> bool {
        let label =
            |key: &str| object::at(value, &["metadata", "labels", key]).and_then(Value::as_str);
        let labels =
            self.labels
                .iter()
                .all(|requirement| match &requirement.operator {
                    Operator::In(values) => label(&requirement.key)
                        .is_some_and(|own| values.iter().any(|one| one == own)),
                    Operator::NotIn(values) => label(&requirement.key)
                        .is_none_or(|own| values.iter().all(|one| one != own)),
                    Operator::Exists => label(&requirement.key).is_some(),
                    Operator::Absent => label(&requirement.key).is_none(),
                });
        labels
            && self
                .fields
                .iter()
                .all(|(path, wanted, equal)| (text_at(value, path) == *wanted) == *equal)
    }
}

fn text_at(value: &Value, path: &[String]) -> String {
    match path.iter().try_fold(value, |value, field| value.get(field)) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// Splits at commas outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let terms = text.split(|letter: char| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    });
    terms
        .map(str::trim)
        .filter(|term| !term.is_empty())
        .collect()
}

fn requirement(term: &str) -> Result<Requirement, ApiError> {
    let set = |key: &str, values: &str| -> Option<(String, Vec<String>)> {
        let values = values.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some((
            key.trim().to_owned(),
            values
                .split(',')
                .map(|value| value.trim().to_owned())
                .collect(),
        ))
    };
    let one = |value: &str| vec![value.trim().to_owned()];
    let parsed = if let Some((key, value)) = term.split_once("!=") {
        Some((key.trim().to_owned(), Operator::NotIn(one(value))))
    } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        Some((key.trim().to_owned(), Operator::In(one(value))))
    } else if let Some((key, values)) = term
        .split_once(" notin ")
        .or_else(|| term.split_once(" notin"))
    {
        set(key, values).map(|(key, values)| (key, Operator::NotIn(values)))
    } else if let Some((key, values)) = term.split_once(" in ").or_else(|| term.split_once(" in")) {
        set(key, values).map(|(key, values)| (key, Operator::In(values)))
    } else if let Some(key) = term.strip_prefix('!') {
        Some((key.trim().to_owned(), Operator::Absent))
    } else {
        Some((term.to_owned(), Operator::Exists))
    };
    let key_letter = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    match parsed {
        Some((key, operator)) if !key.is_empty() && key.chars().all(key_letter) => {
            Ok(Requirement { key, operator })
        }
        _ => Err(ApiError::bad_request(format!(
            "unable to parse requirement: {term:?}"
        ))),
    }
}

fn field_term(term: &str, kind: &ResourceType) -> Result<(Vec<String>, String, bool), ApiError> {
    let parsed = match term.split_once("!=") {
        Some((field, value)) => Some((field, value, false)),
        None => term
            .split_once("==")
            .or_else(|| term.split_once('='))
            .map(|(field, value)| (field, value, true)),
    };
    let (field, value, equal) =
        parsed.ok_or_else(|| ApiError::bad_request(format!("invalid field selector: {term:?}")))?;
    let extra = FIELDS
        .iter()
        .find(|(plural, _)| kind.is("", plural))
        .map_or(&[][..], |(_, fields)| fields);
    let general = field == "metadata.name" || field == "metadata.namespace";
    if !general && !extra.contains(&field) {
        return Err(ApiError::bad_request(format!(
            "field label not supported: {field}"
        )));
    }
    Ok((
        field.split('.').map(str::to_owned).collect(),
        value.to_owned(),
        equal,
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sim_cluster::kinds;

    fn pods() -> &'static ResourceType {
        kinds::builtin("", "v1", "pods").expect("built in")
    }

    #[test]
    fn labels_select() {
        let pod = json!({"metadata": {"labels": {"app": "web", "example.com/tier": "front"}}});
        for (selector, selected) in [
            ("", true),
            ("app=web", true),
            ("app==web,example.com/tier=front", true),
            ("app!=web", false),
            ("other!=x", true),
            ("app in (web, db)", true),
            ("app notin (web,db)", false),
            ("other notin (a)", true),
            ("app", true),
            ("!app", false),
            ("!other,app in (db),app", false),
        ] {
            let parsed = Selector::parse(selector, "", pods()).expect(selector);
            assert_eq!(parsed.matches(&pod), selected, "{selector}");
        }
        assert_eq!(
            Selector::parse("a b=c", "", pods())
                .expect_err("space")
                .code,
            400
        );
    }

    #[test]
    fn fields_select() {
        let pod = json!({"metadata": {"name": "a"}, "spec": {"nodeName": "n1"}});
        for (selector, selected) in [
            ("metadata.name=a", true),
            ("spec.nodeName!=n1", false),
            ("status.phase=", true),
            ("spec.nodeName=n2", false),
        ] {
            let parsed = Selector::parse("", selector, pods()).expect(selector);
            assert_eq!(parsed.matches(&pod), selected, "{selector}");
        }
        let refused =
            Selector::parse("", "spec.hostNetwork=true", pods()).expect_err("not a field");
        assert_eq!(
            refused.message,
            "field label not supported: spec.hostNetwork"
        );
    }
}
