//! Requests that are worth comparing answer by answer.

use serde_json::{Value, json};

use super::custom_resources::custom_resources;
use super::{JSON, Step};

pub(super) const MERGE: &str = "application/merge-patch+json";
pub(super) const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub(super) const PATCH: &str = "application/json-patch+json";
pub(super) const APPLY: &str = "application/apply-patch+yaml";

pub(super) fn step(
    method: &'static str,
    path: &str,
    content_type: &'static str,
    body: Value,
) -> Step {
    let separator = if path.contains('?') { '&' } else { '?' };
    let path = if method == "GET" || path.contains("fieldManager") {
        path.to_owned()
    } else {
        format!("{path}{separator}fieldManager=twin")
    };
    Step {
        method,
        path,
        content_type,
        body,
    }
}

pub(super) fn get(path: &str) -> Step {
    step("GET", path, JSON, Value::Null)
}

const MAPS: &str = "/api/v1/namespaces/NS/configmaps";
const PODS: &str = "/api/v1/namespaces/NS/pods";
const SERVICES: &str = "/api/v1/namespaces/NS/services";
const SECRETS: &str = "/api/v1/namespaces/NS/secrets";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/NS/deployments";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/NS";

/// Every script with its name.
pub(super) fn all() -> Vec<(String, Vec<Step>)> {
    let all = [
        ("config maps", config_maps()),
        ("secrets", secrets()),
        ("services", services()),
        ("deployments", deployments()),
        ("workload defaults", workload_defaults()),
        ("patches", patches()),
        ("refusals", refusals()),
        ("access", access()),
        ("small kinds", small_kinds()),
        ("deletion", deletion()),
        ("custom resources", custom_resources()),
    ];
    all.into_iter()
        .map(|(name, steps)| (name.to_owned(), steps))
        .collect()
}

fn object(name: &str, rest: &Value) -> Value {
    let mut object = json!({"metadata": {"name": name}});
    for (field, value) in rest.as_object().into_iter().flatten() {
        object[field] = value.clone();
    }
    object
}

/// A workload that the controllers leave alone: no replicas.
fn deployment(name: &str, pod: &Value) -> Value {
    object(
        name,
        &json!({"spec": {"replicas": 0, "paused": true, "selector": {"matchLabels": {"a": name}},
        "template": {"metadata": {"labels": {"a": name}}, "spec": pod}}}),
    )
}

fn pod() -> Value {
    json!({"containers": [{"name": "c", "image": "i"}]})
}

fn config_maps() -> Vec<Step> {
    let one = format!("{MAPS}/a");
    let by = |manager: &str, more: &str| format!("{one}?fieldManager={manager}{more}");
    let config = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
    vec![
        step(
            "POST",
            MAPS,
            JSON,
            object(
                "a",
                &json!({"data": {"k": "v"}, "binaryData": {"b": "AAE="}}),
            ),
        ),
        step("POST", MAPS, JSON, object("a", &json!({}))),
        step(
            "PATCH",
            &one,
            MERGE,
            json!({"metadata": {"labels": {"x": "y"}, "annotations": {"n": "m"}}}),
        ),
        step(
            "PATCH",
            &one,
            MERGE,
            json!({"metadata": {"labels": {"x": null}}, "data": {"k": null}}),
        ),
        step(
            "PATCH",
            &by("one", ""),
            APPLY,
            config(json!({"k": "one", "l": "one"})),
        ),
        step("PATCH", &by("two", ""), APPLY, config(json!({"k": "two"}))),
        step(
            "PATCH",
            &by("two", "&force=true"),
            APPLY,
            config(json!({"k": "two"})),
        ),
        step("PATCH", &by("one", ""), APPLY, config(json!({"l": "one"}))),
        step("PATCH", &by("one", ""), APPLY, config(json!({}))),
        step(
            "PATCH",
            &by("one", ""),
            APPLY,
            json!({"apiVersion": "v1", "kind": "ConfigMap"}),
        ),
        step(
            "PUT",
            &one,
            JSON,
            object("a", &json!({"data": {"put": "1"}})),
        ),
        step(
            "PATCH",
            &one,
            MERGE,
            json!({"metadata": {"managedFields": [{}]}}),
        ),
        step("PATCH", &one, MERGE, json!({"immutable": true})),
        step("PATCH", &one, MERGE, json!({"data": {"put": "2"}})),
        get(&one),
        get(&format!("{MAPS}?fieldSelector=metadata.name%3Da")),
        step("DELETE", &one, JSON, Value::Null),
        get(&one),
    ]
}

fn secrets() -> Vec<Step> {
    let one = format!("{SECRETS}/s");
    vec![
        step(
            "POST",
            SECRETS,
            JSON,
            object(
                "s",
                &json!({"stringData": {"a": "plain"}, "data": {"b": "Yg=="}}),
            ),
        ),
        step("PATCH", &one, MERGE, json!({"stringData": {"a": "other"}})),
        step("PATCH", &one, MERGE, json!({"type": "example.com/other"})),
        step(
            "PATCH",
            &format!("{SECRETS}/t?fieldManager=m"),
            APPLY,
            json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "t"}, "stringData": {"x": "y"}}),
        ),
        get(&one),
    ]
}

fn services() -> Vec<Step> {
    let one = format!("{SERVICES}/s");
    vec![
        step(
            "POST",
            SERVICES,
            JSON,
            object(
                "s",
                &json!({"spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}}),
            ),
        ),
        step(
            "PATCH",
            &one,
            STRATEGIC,
            json!({"spec": {"ports": [{"name": "tls", "port": 443, "targetPort": "web"}, {"name": "http", "port": 80}]}}),
        ),
        step(
            "PATCH",
            &one,
            MERGE,
            json!({"spec": {"ports": [{"port": 81, "protocol": "UDP"}]}}),
        ),
        step(
            "POST",
            SERVICES,
            JSON,
            object(
                "h",
                &json!({"spec": {"clusterIP": "None", "ports": [{"port": 80}]}}),
            ),
        ),
        step(
            "POST",
            SERVICES,
            JSON,
            object(
                "e",
                &json!({"spec": {"type": "ExternalName", "externalName": "example.com"}}),
            ),
        ),
        get(&one),
    ]
}

fn deployments() -> Vec<Step> {
    let one = format!("{DEPLOYMENTS}/d");
    let rich = json!({
        "serviceAccountName": "robot",
        "initContainers": [{"name": "init", "image": "registry.example/init:1"}],
        "containers": [{
            "name": "c", "image": "registry.example/app:latest", "command": ["run"], "args": ["-v"],
            "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "resources": {"requests": {"cpu": 1, "memory": "64Mi"}, "limits": {"cpu": "2"}},
            "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
            "livenessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 3},
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        }],
        "volumes": [
            {"name": "v", "emptyDir": {}},
            {"name": "m", "configMap": {"name": "m"}},
            {"name": "s", "secret": {"secretName": "s"}},
            {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        ],
        "tolerations": [{"operator": "Exists"}],
    });
    vec![
        step("POST", DEPLOYMENTS, JSON, deployment("d", &rich)),
        step(
            "PATCH",
            &one,
            STRATEGIC,
            json!({"spec": {"template": {"spec": {"containers": [
            {"name": "c", "env": [{"name": "A", "value": "2"}, {"name": "B", "$patch": "delete"}]}]}}}}),
        ),
        step(
            "PATCH",
            &one,
            STRATEGIC,
            json!({"spec": {"template": {"spec": {
            "$setElementOrder/containers": [{"name": "d"}, {"name": "c"}], "containers": [{"name": "d", "image": "j"}]}}}}),
        ),
        step(
            "PATCH",
            &one,
            MERGE,
            json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}}),
        ),
        step(
            "PATCH",
            &one,
            MERGE,
            json!({"spec": {"selector": {"matchLabels": {"a": "e"}}}}),
        ),
        step(
            "PATCH",
            &format!("{DEPLOYMENTS}/e?fieldManager=m"),
            APPLY,
            {
                let mut config = deployment("e", &pod());
                config["apiVersion"] = "apps/v1".into();
                config["kind"] = "Deployment".into();
                config["status"] = json!({"replicas": 3});
                config
            },
        ),
    ]
}

fn workload_defaults() -> Vec<Step> {
    let template = |policy: Option<&str>| {
        let mut spec = pod();
        if let Some(policy) = policy {
            spec["restartPolicy"] = policy.into();
        }
        json!({"metadata": {"labels": {"a": "w"}}, "spec": spec})
    };
    let selector = json!({"matchLabels": {"a": "w"}});
    vec![
        step(
            "POST",
            "/apis/apps/v1/namespaces/NS/statefulsets",
            JSON,
            object(
                "w",
                &json!({"spec": {"replicas": 0,
            "serviceName": "w", "selector": selector, "template": template(None)}}),
            ),
        ),
        step(
            "POST",
            "/apis/apps/v1/namespaces/NS/daemonsets",
            JSON,
            object(
                "w",
                &json!({"spec": {
            "selector": selector, "template": {"metadata": {"labels": {"a": "w"}}, "spec": {
                "nodeSelector": {"no": "node"}, "containers": [{"name": "c", "image": "i"}]}}}}),
            ),
        ),
        step(
            "POST",
            "/apis/apps/v1/namespaces/NS/replicasets",
            JSON,
            object(
                "w",
                &json!({"spec": {"replicas": 0,
            "selector": selector, "template": template(None)}}),
            ),
        ),
        step(
            "POST",
            "/apis/batch/v1/namespaces/NS/cronjobs",
            JSON,
            object(
                "w",
                &json!({"spec": {"schedule": "0 0 1 1 *",
            "suspend": true, "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Never",
                "containers": [{"name": "c", "image": "i"}]}}}}}}),
            ),
        ),
        step(
            "POST",
            "/apis/policy/v1/namespaces/NS/poddisruptionbudgets",
            JSON,
            object(
                "w",
                &json!({"spec": {
            "minAvailable": 1, "selector": selector}}),
            ),
        ),
    ]
}

fn patches() -> Vec<Step> {
    let one = format!("{MAPS}/p");
    vec![
        step(
            "POST",
            MAPS,
            JSON,
            object("p", &json!({"data": {"k": "v"}})),
        ),
        step(
            "PATCH",
            &one,
            PATCH,
            json!([{"op": "add", "path": "/data/l", "value": "w"}]),
        ),
        step(
            "PATCH",
            &one,
            PATCH,
            json!([{"op": "remove", "path": "/data/k"}, {"op": "copy", "from": "/data/l", "path": "/data/m"}]),
        ),
        step(
            "PATCH",
            &one,
            STRATEGIC,
            json!({"data": {"l": null, "n": "o"}, "metadata": {"finalizers": ["a.b/c"]}}),
        ),
        step(
            "PATCH",
            &one,
            STRATEGIC,
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.b/c"]}}),
        ),
        step("PATCH", &one, MERGE, json!({"metadata": {"name": "q"}})),
        get(&one),
    ]
}

/// Only codes and reasons matter here; the words of the messages are compared, too, where they are the same.
fn refusals() -> Vec<Step> {
    vec![
        get(&format!("{MAPS}/none")),
        get("/api/v1/namespaces/NS/gadgets"),
        get("/apis/example.com/v1/gadgets"),
        step("POST", MAPS, JSON, object("Bad_Name", &json!({}))),
        step("POST", MAPS, JSON, json!({"metadata": {}})),
        step(
            "POST",
            MAPS,
            JSON,
            object("a", &json!({"data": {"bad key": "v"}})),
        ),
        step(
            "POST",
            MAPS,
            JSON,
            json!({"metadata": {"name": "a", "labels": {"k": "bad value"}}}),
        ),
        step(
            "POST",
            MAPS,
            JSON,
            json!({"metadata": {"name": "a", "namespace": "other"}}),
        ),
        step(
            "POST",
            MAPS,
            JSON,
            json!({"metadata": {"name": "a", "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}]}}),
        ),
        step(
            "PUT",
            &format!("{MAPS}/none"),
            JSON,
            object("none", &json!({})),
        ),
        step("PATCH", &format!("{MAPS}/none"), MERGE, json!({})),
        step("DELETE", &format!("{MAPS}/none"), JSON, Value::Null),
        step(
            "POST",
            DEPLOYMENTS,
            JSON,
            object(
                "d",
                &json!({"spec": {"template": {"spec": {"containers": []}}}}),
            ),
        ),
        step(
            "POST",
            DEPLOYMENTS,
            JSON,
            deployment(
                "d",
                &json!({"containers": [{"name": "c"}, {"name": "c", "image": "i"}]}),
            ),
        ),
        step(
            "PATCH",
            &format!("{DEPLOYMENTS}/d?force=true"),
            APPLY,
            json!({"apiVersion": "apps/v1", "kind": "Deployment"}),
        ),
    ]
}

fn access() -> Vec<Step> {
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    let reference = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"});
    let bindings = format!("{RBAC}/rolebindings");
    vec![
        step(
            "POST",
            &format!("{RBAC}/roles"),
            JSON,
            object("r", &json!({"rules": rules})),
        ),
        step(
            "POST",
            &bindings,
            JSON,
            object(
                "b",
                &json!({"roleRef": reference,
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "NS"}, {"kind": "User", "name": "u"}]}),
            ),
        ),
        get(&format!("{bindings}/b")),
    ]
}

fn small_kinds() -> Vec<Step> {
    vec![
        step(
            "POST",
            "/api/v1/namespaces/NS/serviceaccounts",
            JSON,
            object("robot", &json!({})),
        ),
        step(
            "POST",
            "/api/v1/namespaces/NS/limitranges",
            JSON,
            object(
                "l",
                &json!({"spec": {"limits": [
            {"type": "Container", "max": {"cpu": 4}}]}}),
            ),
        ),
        step(
            "POST",
            "/apis/networking.k8s.io/v1/namespaces/NS/ingresses",
            JSON,
            object(
                "i",
                &json!({"spec": {"rules": [
            {"host": "a.example", "http": {"paths": [{"path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}}),
            ),
        ),
        step(
            "POST",
            "/apis/networking.k8s.io/v1/namespaces/NS/networkpolicies",
            JSON,
            object("n", &json!({"spec": {"podSelector": {}}})),
        ),
        step(
            "POST",
            "/apis/coordination.k8s.io/v1/namespaces/NS/leases",
            JSON,
            object("l", &json!({"spec": {"holderIdentity": "h"}})),
        ),
    ]
}

fn deletion() -> Vec<Step> {
    let one = format!("{MAPS}/f");
    vec![
        step(
            "POST",
            MAPS,
            JSON,
            json!({"metadata": {"name": "f", "finalizers": ["a.b/c"]}}),
        ),
        step(
            "DELETE",
            &one,
            JSON,
            json!({"propagationPolicy": "Background"}),
        ),
        step("DELETE", &one, JSON, Value::Null),
        step(
            "PATCH",
            &one,
            MERGE,
            json!({"metadata": {"finalizers": null}}),
        ),
        get(&one),
        step(
            "POST",
            PODS,
            JSON,
            object(
                "p",
                &json!({"spec": {"automountServiceAccountToken": false, "nodeSelector": {"no": "node"}, "containers": [{"name": "c", "image": "i"}]}}),
            ),
        ),
    ]
}
