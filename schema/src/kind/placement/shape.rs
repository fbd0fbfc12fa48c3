//! What people may write in a placement.

use crate::decode::shape::{Field, Format, Shape};
use crate::kind::condition::CONDITIONS;
use crate::kind::object_meta;

/// Longest key of a taint or topology, in characters (OCM's).
const KEY_MAX: usize = 316;
/// Most characters of a toleration's value (OCM's).
const VALUE_MAX: usize = 1024;

pub(super) const FIELDS: &[Field] = &[
    Field::new("spec", Shape::Object(SPEC)).required(),
    Field::new("status", Shape::Object(STATUS)),
];

const COUNT: Shape = Shape::Integer {
    min: 0,
    max: i32::MAX as i64,
};

const SPEC: &[Field] = &[
    Field::new(
        "clusterSets",
        Shape::list(&Shape::text(1, 253, Format::Subdomain)),
    ),
    Field::new("numberOfClusters", COUNT),
    Field::new(
        "predicates",
        Shape::list(&Shape::Object(&[Field::new(
            "requiredClusterSelector",
            Shape::Object(&[LABEL_SELECTOR, CLAIM_SELECTOR, CEL_SELECTOR]),
        )])),
    ),
    Field::new("prioritizerPolicy", Shape::Object(PRIORITIZER_POLICY)),
    Field::new(
        "spreadPolicy",
        Shape::Object(&[Field::new(
            "spreadConstraints",
            Shape::list(&Shape::Object(SPREAD_CONSTRAINT)),
        )]),
    ),
    Field::new("tolerations", Shape::list(&Shape::Object(TOLERATION))),
    Field::new(
        "decisionStrategy",
        Shape::Object(&[Field::new("groupStrategy", Shape::Object(GROUP_STRATEGY))]),
    ),
    Field::new("sortBy", Shape::one_of(&["ClusterName", "Score"])),
    Field::new("scoreRateLimit", Shape::ANY_TEXT),
];

const LABEL_SELECTOR: Field = Field::new("labelSelector", object_meta::LABEL_SELECTOR);

const CLAIM_SELECTOR: Field = Field::new(
    "claimSelector",
    Shape::Object(&[Field::new("matchExpressions", REQUIREMENTS)]),
);

const CEL_SELECTOR: Field = Field::new(
    "celSelector",
    Shape::Object(&[Field::new("celExpressions", Shape::list(&Shape::ANY_TEXT))]),
);

/// As in a label selector, but a claim's name and value may be any text.
const REQUIREMENTS: Shape = Shape::list(&Shape::Object(&[
    Field::new("key", Shape::ANY_TEXT).required(),
    Field::new("operator", Shape::ANY_TEXT).required(),
    Field::new("values", Shape::list(&Shape::ANY_TEXT)),
]));

const PRIORITIZER_POLICY: &[Field] = &[
    Field::new("mode", Shape::one_of(&["Additive", "Exact"])),
    Field::new(
        "configurations",
        Shape::list(&Shape::Object(&[
            Field::new("scoreCoordinate", Shape::Object(SCORE_COORDINATE)).required(),
            Field::new("weight", Shape::Integer { min: -10, max: 10 }),
        ])),
    ),
];

const SCORE_COORDINATE: &[Field] = &[
    Field::new("type", Shape::one_of(&["BuiltIn", "AddOn"])).default_text("BuiltIn"),
    Field::new("builtIn", Shape::ANY_TEXT),
    Field::new(
        "addOn",
        Shape::Object(&[
            Field::new("resourceName", Shape::text(1, 253, Format::Subdomain)).required(),
            Field::new("scoreName", Shape::text(1, 253, Format::Any)).required(),
        ]),
    ),
];

const SPREAD_CONSTRAINT: &[Field] = &[
    Field::new(
        "topologyKey",
        Shape::text(1, KEY_MAX, Format::QualifiedName),
    )
    .required(),
    Field::new("topologyKeyType", Shape::one_of(&["Label", "Claim"])).required(),
    Field::new(
        "maxSkew",
        Shape::Integer {
            min: 1,
            max: i32::MAX as i64,
        },
    ),
    Field::new(
        "whenUnsatisfiable",
        Shape::one_of(&["DoNotSchedule", "ScheduleAnyway"]),
    ),
];

const TOLERATION: &[Field] = &[
    Field::new("key", Shape::text(0, KEY_MAX, Format::QualifiedName)),
    Field::new("operator", Shape::one_of(&["Equal", "Exists"])),
    Field::new("value", Shape::text(0, VALUE_MAX, Format::Any)),
    Field::new(
        "effect",
        Shape::one_of(&["NoSelect", "PreferNoSelect", "NoSelectIfNew"]),
    ),
    Field::new(
        "tolerationSeconds",
        Shape::Integer {
            min: i64::MIN,
            max: i64::MAX,
        },
    ),
];

const GROUP_STRATEGY: &[Field] = &[
    Field::new(
        "decisionGroups",
        Shape::list(&Shape::Object(&[
            // That it is not empty is checked with the rest of the strategy.
            Field::new("groupName", Shape::text(0, 63, Format::LabelValue)).required(),
            Field::new(
                "groupClusterSelector",
                Shape::Object(&[LABEL_SELECTOR, CLAIM_SELECTOR]),
            )
            .required(),
        ])),
    ),
    Field::new("clustersPerDecisionGroup", Shape::IntOrPercent { min: 1 }),
];

const STATUS: &[Field] = &[
    Field::new("numberOfSelectedClusters", COUNT),
    Field::new(
        "decisionGroups",
        Shape::list(&Shape::Object(&[
            Field::new("decisionGroupIndex", COUNT),
            Field::new("decisionGroupName", Shape::ANY_TEXT),
            Field::new("decisions", Shape::list(&Shape::ANY_TEXT)),
            Field::new("clusterCount", COUNT),
        ])),
    ),
    Field::new("conditions", CONDITIONS),
    Field::new("lastScoreUpdateTime", Shape::Time),
];
