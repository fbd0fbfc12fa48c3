//! The shape of `metadata` and of label selectors.

use crate::decode::shape::{Field, Format, Shape};

/// `metadata` of every object. Name and namespace are checked against the kind by the decoder.
pub const OBJECT_META: &[Field] = &[
    Field::new("name", Shape::ANY_TEXT),
    Field::new("namespace", Shape::ANY_TEXT),
    Field::new("generateName", Shape::ANY_TEXT),
    Field::new(
        "labels",
        Shape::Map {
            keys: Format::LabelKey,
            values: &Shape::text(0, 63, Format::LabelValue),
        },
    ),
    Field::new(
        "annotations",
        Shape::Map {
            keys: Format::LabelKey,
            values: &Shape::ANY_TEXT,
        },
    ),
    Field::new(
        "finalizers",
        Shape::list(&Shape::text(1, 317, Format::LabelKey)),
    ),
    Field::new("uid", Shape::ANY_TEXT),
    Field::new("resourceVersion", Shape::ANY_TEXT),
    Field::new(
        "generation",
        Shape::Integer {
            min: 0,
            max: i64::MAX,
        },
    ),
    Field::new("creationTimestamp", Shape::Time),
    Field::new("deletionTimestamp", Shape::Time),
    Field::new(
        "deletionGracePeriodSeconds",
        Shape::Integer {
            min: 0,
            max: i64::MAX,
        },
    ),
    Field::new("selfLink", Shape::ANY_TEXT),
    Field::new(
        "ownerReferences",
        Shape::set(&Shape::Object(OWNER_REFERENCE), &["uid"]),
    ),
    Field::new("managedFields", Shape::list(&Shape::Object(MANAGED_FIELDS))),
];

const OWNER_REFERENCE: &[Field] = &[
    Field::new("apiVersion", Shape::text(1, 317, Format::Any)).required(),
    Field::new("kind", Shape::text(1, 63, Format::Any)).required(),
    Field::new("name", Shape::text(1, 253, Format::Any)).required(),
    Field::new("uid", Shape::text(1, 128, Format::Any)).required(),
    Field::new("controller", Shape::Boolean),
    Field::new("blockOwnerDeletion", Shape::Boolean),
];

const MANAGED_FIELDS: &[Field] = &[
    Field::new("manager", Shape::text(0, 128, Format::Any)),
    Field::new("operation", Shape::one_of(&["Apply", "Update"])),
    Field::new("apiVersion", Shape::ANY_TEXT),
    Field::new("time", Shape::Time),
    Field::new("fieldsType", Shape::one_of(&["FieldsV1"])),
    Field::new("fieldsV1", Shape::AnyObject),
    Field::new("subresource", Shape::ANY_TEXT),
];

/// A Kubernetes label selector: structure here, the rules of its operators at admission.
pub const LABEL_SELECTOR: Shape = Shape::Object(&[
    Field::new(
        "matchLabels",
        Shape::Map {
            keys: Format::LabelKey,
            values: &Shape::text(0, 63, Format::LabelValue),
        },
    ),
    Field::new(
        "matchExpressions",
        Shape::list(&Shape::Object(&[
            Field::new("key", Shape::text(0, 317, Format::LabelKey)).required(),
            Field::new(
                "operator",
                Shape::one_of(&["In", "NotIn", "Exists", "DoesNotExist"]),
            )
            .required(),
            Field::new(
                "values",
                Shape::list(&Shape::text(0, 63, Format::LabelValue)),
            ),
        ])),
    ),
]);
