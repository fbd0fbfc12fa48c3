//! Discovery: which groups, versions and resources are served.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::kinds::{Catalog, ResourceType};

const ALL_VERBS: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// Review kinds: they are answered, not stored.
const REVIEWS: &[(&str, &str, &str, bool)] = &[
    (
        "authentication.k8s.io",
        "selfsubjectreviews",
        "SelfSubjectReview",
        false,
    ),
    (
        "authentication.k8s.io",
        "tokenreviews",
        "TokenReview",
        false,
    ),
    (
        "authorization.k8s.io",
        "localsubjectaccessreviews",
        "LocalSubjectAccessReview",
        true,
    ),
    (
        "authorization.k8s.io",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        false,
    ),
    (
        "authorization.k8s.io",
        "selfsubjectrulesreviews",
        "SelfSubjectRulesReview",
        false,
    ),
    (
        "authorization.k8s.io",
        "subjectaccessreviews",
        "SubjectAccessReview",
        false,
    ),
];

/// Whether `plural` of `group` is a review.
pub(crate) fn is_review(group: &str, plural: &str) -> bool {
    REVIEWS
        .iter()
        .any(|(other, name, ..)| *other == group && *name == plural)
}

/// `/api`.
pub(crate) fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/version`.
pub(crate) fn version(version: &str) -> Value {
    let mut parts = version.split('.');
    json!({
        "major": parts.next().unwrap_or("1"), "minor": parts.next().unwrap_or("0"), "gitVersion": format!("v{version}"),
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "",
        "compiler": "", "platform": "linux/amd64",
    })
}

/// The versions of each group, the preferred one first.
fn groups(catalog: &Catalog) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for kind in catalog.all().filter(|kind| !kind.group.is_empty()) {
        groups
            .entry(kind.group.to_string())
            .or_default()
            .insert(kind.version.to_string());
    }
    for (group, ..) in REVIEWS {
        groups
            .entry((*group).to_owned())
            .or_default()
            .insert("v1".to_owned());
    }
    groups
        .into_iter()
        .map(|(group, versions)| (group, by_priority(versions)))
        .collect()
}

/// Kubernetes' order of versions: stable before beta before alpha, newer before older, then the rest by name.
fn by_priority(versions: BTreeSet<String>) -> Vec<String> {
    let rank = |version: &String| -> (u8, i64, i64) {
        let Some(rest) = version.strip_prefix('v') else {
            return (3, 0, 0);
        };
        let stage = [("beta", 1), ("alpha", 2)]
            .into_iter()
            .find_map(|(name, rank)| Some((rest.split_once(name)?, rank)));
        let number = |text: &str| text.parse::<i64>().ok();
        match stage {
            Some(((major, minor), rank)) => match (number(major), number(minor)) {
                (Some(major), Some(minor)) => (rank, -major, -minor),
                _ => (3, 0, 0),
            },
            None => number(rest).map_or((3, 0, 0), |major| (0, -major, 0)),
        }
    };
    let mut versions: Vec<String> = versions.into_iter().collect();
    versions.sort_by_key(rank);
    versions
}

fn group_body(group: &str, versions: &[String]) -> Value {
    let version = |one: &String| json!({"groupVersion": format!("{group}/{one}"), "version": one});
    let all: Vec<Value> = versions.iter().map(version).collect();
    json!({"name": group, "versions": all, "preferredVersion": all.first()})
}

/// `/apis`.
pub(crate) fn group_list(catalog: &Catalog) -> Value {
    let groups: Vec<Value> = groups(catalog)
        .iter()
        .map(|(group, versions)| group_body(group, versions))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/<group>`.
pub(crate) fn group(catalog: &Catalog, group: &str) -> Option<Value> {
    let versions = groups(catalog).remove(group)?;
    let mut body = group_body(group, &versions);
    body["kind"] = "APIGroup".into();
    body["apiVersion"] = "v1".into();
    Some(body)
}

/// `/api/v1` and `/apis/<group>/<version>`.
pub(crate) fn resources(catalog: &Catalog, group: &str, version: &str) -> Option<Value> {
    let mut resources = Vec::new();
    for kind in catalog
        .all()
        .filter(|kind| kind.group == group && kind.version == version)
    {
        resources.extend(resource(kind));
    }
    for (_, plural, kind, namespaced) in REVIEWS
        .iter()
        .filter(|(other, ..)| *other == group && version == "v1")
    {
        let singular = kind.to_ascii_lowercase();
        resources.push(
            json!({"name": plural, "singularName": singular, "namespaced": namespaced, "kind": kind,
            "verbs": ["create"]}),
        );
    }
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    let body = json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources});
    (!resources.is_empty()).then_some(body)
}

fn resource(kind: &ResourceType) -> Vec<Value> {
    let mut whole = json!({
        "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind,
        "verbs": ALL_VERBS,
    });
    if !kind.short_names.is_empty() {
        whole["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        whole["categories"] = json!(kind.categories);
    }
    let mut all = vec![whole];
    let mut below = |name: &str, kind_name: &str, group: Option<(&str, &str)>, verbs: &[&str]| {
        let mut entry = json!({"name": format!("{}/{name}", kind.plural), "singularName": "", "verbs": verbs,
            "namespaced": kind.namespaced, "kind": kind_name});
        if let Some((group, version)) = group {
            entry["group"] = group.into();
            entry["version"] = version.into();
        }
        all.push(entry);
    };
    const CHANGE: &[&str] = &["get", "patch", "update"];
    if kind.status {
        below("status", &kind.kind, None, CHANGE);
    }
    if kind.scale {
        below("scale", "Scale", Some(("autoscaling", "v1")), CHANGE);
    }
    match kind.group_resource.as_ref() {
        "namespaces" => below("finalize", "Namespace", None, &["update"]),
        "pods" => {
            below("binding", "Binding", None, &["create"]);
            below("eviction", "Eviction", Some(("policy", "v1")), &["create"]);
        }
        "serviceaccounts" => below(
            "token",
            "TokenRequest",
            Some(("authentication.k8s.io", "v1")),
            &["create"],
        ),
        _ => {}
    }
    all
}

/// Answers a review: in a simulated cluster everybody may do everything.
pub(crate) fn review(mut body: Value) -> Value {
    let status = match body.get("kind").and_then(Value::as_str).unwrap_or_default() {
        "TokenReview" => {
            json!({"authenticated": true, "user": {"username": "simulated", "groups": ["system:masters"]}})
        }
        "SelfSubjectReview" => {
            json!({"userInfo": {"username": "simulated", "groups": ["system:masters"]}})
        }
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        _ => json!({"allowed": true, "reason": "simulated clusters allow everything"}),
    };
    body["status"] = status;
    body
}

/// `/openapi/v3`: where the document of each group version is.
pub(crate) fn openapi_index(catalog: &Catalog) -> Value {
    let mut paths = json!({"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1"}});
    for (group, versions) in groups(catalog) {
        for version in versions {
            let path = format!("apis/{group}/{version}");
            paths[&path] = json!({"serverRelativeURL": format!("/openapi/v3/{path}")});
        }
    }
    json!({"paths": paths})
}

/// `/openapi/v3/...`: as much as kubectl needs to know that the server itself checks fields.
pub(crate) fn openapi(catalog: &Catalog, group: &str, version: &str) -> Option<Value> {
    let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string"}});
    let mut paths = json!({});
    for kind in catalog
        .all()
        .filter(|kind| kind.group == group && kind.version == version)
    {
        let root = if group.is_empty() {
            format!("/api/{version}")
        } else {
            format!("/apis/{group}/{version}")
        };
        let place = if kind.namespaced {
            "/namespaces/{namespace}"
        } else {
            ""
        };
        let gvk = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
        paths[format!("{root}{place}/{}/{{name}}", kind.plural)] = json!({"patch": {
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": gvk,
            "parameters": [parameter("fieldValidation"), parameter("dryRun"), parameter("fieldManager"), parameter("force")],
            "responses": {"200": {"description": "OK"}},
        }});
    }
    let known = paths.as_object().is_some_and(|paths| !paths.is_empty());
    known.then(|| json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1"}, "paths": paths, "components": {"schemas": {}}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_kubernetes_does() {
        let versions = ["v1alpha1", "v2", "v1", "v1beta2", "foo", "v1beta10"].map(str::to_owned);
        let ordered = by_priority(versions.into_iter().collect());
        assert_eq!(
            ordered,
            ["v2", "v1", "v1beta10", "v1beta2", "v1alpha1", "foo"]
        );
    }

    #[test]
    fn subresources_are_listed_with_their_resource() {
        let apps = resources(&Catalog::default(), "apps", "v1").expect("served");
        let names: Vec<&str> = apps["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| one["name"].as_str())
            .collect();
        assert!(
            names.contains(&"deployments/scale") && names.contains(&"daemonsets/status"),
            "{names:?}"
        );
        assert!(!names.contains(&"daemonsets/scale"), "{names:?}");
        assert_eq!(resources(&Catalog::default(), "apps", "v2"), None);
    }
}
