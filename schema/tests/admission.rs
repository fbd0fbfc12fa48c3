//! Admission gives OCM's answer, or a better one that `docs/ocm-differences.md` explains.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::Value;
use skein_schema::decode::{FieldError, Problem, Unknown, decode};
use skein_schema::kind::admission::{AdmissionRules, Review, admit};
use skein_schema::kind::manifest_work::admission::total_size;
use skein_schema::resource::Resource;
use std::collections::{BTreeMap, BTreeSet};

/// One object that somebody wants stored, and OCM's answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Case {
    id: String,
    object: Value,
    old: Option<Value>,
    now: String,
    default_cluster_set: bool,
    nil_executor_validating: bool,
    limit: u64,
    /// State of the cluster's namespace: empty (absent), Active, Terminating or error.
    namespace: String,
    /// What the access rules allow, as `verb name` with the subresource for a verb.
    allowed: BTreeSet<String>,
    /// The review that fails instead of answering.
    fails: String,
    expect: Answer,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            id: String::new(),
            object: Value::Null,
            old: None,
            now: "2026-03-01T12:00:00Z".to_owned(),
            default_cluster_set: false,
            nil_executor_validating: false,
            limit: 512_000,
            namespace: String::new(),
            allowed: BTreeSet::new(),
            fails: String::new(),
            expect: Answer::default(),
        }
    }
}

/// What came of a case.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    /// Kind of refusal; none if the object is stored.
    class: Option<String>,
    /// Reviews that were asked, in order.
    reviews: Vec<String>,
    /// Whether the namespace was looked at.
    namespace_read: bool,
    /// Labels and taints as they are stored, of a cluster that got that far.
    labels: Option<BTreeMap<String, String>>,
    taints: Option<Vec<Value>>,
    /// Size of a work's manifests in bytes.
    size: Option<u64>,
}

/// Where Skein answers otherwise, on purpose.
struct Difference {
    /// Heading in `docs/ocm-differences.md`.
    heading: &'static str,
    /// Cases it is about.
    applies: fn(&Case) -> bool,
    /// Skein's class.
    class: Option<&'static str>,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        heading: "A cluster's name is always checked",
        applies: |case| kind(case) == "ManagedCluster" && !is_label(name(case)),
        class: Some("invalid_name"),
    },
    Difference {
        heading: "A client config URL has a host, a real port and no credentials",
        applies: |case| {
            let odd = [
                "https://",
                "https:",
                "https:h",
                "https://user:pw@h",
                "https://10.0.0.1:99999",
            ];
            urls(case).iter().any(|url| odd.contains(&url.as_str()))
        },
        class: Some("invalid_url"),
    },
    Difference {
        heading: "A lease duration is between 0 and a day",
        applies: |case| {
            let seconds = case.object["spec"]["leaseDurationSeconds"].as_i64();
            seconds.is_some_and(|seconds| !(0..=86_400).contains(&seconds))
        },
        class: Some("lease_duration"),
    },
    Difference {
        heading: "A cluster has one taint per key",
        applies: |case| {
            let taints = case.object["spec"]["taints"]
                .as_array()
                .into_iter()
                .flatten();
            let keys: Vec<_> = taints.map(|taint| &taint["key"]).collect();
            keys.iter()
                .enumerate()
                .any(|(index, key)| keys[..index].contains(key))
        },
        class: Some("duplicate_taint"),
    },
    Difference {
        heading: "A taint that stays may be written without its time",
        applies: |case| {
            let taints = |object: &Value| object["spec"]["taints"].as_array().cloned();
            let old = case.old.as_ref().and_then(taints).unwrap_or_default();
            let new = taints(&case.object).unwrap_or_default();
            let same = |a: &Value, b: &Value| {
                ["key", "value", "effect"]
                    .iter()
                    .all(|field| a[*field] == b[*field])
            };
            let omits = |new: &Value| {
                new["timeAdded"].is_null()
                    && old
                        .iter()
                        .any(|old| same(old, new) && !old["timeAdded"].is_null())
            };
            new.iter().any(omits)
        },
        class: None,
    },
    Difference {
        heading: "A binding has a name",
        applies: |case| kind(case) == "ManagedClusterSetBinding" && !is_label(name(case)),
        class: Some("invalid_name"),
    },
    Difference {
        heading: "A manifest has an apiVersion",
        applies: |case| {
            manifests(case).iter().any(|manifest| {
                manifest.is_object() && manifest["apiVersion"].as_str().is_none_or(str::is_empty)
            })
        },
        class: Some("bad_api_version"),
    },
    Difference {
        heading: "An executor is a service account",
        applies: |case| {
            let kind = &case.object["spec"]["executor"]["subject"]["type"];
            kind.is_string() && kind != "ServiceAccount"
        },
        class: Some("bad_executor"),
    },
    Difference {
        heading: "Changing what runs under an executor needs the right to use it",
        applies: |case| {
            let old = case.old.as_ref().unwrap_or(&Value::Null);
            let changed = |field: &str| old["spec"][field] != case.object["spec"][field];
            old["spec"]["executor"].is_object() && !changed("executor") && changed("workload")
        },
        class: Some("executor_denied"),
    },
    Difference {
        heading: "Manifests are told apart by their fields",
        applies: |case| {
            let identity = |manifest: &Value| {
                ["namespace", "name"].map(|field| manifest["metadata"][field].clone())
            };
            let identities: BTreeSet<_> = manifests(case)
                .iter()
                .map(|manifest| format!("{:?}", identity(manifest)))
                .collect();
            identities.iter().any(|identity| identity.contains('/'))
                && identities.len() == manifests(case).len()
        },
        class: None,
    },
];

fn kind(case: &Case) -> &str {
    case.object["kind"].as_str().unwrap_or("ManifestWork")
}

fn name(case: &Case) -> &str {
    case.object["metadata"]["name"].as_str().unwrap_or_default()
}

fn is_label(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn urls(case: &Case) -> Vec<String> {
    let configs = case.object["spec"]["managedClusterClientConfigs"].as_array();
    let urls = configs
        .into_iter()
        .flatten()
        .filter_map(|config| config["url"].as_str());
    urls.map(str::to_owned).collect()
}

fn manifests(case: &Case) -> Vec<Value> {
    let manifests = case.object["spec"]["workload"]["manifests"].as_array();
    manifests.cloned().unwrap_or_default()
}

/// What Skein answers: the classes of every problem found, or one from the reviews.
fn answer(case: &Case) -> (BTreeSet<&'static str>, Answer) {
    let rules = AdmissionRules {
        now: case.now.parse().unwrap(),
        default_cluster_set: case.default_cluster_set,
        nil_executor_validating: case.nil_executor_validating,
        manifest_limit: case.limit,
    };
    let old = case
        .old
        .clone()
        .map(|old| Resource::from_value(old).unwrap());
    let admitted = decode(case.object.clone(), Unknown::Ignore)
        .and_then(|decoded| admit(decoded.resource, old.as_ref(), &rules));
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(errors) => return (errors.iter().map(class_of).collect(), Answer::default()),
    };

    let mut answer = Answer {
        namespace_read: admitted.live_namespace.is_some(),
        ..stored(&admitted.resource)
    };
    let namespace_class = match case.namespace.as_str() {
        "Terminating" => Some("namespace_terminating"),
        "error" => Some("namespace_read_failed"),
        _ => None,
    };
    if let (true, Some(class)) = (answer.namespace_read, namespace_class) {
        return (BTreeSet::from([class]), answer);
    }
    for review in &admitted.reviews {
        answer.reviews.push(describe(review));
        if let Some(class) = refusal(case, review) {
            return (BTreeSet::from([class]), answer);
        }
    }
    (BTreeSet::new(), answer)
}

fn stored(resource: &Resource) -> Answer {
    match resource {
        Resource::ManagedCluster(cluster) => {
            let ObjectMeta { labels, .. } = &cluster.metadata;
            let taints = cluster
                .spec
                .taints
                .iter()
                .map(|taint| serde_json::to_value(taint).unwrap());
            Answer {
                labels: Some(labels.clone().unwrap_or_default()),
                taints: Some(taints.collect()),
                ..Answer::default()
            }
        }
        Resource::ManifestWork(work) => Answer {
            size: Some(total_size(&work.spec.workload.manifests)),
            ..Answer::default()
        },
        _ => Answer::default(),
    }
}

fn describe(review: &Review) -> String {
    let mut text = format!("{} {}/{}", review.verb, review.group, review.resource);
    if !review.subresource.is_empty() {
        text += &format!("/{}", review.subresource);
    }
    if !review.namespace.is_empty() {
        text += &format!(" in {}", review.namespace);
    }
    format!("{text} {}", review.name)
}

fn refusal(case: &Case, review: &Review) -> Option<&'static str> {
    let (verb, denied) = match review.subresource.as_str() {
        "accept" => ("accept", "accept_denied"),
        "join" => ("join", "clusterset_join_denied"),
        "bind" => ("bind", "bind_denied"),
        _ => ("execute-as", "executor_denied"),
    };
    let asked = if verb == "accept" {
        verb.to_owned()
    } else {
        format!("{verb} {}", review.name)
    };
    match () {
        () if case.fails == verb && verb == "execute-as" => Some("executor_review_failed"),
        () if case.fails == verb => Some("access_review_failed"),
        () if case.allowed.contains(&asked) => None,
        () => Some(denied),
    }
}

/// OCM's word for a problem.
fn class_of(error: &FieldError) -> &'static str {
    let path = error.path.as_str();
    let manifest = path.strip_prefix("spec.workload.manifests");
    let in_manifest = manifest
        .and_then(|rest| rest.split_once(']'))
        .map(|(_, rest)| rest);
    match (path, in_manifest, &error.problem) {
        ("metadata.name", ..) => "invalid_name",
        ("spec.leaseDurationSeconds", ..) => "lease_duration",
        ("spec.clusterSet", ..) => "binding_name_mismatch",
        ("spec.workload.manifests", _, Problem::Required) => "empty",
        ("spec.workload.manifests", _, Problem::TooLong { .. }) => "too_large",
        (_, Some(""), Problem::WrongType { .. }) => "undecodable",
        (_, Some(""), Problem::Duplicate { .. }) => "duplicate",
        (_, Some(".apiVersion"), _) => "bad_api_version",
        (_, Some(".kind"), _) => "missing_kind",
        (_, Some(".metadata" | ".metadata.name"), _) => "missing_name",
        (_, Some(".metadata.generateName"), _) => "generate_name",
        (_, Some(rest), _) if rest.starts_with(".metadata.") => "bad_metadata",
        (_, None, Problem::Duplicate { .. }) if path.starts_with("spec.taints") => {
            "duplicate_taint"
        }
        (_, None, _) if path.ends_with(".timeAdded") => "taint_time_added",
        (_, None, _) if path.starts_with("spec.managedClusterClientConfigs") => "invalid_url",
        ("spec.executor.subject.serviceAccount", ..) => "executor_missing_service_account",
        (_, None, _) if path.starts_with("spec.executor") => "bad_executor",
        _ => panic!("no class for {error}"),
    }
}

/// Text of `@PAD:n@` stands for n times `x`, so that large works keep the file small.
fn pad(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(count) = text
                .strip_prefix("@PAD:")
                .and_then(|rest| rest.strip_suffix('@'))
            {
                *text = "x".repeat(count.parse().unwrap());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(pad),
        Value::Object(map) => map.values_mut().for_each(pad),
        _ => {}
    }
}

fn cases(text: &str) -> Vec<Case> {
    let cases = text.lines().map(|line| {
        let mut case: Case = serde_json::from_str(line).unwrap();
        pad(&mut case.object);
        // Objects reach OCM's webhook by a URL that names their kind.
        if let Some(object) = case.object.as_object_mut()
            && !object.contains_key("kind")
        {
            object.insert(
                "apiVersion".to_owned(),
                "work.open-cluster-management.io/v1".into(),
            );
            object.insert("kind".to_owned(), "ManifestWork".into());
        }
        case
    });
    cases.collect()
}

#[test]
fn admission_agrees_with_ocm() {
    let mut cases_read = 0;
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    let texts = [
        include_str!("vectors/admission.jsonl"),
        include_str!("vectors/manifest_work.jsonl"),
    ];
    for case in texts.into_iter().flat_map(cases) {
        cases_read += 1;
        let (classes, answer) = answer(&case);
        let found: BTreeSet<String> = classes.iter().map(|class| (*class).to_owned()).collect();
        let mut expected = case.expect.clone();
        let agrees = match expected.class.take().as_deref() {
            None => {
                found.is_empty()
                    && (&answer.reviews, &answer.labels) == (&expected.reviews, &expected.labels)
                    && same_taints(&answer, &expected)
                    && answer.namespace_read == expected.namespace_read
                    && (answer.size.is_none() || answer.size == expected.size)
            }
            Some("invalid_name_and_url") => {
                found.contains("invalid_name") && found.contains("invalid_url")
            }
            Some(class) => found.contains(class) && answer.reviews == expected.reviews,
        };
        if agrees {
            continue;
        }
        let difference = DIFFERENCES
            .iter()
            .find(|difference| (difference.applies)(&case));
        match difference {
            Some(difference)
                if difference
                    .class
                    .map_or(found.is_empty(), |class| found.contains(class)) =>
            {
                used.insert(difference.heading);
            }
            _ => wrong.push(format!(
                "{}: expected {:?}, got {found:?} {answer:?}",
                case.id, case.expect
            )),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {cases_read}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(cases_read, 299);
    let document = include_str!("../../docs/ocm-differences.md");
    for Difference { heading, .. } in DIFFERENCES {
        assert!(used.contains(heading), "no case needs {heading:?}");
        assert!(
            document.contains(&format!("### {heading}")),
            "{heading:?} is not documented"
        );
    }
}

/// OCM writes a time that was never set as null.
fn same_taints(ours: &Answer, theirs: &Answer) -> bool {
    let clean = |taints: &Option<Vec<Value>>| {
        let mut taints = taints.clone().unwrap_or_default();
        for taint in &mut taints {
            taint
                .as_object_mut()
                .unwrap()
                .retain(|_, value| !value.is_null());
        }
        taints
    };
    clean(&ours.taints) == clean(&theirs.taints)
}
