//! Shapes: what a kind's fields may hold, as data.
//!
//! A shape is the part of a CustomResourceDefinition's schema that Skein needs: types, limits,
//! enums, formats, list keys and defaults. The Rust types say how fields are used, the shape says
//! what people may write; a test proves for every kind that both know the same fields.

/// One field of an object.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
    pub(crate) default: Option<Default>,
}

/// What an absent field is filled with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Default {
    Text(&'static str),
    Integer(i64),
    /// An empty object, whose own fields then get their defaults.
    Object,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// `true` or `false`.
    Boolean,
    /// A whole number within bounds, both included.
    Integer {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
    },
    /// A string. Lengths count characters, as in a CustomResourceDefinition.
    Text {
        /// Fewest characters.
        min: usize,
        /// Most characters.
        max: usize,
        /// What the characters must be.
        format: Format,
    },
    /// An RFC 3339 time; kept in whole seconds and UTC.
    Time,
    /// A Kubernetes quantity, as string or number.
    Quantity,
    /// A number of clusters, or a share of them such as `25%`; kept as a number or so many percent
    /// without leading zeros.
    IntOrPercent {
        /// Smallest number, and smallest share in percent.
        min: u32,
    },
    /// Bytes in base64.
    Bytes,
    /// A list.
    List {
        /// Shape of each entry.
        item: &'static Shape,
        /// Fields that together identify an entry, or none.
        keys: &'static [&'static str],
    },
    /// An object with any keys.
    Map {
        /// What the keys must be.
        keys: Format,
        /// Shape of each value.
        values: &'static Shape,
    },
    /// An object with these fields and no others.
    Object(&'static [Field]),
    /// Any object; what is in it is kept as it is.
    AnyObject,
}

/// What the characters of a string must be.
#[derive(Clone, Copy, Debug)]
pub enum Format {
    /// Anything.
    Any,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// An RFC 1123 label.
    Label,
    /// An RFC 1123 subdomain.
    Subdomain,
    /// An optional subdomain and `/`, then letters, digits, `-`, `_` and `.`.
    QualifiedName,
    /// A qualified name with Kubernetes' limits for label keys.
    LabelKey,
    /// A label value.
    LabelValue,
    /// The reason of a condition.
    ConditionReason,
    /// Anything that starts with this.
    Prefix(&'static str),
    /// Whole hours, minutes and seconds, or `0`.
    RolloutDuration,
    /// The same but not zero, or `None`.
    ProgressDeadline,
}

impl Shape {
    /// Any string.
    pub const ANY_TEXT: Self = Self::text(0, usize::MAX, Format::Any);

    /// A string with limits on its length in characters.
    #[must_use]
    pub const fn text(min: usize, max: usize, format: Format) -> Self {
        Self::Text { min, max, format }
    }

    /// One of the given strings.
    #[must_use]
    pub const fn one_of(allowed: &'static [&'static str]) -> Self {
        Self::text(0, usize::MAX, Format::OneOf(allowed))
    }

    /// A list whose entries may repeat.
    #[must_use]
    pub const fn list(item: &'static Self) -> Self {
        Self::List { item, keys: &[] }
    }

    /// A list whose entries differ in the given fields.
    #[must_use]
    pub const fn set(item: &'static Self, keys: &'static [&'static str]) -> Self {
        Self::List { item, keys }
    }
}

impl Field {
    /// An optional field.
    #[must_use]
    pub const fn new(name: &'static str, shape: Shape) -> Self {
        Self {
            name,
            shape,
            required: false,
            default: None,
        }
    }

    /// What it is called.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The same field, required.
    #[must_use]
    pub const fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }

    /// The same field, filled with a text when absent.
    #[must_use]
    pub const fn default_text(self, text: &'static str) -> Self {
        Self {
            default: Some(Default::Text(text)),
            ..self
        }
    }

    /// The same field, filled with a number when absent.
    #[must_use]
    pub const fn default_integer(self, number: i64) -> Self {
        Self {
            default: Some(Default::Integer(number)),
            ..self
        }
    }

    /// The same field, filled with an object of its own defaults when absent.
    #[must_use]
    pub const fn default_object(self) -> Self {
        Self {
            default: Some(Default::Object),
            ..self
        }
    }
}
