//! Label selectors: checked once, matched often.
//!
//! Rules and text form are Kubernetes': requirements are joined by "and"; `NotIn` and `!=` also
//! hold for an object that has no such label.

use crate::decode::{FieldError, Problem, excerpt, is_label_key, is_label_value};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use std::collections::{BTreeMap, BTreeSet};

/// Longest name of a claim, in characters.
const CLAIM_NAME_MAX: usize = 253;

/// A checked label selector. The default has no requirements and matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Exists,
    DoesNotExist,
    GreaterThan(i64),
    LessThan(i64),
}

impl Selector {
    /// Checks a selector as it stands in an object. A selector without requirements matches
    /// everything; that an absent selector matches nothing is up to the caller.
    ///
    /// # Errors
    /// Every rule that the selector breaks, with paths below `path`.
    pub fn new(path: &str, selector: &LabelSelector) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut requirements = Vec::new();
        for (key, value) in selector.match_labels.iter().flatten() {
            let here = format!("{path}.matchLabels[{}]", excerpt(key));
            errors.extend(check_key(&here, key));
            errors.extend(check_value(&here, value));
            requirements.push(Requirement {
                key: key.clone(),
                test: Test::In(BTreeSet::from([value.clone()])),
            });
        }
        for (index, term) in selector.match_expressions.iter().flatten().enumerate() {
            let here = format!("{path}.matchExpressions[{index}]");
            match Requirement::of_term(&here, term) {
                Ok(requirement) => requirements.push(requirement),
                Err(found) => errors.extend(found),
            }
        }
        if errors.is_empty() {
            Ok(Self { requirements })
        } else {
            Err(errors)
        }
    }

    /// Checks a selector of claims: the operators of label selectors, but a claim's name and value
    /// may be any text of the length that a claim may have.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_claims(
        path: &str,
        terms: &[LabelSelectorRequirement],
    ) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut requirements = Vec::new();
        for (index, term) in terms.iter().enumerate() {
            let here = format!("{path}.matchExpressions[{index}]");
            if term.key.is_empty() || term.key.chars().count() > CLAIM_NAME_MAX {
                let rule = format!("the name of a claim, of 1 to {CLAIM_NAME_MAX} characters");
                errors.push(FieldError::invalid(format!("{here}.key"), &term.key, &rule));
            }
            match Requirement::of_checked_term(&here, term) {
                Ok(requirement) => requirements.push(requirement),
                Err(found) => errors.extend(found),
            }
        }
        if errors.is_empty() {
            Ok(Self { requirements })
        } else {
            Err(errors)
        }
    }

    /// Reads the text form: `env=prod,tier!=db,region in (eu, us),gpu,!old,cores>8`. Empty text
    /// matches everything.
    ///
    /// # Errors
    /// The first requirement that cannot be read; the path is empty.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let mut requirements = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let end = end_of_requirement(rest);
            let (requirement, behind) = rest.split_at(end);
            requirements.push(Requirement::parse(requirement.trim())?);
            rest = match behind.strip_prefix(',').map(str::trim_start) {
                Some("") => return Err(unreadable(text)),
                Some(behind) => behind,
                None => break,
            };
        }
        Ok(Self { requirements })
    }

    /// True if the labels meet every requirement.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = labels.get(&requirement.key);
            let number = || value.and_then(|value| value.parse::<i64>().ok());
            match &requirement.test {
                Test::In(values) => value.is_some_and(|value| values.contains(value)),
                Test::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
                Test::Exists => value.is_some(),
                Test::DoesNotExist => value.is_none(),
                Test::GreaterThan(bound) => number().is_some_and(|number| number > *bound),
                Test::LessThan(bound) => number().is_some_and(|number| number < *bound),
            }
        })
    }

    /// The selector as it stands in an object; `None` if it has a requirement that only the text
    /// form has (`<`, `>`).
    #[must_use]
    pub fn to_label_selector(&self) -> Option<LabelSelector> {
        let mut selector = LabelSelector::default();
        for Requirement { key, test } in &self.requirements {
            let (operator, values) = match test {
                Test::In(values) => match (values.len(), values.first()) {
                    (1, Some(value)) => {
                        let labels = selector.match_labels.get_or_insert_default();
                        // A second requirement on the key must not replace the first.
                        if !labels.contains_key(key) {
                            labels.insert(key.clone(), value.clone());
                            continue;
                        }
                        ("In", Some(values))
                    }
                    _ => ("In", Some(values)),
                },
                Test::NotIn(values) => ("NotIn", Some(values)),
                Test::Exists => ("Exists", None),
                Test::DoesNotExist => ("DoesNotExist", None),
                Test::GreaterThan(_) | Test::LessThan(_) => return None,
            };
            selector
                .match_expressions
                .get_or_insert_default()
                .push(LabelSelectorRequirement {
                    key: key.clone(),
                    operator: operator.to_owned(),
                    values: values.map(|values| values.iter().cloned().collect()),
                });
        }
        Some(selector)
    }
}

impl Requirement {
    fn of_term(path: &str, term: &LabelSelectorRequirement) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::from_iter(check_key(&format!("{path}.key"), &term.key));
        errors.extend(
            term.values
                .iter()
                .flatten()
                .filter_map(|v| check_value(&format!("{path}.values"), v)),
        );
        match Self::of_checked_term(path, term) {
            Ok(requirement) if errors.is_empty() => Ok(requirement),
            Ok(_) => Err(errors),
            Err(found) => Err(errors.into_iter().chain(found).collect()),
        }
    }

    /// The requirement of a term whose key and values are known to be good.
    fn of_checked_term(
        path: &str,
        term: &LabelSelectorRequirement,
    ) -> Result<Self, Vec<FieldError>> {
        let values: BTreeSet<String> = term.values.iter().flatten().cloned().collect();
        let mut errors = Vec::new();
        let test = match term.operator.as_str() {
            "In" | "NotIn" if values.is_empty() => {
                errors.push(FieldError::new(format!("{path}.values"), Problem::Required));
                Test::In(values)
            }
            "In" => Test::In(values),
            "NotIn" => Test::NotIn(values),
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let rule = format!("operator {} has no values", term.operator);
                errors.push(FieldError::new(
                    format!("{path}.values"),
                    Problem::Forbidden { rule },
                ));
                Test::Exists
            }
            "Exists" => Test::Exists,
            "DoesNotExist" => Test::DoesNotExist,
            other => {
                let allowed = ["In", "NotIn", "Exists", "DoesNotExist"].map(str::to_owned);
                let problem = Problem::NotAllowed {
                    value: excerpt(other),
                    allowed: allowed.to_vec(),
                };
                errors.push(FieldError::new(format!("{path}.operator"), problem));
                Test::Exists
            }
        };
        if errors.is_empty() {
            Ok(Self {
                key: term.key.clone(),
                test,
            })
        } else {
            Err(errors)
        }
    }

    fn parse(text: &str) -> Result<Self, FieldError> {
        let one = |value: &str| BTreeSet::from([value.trim().to_owned()]);
        let (key, test) = if let Some(key) = text.strip_prefix('!') {
            (key, Test::DoesNotExist)
        } else if let Some(list) = text.strip_suffix(')') {
            let (head, values) = list.split_once('(').ok_or_else(|| unreadable(text))?;
            let values = values
                .split(',')
                .map(|value| value.trim().to_owned())
                .collect();
            match head.trim().rsplit_once(char::is_whitespace) {
                Some((key, "in")) => (key, Test::In(values)),
                Some((key, "notin")) => (key, Test::NotIn(values)),
                _ => return Err(unreadable(text)),
            }
        } else if let Some((key, value)) = text.split_once("!=") {
            (key, Test::NotIn(one(value)))
        } else if let Some((key, value)) = text.split_once('=') {
            (key, Test::In(one(value.strip_prefix('=').unwrap_or(value))))
        } else if let Some((key, bound)) = text.split_once('>') {
            (
                key,
                Test::GreaterThan(bound.trim().parse().map_err(|_| unreadable(text))?),
            )
        } else if let Some((key, bound)) = text.split_once('<') {
            (
                key,
                Test::LessThan(bound.trim().parse().map_err(|_| unreadable(text))?),
            )
        } else {
            (text, Test::Exists)
        };
        let key = key.trim();
        if let Some(error) = check_key("", key) {
            return Err(error);
        }
        if let Test::In(values) | Test::NotIn(values) = &test
            && let Some(error) = values.iter().find_map(|value| check_value("", value))
        {
            return Err(error);
        }
        Ok(Self {
            key: key.to_owned(),
            test,
        })
    }
}

/// Where the first requirement of a text ends: at a comma outside parentheses.
fn end_of_requirement(text: &str) -> usize {
    let mut inside = false;
    let ends = |c: char| {
        match c {
            '(' => inside = true,
            ')' => inside = false,
            ',' => return !inside,
            _ => {}
        }
        false
    };
    text.find(ends).unwrap_or(text.len())
}

fn unreadable(text: &str) -> FieldError {
    FieldError::invalid(
        "",
        text,
        "a label selector such as env=prod,tier!=db,region in (eu,us),!old",
    )
}

fn check_key(path: &str, key: &str) -> Option<FieldError> {
    (!is_label_key(key)).then(|| FieldError::invalid(path, key, "a label key"))
}

fn check_value(path: &str, value: &str) -> Option<FieldError> {
    (!is_label_value(value)).then(|| FieldError::invalid(path, value, "a label value"))
}

#[cfg(test)]
mod tests;
