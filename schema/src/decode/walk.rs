//! Walks a document along its shape: checks, cleans and fills in.

use super::error::{FieldError, Problem, excerpt};
use super::format;
use super::shape::{Default, Field, Format, Shape};
use super::{LABEL_RULE, SUBDOMAIN_RULE, Unknown};
use crate::kind::rollout_strategy::{
    IntOrPercent, IntOrPercentError, MAX_NUMBER, MAX_PERCENT, ProgressDeadline, RolloutDuration,
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;

/// Errors listed at most; a hostile document must not produce megabytes of them.
const MAX_ERRORS: usize = 50;

/// Where the walk is. Written out only when something is wrong.
#[derive(Clone, Copy)]
pub(crate) enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
    Key(&'a Path<'a>, &'a str),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Path::Root, name) => f.write_str(&excerpt(name)),
            Self::Field(parent, name) => write!(f, "{parent}.{}", excerpt(name)),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Key(parent, key) => write!(f, "{parent}[{}]", excerpt(key)),
        }
    }
}

/// The problems found so far.
pub(super) struct Walk {
    unknown: Unknown,
    errors: Vec<FieldError>,
    warnings: Vec<FieldError>,
}

impl Walk {
    pub(super) fn new(unknown: Unknown) -> Self {
        Self {
            unknown,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The warnings, or the errors if there are any.
    pub(super) fn finish(self) -> Result<Vec<FieldError>, Vec<FieldError>> {
        if self.errors.is_empty() {
            Ok(self.warnings)
        } else {
            Err(self.errors)
        }
    }

    pub(super) fn error(&mut self, error: FieldError) {
        push_bounded(&mut self.errors, error);
    }

    /// Checks a value that must be an object with these fields.
    pub(super) fn fields(&mut self, path: &Path<'_>, value: &mut Value, fields: &'static [Field]) {
        match value {
            Value::Object(object) => self.object(path, object, fields, &[]),
            other => self.error(FieldError::wrong_type(path, "object", other)),
        }
    }

    /// Checks the fields of an object; `beside` are known fields that somebody else checks.
    pub(super) fn object(
        &mut self,
        path: &Path<'_>,
        object: &mut Map<String, Value>,
        fields: &'static [Field],
        beside: &[&'static str],
    ) {
        self.drop_unknown(path, object, fields, beside);
        for field in fields {
            let here = Path::Field(path, field.name);
            if object.get(field.name).is_some_and(Value::is_null) {
                object.remove(field.name);
            }
            if let (false, Some(default)) = (object.contains_key(field.name), field.default) {
                object.insert(field.name.to_owned(), default.value());
            }
            match object.get_mut(field.name) {
                Some(value) => self.value(&here, value, &field.shape),
                None if field.required => self.error(FieldError::new(here, Problem::Required)),
                None => {}
            }
        }
    }

    fn drop_unknown(
        &mut self,
        path: &Path<'_>,
        object: &mut Map<String, Value>,
        fields: &'static [Field],
        beside: &[&'static str],
    ) {
        let known = || {
            fields
                .iter()
                .map(|field| field.name)
                .chain(beside.iter().copied())
        };
        object.retain(|name, _| {
            if known().any(|field| field == name) {
                return true;
            }
            let list = match self.unknown {
                Unknown::Refuse => &mut self.errors,
                Unknown::Warn => &mut self.warnings,
                Unknown::Ignore => return false,
            };
            if list.len() <= MAX_ERRORS {
                let mut error = FieldError::new(Path::Field(path, name), Problem::UnknownField);
                error.hint = nearest(name, known()).map(|field| format!("did you mean {field:?}?"));
                push_bounded(list, error);
            }
            false
        });
    }

    fn value(&mut self, path: &Path<'_>, value: &mut Value, shape: &Shape) {
        match (shape, &mut *value) {
            (Shape::Boolean, Value::Bool(_)) | (Shape::AnyObject, Value::Object(_)) => {}
            (Shape::Integer { min, max }, Value::Number(number)) if !number.is_f64() => {
                if !number
                    .as_i64()
                    .is_some_and(|number| (*min..=*max).contains(&number))
                {
                    let found = number.to_string();
                    let problem = Problem::OutOfRange {
                        min: *min,
                        max: *max,
                        found,
                    };
                    self.error(FieldError::new(path, problem));
                }
            }
            (Shape::Text { min, max, format }, Value::String(text)) => {
                self.text(path, text, *min, *max, *format);
            }
            (Shape::Time, Value::String(text)) => match format::parse_time(text) {
                Some(time) => *text = time,
                None => self.error(FieldError::invalid(path, text, "a time as in RFC 3339")),
            },
            (Shape::Quantity, Value::String(text)) => {
                if !format::is_quantity(text) {
                    self.error(FieldError::invalid(
                        path,
                        text,
                        "a quantity such as 4, 500m or 16Gi",
                    ));
                }
            }
            (Shape::Quantity, Value::Number(number)) if !number.is_f64() => {
                *value = Value::String(number.to_string());
            }
            (Shape::IntOrPercent { min }, Value::Number(number)) if !number.is_f64() => {
                let text = number.to_string();
                if let Err(error) = int_or_percent(path, &text, *min) {
                    self.error(error);
                }
            }
            (Shape::IntOrPercent { min }, Value::String(text)) => {
                match int_or_percent(path, text, *min) {
                    Ok(IntOrPercent::Number(number)) => *value = Value::from(number),
                    Ok(percent) => *text = percent.to_string(),
                    Err(error) => self.error(error),
                }
            }
            (Shape::Bytes, Value::String(text)) => {
                if data_encoding::BASE64.decode(text.as_bytes()).is_err() {
                    self.error(FieldError::invalid(path, text, "bytes in base64"));
                }
            }
            (Shape::List { item, keys }, Value::Array(items)) => {
                self.list(path, items, item, keys);
            }
            (Shape::Map { keys, values }, Value::Object(map)) => {
                self.map(path, map, *keys, values);
            }
            (Shape::Object(fields), Value::Object(object)) => {
                self.object(path, object, fields, &[]);
            }
            (shape, other) => {
                self.error(FieldError::wrong_type(path, shape.expected(), other));
            }
        }
    }

    fn list(&mut self, path: &Path<'_>, items: &mut [Value], item: &Shape, keys: &[&str]) {
        let mut seen = BTreeSet::new();
        for (index, entry) in items.iter_mut().enumerate() {
            let here = Path::Index(path, index);
            self.value(&here, entry, item);
            if keys.is_empty() {
                continue;
            }
            let text = |key: &&str| entry.get(*key).and_then(Value::as_str).map(str::to_owned);
            let Some(identity) = keys.iter().map(text).collect::<Option<Vec<_>>>() else {
                continue;
            };
            if !seen.insert(identity.clone()) {
                let value = excerpt(&identity.join("/"));
                let key = Path::Field(&here, keys[0]);
                self.error(FieldError::new(key, Problem::Duplicate { value }));
            }
        }
    }

    fn map(&mut self, path: &Path<'_>, map: &mut Map<String, Value>, keys: Format, values: &Shape) {
        map.retain(|_, value| !value.is_null());
        for (key, value) in map.iter_mut() {
            let here = Path::Key(path, key);
            if let Err(error) = check_format(&here, key, keys) {
                self.error(error);
            }
            self.value(&here, value, values);
        }
    }

    fn text(&mut self, path: &Path<'_>, text: &str, min: usize, max: usize, format: Format) {
        let length = text.chars().count();
        if length < min {
            let problem = if length == 0 {
                Problem::Required
            } else {
                Problem::TooShort {
                    min: min as u64,
                    found: length as u64,
                }
            };
            self.error(FieldError::new(path, problem));
        } else if length > max {
            let problem = Problem::TooLong {
                max: max as u64,
                found: length as u64,
            };
            self.error(FieldError::new(path, problem));
        } else if let Err(error) = check_format(path, text, format) {
            self.error(error);
        }
    }
}

fn push_bounded(list: &mut Vec<FieldError>, error: FieldError) {
    match list.len() {
        count if count < MAX_ERRORS => list.push(error),
        MAX_ERRORS => list.push(FieldError::new("", Problem::TooManyErrors)),
        _ => {}
    }
}

fn check_format(path: &Path<'_>, text: &str, format: Format) -> Result<(), FieldError> {
    let (fits, rule) = match format {
        Format::Any => return Ok(()),
        Format::OneOf(allowed) => {
            if allowed.contains(&text) {
                return Ok(());
            }
            let problem = Problem::NotAllowed {
                value: excerpt(text),
                allowed: allowed.iter().map(|text| (*text).to_owned()).collect(),
            };
            let mut error = FieldError::new(path, problem);
            error.hint = nearest(text, allowed.iter().copied())
                .map(|allowed| format!("did you mean {allowed:?}?"));
            return Err(error);
        }
        Format::Label => (format::is_label(text), LABEL_RULE.to_owned()),
        Format::Subdomain => (format::is_subdomain(text), SUBDOMAIN_RULE.to_owned()),
        Format::QualifiedName => (format::is_qualified_name(text), QUALIFIED_RULE.to_owned()),
        Format::LabelKey => (format::is_label_key(text), LABEL_KEY_RULE.to_owned()),
        Format::LabelValue => (format::is_label_value(text), LABEL_VALUE_RULE.to_owned()),
        Format::ConditionReason => (format::is_condition_reason(text), REASON_RULE.to_owned()),
        Format::Prefix(prefix) => (
            text.starts_with(prefix),
            format!("must start with {prefix}"),
        ),
        Format::RolloutDuration => told(text.parse::<RolloutDuration>()),
        Format::ProgressDeadline => told(text.parse::<ProgressDeadline>()),
    };
    if fits {
        Ok(())
    } else {
        Err(FieldError::invalid(path, text, rule))
    }
}

/// Whether a text could be parsed, and the rule that it breaks.
fn told<T, E: fmt::Display>(parsed: Result<T, E>) -> (bool, String) {
    match parsed {
        Ok(_) => (true, String::new()),
        Err(error) => (false, error.to_string()),
    }
}

/// Reads a number or share of clusters; a number may be negative here, to be refused.
fn int_or_percent(path: &Path<'_>, text: &str, min: u32) -> Result<IntOrPercent, FieldError> {
    let out_of_range = |max: u32| {
        let problem = Problem::OutOfRange {
            min: i64::from(min),
            max: i64::from(max),
            found: excerpt(text),
        };
        FieldError::new(path, problem)
    };
    let read = match text.parse() {
        Err(IntOrPercentError::Form) if is_negative_integer(text) => Err(IntOrPercentError::Number),
        read => read,
    };
    match read {
        Ok(IntOrPercent::Number(number)) if number < min => Err(out_of_range(MAX_NUMBER)),
        Ok(IntOrPercent::Percent(percent)) if u32::from(percent) < min => {
            Err(out_of_range(u32::from(MAX_PERCENT)))
        }
        Ok(value) => Ok(value),
        Err(IntOrPercentError::Number) => Err(out_of_range(MAX_NUMBER)),
        Err(IntOrPercentError::Percent) => Err(out_of_range(u32::from(MAX_PERCENT))),
        Err(error @ IntOrPercentError::Form) => {
            Err(FieldError::invalid(path, text, error.to_string()))
        }
    }
}

fn is_negative_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

const QUALIFIED_RULE: &str = "an optional DNS name and '/', then letters, digits, '-', '_' and \
                              '.', a letter or digit at both ends";
const LABEL_KEY_RULE: &str = "an optional DNS name and '/', then at most 63 letters, digits, '-', \
                              '_' and '.', a letter or digit at both ends";
const LABEL_VALUE_RULE: &str = "at most 63 letters, digits, '-', '_' and '.', a letter or digit at \
                                both ends, or nothing";
const REASON_RULE: &str = "letters, digits, '_', ',' and ':', a letter first";

impl Default {
    fn value(self) -> Value {
        match self {
            Self::Text(text) => Value::from(text),
            Self::Integer(number) => Value::from(number),
            Self::Object => Value::Object(Map::new()),
        }
    }
}

impl Shape {
    fn expected(&self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer { .. } => "integer",
            Self::Text { .. } | Self::Time | Self::Bytes => "string",
            Self::Quantity => "string or integer",
            Self::IntOrPercent { .. } => "integer or percentage",
            Self::List { .. } => "array",
            Self::Map { .. } | Self::Object(_) | Self::AnyObject => "object",
        }
    }
}

/// The known word nearest to a written one, if it is near enough to be meant.
pub(crate) fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lowered = written.to_lowercase();
    if lowered.len() > 64 {
        return None;
    }
    known
        .map(|word| (strsim::osa_distance(&lowered, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= (word.len() / 3).max(1))
        .min()
        .map(|(_, word)| word)
}
