//! The fields of a work, with OCM's limits and defaults.

use crate::decode::shape::{Field, Format, Shape};
use crate::kind::condition::CONDITIONS;

pub(super) const FIELDS: &[Field] = &[
    Field::new("spec", Shape::Object(SPEC)),
    Field::new("status", Shape::Object(STATUS)),
];

const INT32: Shape = Shape::Integer {
    min: i32::MIN as i64,
    max: i32::MAX as i64,
};
const INT64: Shape = Shape::Integer {
    min: i64::MIN,
    max: i64::MAX,
};
const TEXTS: Shape = Shape::list(&Shape::ANY_TEXT);

const SPEC: &[Field] = &[
    Field::new(
        "workload",
        Shape::Object(&[Field::new("manifests", Shape::list(&Shape::AnyObject))]),
    ),
    Field::new("deleteOption", Shape::Object(DELETE_OPTION)),
    Field::new("executor", Shape::Object(EXECUTOR)),
    Field::new(
        "manifestConfigs",
        Shape::list(&Shape::Object(MANIFEST_CONFIG)),
    ),
];

const DELETE_OPTION: &[Field] = &[
    Field::new(
        "propagationPolicy",
        Shape::one_of(&["Foreground", "Orphan", "SelectivelyOrphan"]),
    )
    .default_text("Foreground"),
    Field::new(
        "selectivelyOrphans",
        Shape::Object(&[Field::new(
            "orphaningRules",
            Shape::list(&Shape::Object(RESOURCE)),
        )]),
    ),
    Field::new("ttlSecondsAfterFinished", INT64),
];

const RESOURCE: &[Field] = &[
    Field::new("group", Shape::ANY_TEXT),
    Field::new("resource", Shape::ANY_TEXT).required(),
    Field::new("name", Shape::ANY_TEXT).required(),
    Field::new("namespace", Shape::ANY_TEXT),
];

const EXECUTOR: &[Field] = &[Field::new(
    "subject",
    Shape::Object(&[
        Field::new("type", Shape::one_of(&["ServiceAccount"])).required(),
        Field::new(
            "serviceAccount",
            Shape::Object(&[
                Field::new("name", Shape::text(1, 253, Format::Subdomain)).required(),
                Field::new("namespace", Shape::text(1, 253, Format::Subdomain)).required(),
            ]),
        ),
    ]),
)];

const MANIFEST_CONFIG: &[Field] = &[
    Field::new("resourceIdentifier", Shape::Object(RESOURCE)).required(),
    Field::new("feedbackRules", Shape::list(&Shape::Object(FEEDBACK_RULE))),
    Field::new("feedbackScrapeType", Shape::one_of(&["Poll", "Watch"])).default_text("Poll"),
    Field::new("updateStrategy", Shape::Object(UPDATE_STRATEGY)),
    Field::new(
        "conditionRules",
        Shape::set(&Shape::Object(CONDITION_RULE), &["condition"]),
    ),
];

const FEEDBACK_RULE: &[Field] = &[
    Field::new("type", Shape::one_of(&["WellKnownStatus", "JSONPaths"])).required(),
    Field::new(
        "jsonPaths",
        Shape::set(
            &Shape::Object(&[
                Field::new("name", Shape::ANY_TEXT).required(),
                Field::new("path", Shape::ANY_TEXT).required(),
                Field::new("version", Shape::ANY_TEXT),
            ]),
            &["name"],
        ),
    ),
];

const UPDATE_STRATEGY: &[Field] = &[
    Field::new(
        "type",
        Shape::one_of(&["Update", "CreateOnly", "ServerSideApply", "ReadOnly"]),
    )
    .default_text("Update"),
    Field::new(
        "serverSideApply",
        Shape::Object(&[
            Field::new("force", Shape::Boolean),
            Field::new(
                "fieldManager",
                Shape::text(0, 128, Format::Prefix("work-agent")),
            )
            .default_text("work-agent"),
            Field::new(
                "ignoreFields",
                Shape::set(&Shape::Object(IGNORE_FIELDS), &["condition"]),
            ),
        ]),
    ),
];

const IGNORE_FIELDS: &[Field] = &[
    Field::new(
        "condition",
        Shape::one_of(&["OnSpokePresent", "OnSpokeChange"]),
    )
    .default_text("OnSpokePresent"),
    Field::new("jsonPaths", TEXTS),
    Field::new("jsonPointers", TEXTS),
    Field::new("jqPathExpressions", TEXTS),
];

const CONDITION_RULE: &[Field] = &[
    Field::new("condition", Shape::ANY_TEXT).required(),
    Field::new("type", Shape::one_of(&["WellKnownConditions", "CEL"])).required(),
    Field::new("celExpressions", TEXTS),
    Field::new("message", Shape::ANY_TEXT),
    Field::new("messageExpression", Shape::ANY_TEXT),
];

const STATUS: &[Field] = &[
    Field::new("conditions", CONDITIONS),
    Field::new(
        "resourceStatus",
        Shape::Object(&[Field::new(
            "manifests",
            Shape::list(&Shape::Object(MANIFEST_STATUS)),
        )]),
    ),
];

const MANIFEST_STATUS: &[Field] = &[
    Field::new(
        "resourceMeta",
        Shape::Object(&[
            Field::new("ordinal", INT32).required(),
            Field::new("group", Shape::ANY_TEXT),
            Field::new("version", Shape::ANY_TEXT),
            Field::new("kind", Shape::ANY_TEXT),
            Field::new("resource", Shape::ANY_TEXT),
            Field::new("name", Shape::ANY_TEXT),
            Field::new("namespace", Shape::ANY_TEXT),
        ]),
    )
    .required(),
    Field::new(
        "statusFeedback",
        Shape::Object(&[Field::new(
            "values",
            Shape::set(&Shape::Object(VALUE), &["name"]),
        )]),
    ),
    Field::new("conditions", CONDITIONS).required(),
];

const VALUE: &[Field] = &[
    Field::new("name", Shape::ANY_TEXT).required(),
    Field::new(
        "fieldValue",
        Shape::Object(&[
            Field::new(
                "type",
                Shape::one_of(&["Integer", "String", "Boolean", "JsonRaw"]),
            )
            .required(),
            Field::new("integer", INT64),
            Field::new("string", Shape::ANY_TEXT),
            Field::new("boolean", Shape::Boolean),
            Field::new("jsonRaw", Shape::text(0, 1024, Format::Any)),
        ]),
    )
    .required(),
];
