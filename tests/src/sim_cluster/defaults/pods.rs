//! Defaults of pods and pod templates.

use serde_json::{Map, Value, json};

use super::{child, each, existing, put, put_all};

/// Defaults of a pod spec.
pub(super) fn spec(spec: &mut Map<String, Value>) {
    put_all(
        spec,
        &[
            ("restartPolicy", json!("Always")),
            ("dnsPolicy", json!("ClusterFirst")),
            ("schedulerName", json!("default-scheduler")),
            ("securityContext", json!({})),
            ("terminationGracePeriodSeconds", json!(30)),
        ],
    );
    // The older name of the field is kept in step.
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        spec.insert("serviceAccount".to_owned(), account);
    }
    for list in ["containers", "initContainers"] {
        each(spec, list).for_each(container);
    }
    each(spec, "volumes").for_each(volume);
}

fn container(container: &mut Map<String, Value>) {
    let image = container
        .get("image")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let tag = image
        .rsplit('/')
        .next()
        .unwrap_or(image)
        .split_once(':')
        .map(|(_, tag)| tag);
    let latest = !image.contains('@') && tag.is_none_or(|tag| tag == "latest");
    put_all(
        container,
        &[
            (
                "imagePullPolicy",
                json!(if latest { "Always" } else { "IfNotPresent" }),
            ),
            ("terminationMessagePath", json!("/dev/termination-log")),
            ("terminationMessagePolicy", json!("File")),
            ("resources", json!({})),
        ],
    );
    // What is limited and not requested is requested as much as it is limited.
    let resources = child(container, "resources");
    for (name, amount) in existing(resources, "limits").cloned().unwrap_or_default() {
        put(child(resources, "requests"), &name, amount);
    }
    for port in each(container, "ports") {
        put(port, "protocol", json!("TCP"));
    }
    for variable in each(container, "env") {
        if let Some(field) =
            existing(variable, "valueFrom").and_then(|from| existing(from, "fieldRef"))
        {
            put(field, "apiVersion", json!("v1"));
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = existing(container, name) {
            put_all(
                probe,
                &[
                    ("failureThreshold", json!(3)),
                    ("periodSeconds", json!(10)),
                    ("successThreshold", json!(1)),
                    ("timeoutSeconds", json!(1)),
                ],
            );
            if let Some(get) = existing(probe, "httpGet") {
                put(get, "path", json!("/"));
                put(get, "scheme", json!("HTTP"));
            }
        }
    }
}

fn volume(volume: &mut Map<String, Value>) {
    for source in ["configMap", "secret", "projected", "downwardAPI"] {
        if let Some(source) = existing(volume, source) {
            put(source, "defaultMode", json!(420));
            for part in each(source, "sources") {
                if let Some(token) = existing(part, "serviceAccountToken") {
                    put(token, "expirationSeconds", json!(3600));
                }
            }
        }
    }
    if let Some(path) = existing(volume, "hostPath") {
        put(path, "type", json!(""));
    }
}

/// What admission adds to a pod itself. The volume with a service account's token is left out: nothing would read it.
pub(super) fn admit(spec: &mut Map<String, Value>) {
    put_all(
        spec,
        &[
            ("preemptionPolicy", json!("PreemptLowerPriority")),
            ("priority", json!(0)),
            ("serviceAccount", json!("default")),
            ("serviceAccountName", json!("default")),
        ],
    );
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    for key in [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ] {
        let tolerated = |one: &Value| {
            let same =
                one["key"] == key || (one.get("key").is_none() && one["operator"] == "Exists");
            same && (one.get("effect").is_none() || one["effect"] == "NoExecute")
        };
        if let Value::Array(tolerations) = tolerations
            && !tolerations.iter().any(tolerated)
        {
            let toleration = json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
            tolerations.push(toleration);
        }
    }
}
