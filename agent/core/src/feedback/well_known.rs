//! The fields that everybody wants of well-known kinds.

/// Group, version, kind, and the values of the kind by name and path.
type Rule = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// Name of the value and its path, per kind. Group and version must match exactly, as in OCM;
/// StatefulSet is Skein's own addition.
const RULES: &[Rule] = &[
    (
        "apps",
        "v1",
        "Deployment",
        &[
            ("ReadyReplicas", ".status.readyReplicas"),
            ("Replicas", ".status.replicas"),
            ("AvailableReplicas", ".status.availableReplicas"),
        ],
    ),
    (
        "apps",
        "v1",
        "StatefulSet",
        &[
            ("ReadyReplicas", ".status.readyReplicas"),
            ("Replicas", ".status.replicas"),
            ("AvailableReplicas", ".status.availableReplicas"),
        ],
    ),
    (
        "apps",
        "v1",
        "DaemonSet",
        &[
            ("NumberReady", ".status.numberReady"),
            ("DesiredNumberScheduled", ".status.desiredNumberScheduled"),
            ("NumberAvailable", ".status.numberAvailable"),
        ],
    ),
    (
        "batch",
        "v1",
        "Job",
        &[
            (
                "JobComplete",
                r#".status.conditions[?(@.type=="Complete")].status"#,
            ),
            ("JobSucceeded", ".status.succeeded"),
        ],
    ),
    (
        "",
        "v1",
        "Pod",
        &[
            (
                "PodReady",
                r#".status.conditions[?(@.type=="Ready")].status"#,
            ),
            ("PodPhase", ".status.phase"),
        ],
    ),
];

/// The values of a kind by name and path; empty if nothing is known of it.
#[must_use]
pub fn paths(group: &str, version: &str, kind: &str) -> &'static [(&'static str, &'static str)] {
    RULES
        .iter()
        .find(|(g, v, k, _)| (*g, *v, *k) == (group, version, kind))
        .map_or(&[], |(_, _, _, paths)| paths)
}
