//! Defaults: what the server writes into a built-in object where its author said nothing.

use base64::Engine;
use serde_json::{Map, Value, json};

use super::kinds::ResourceType;
use super::object;
use super::schema;
use super::server::ApiServer;

/// Fields that hold resource quantities by name.
const QUANTITIES: &[&str] = &[
    "limits",
    "requests",
    "hard",
    "used",
    "capacity",
    "allocatable",
    "default",
    "defaultRequest",
];

/// Writes quantities that came as numbers as text, as the real server does (`cpu: 1` becomes `cpu: "1"`).
pub(crate) fn quantities_to_text(kind: &ResourceType, value: &mut Value) {
    if kind.custom.is_none() {
        walk_quantities(value);
    }
}

fn walk_quantities(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, child) in fields {
                if QUANTITIES.contains(&name.as_str()) {
                    for amount in child
                        .as_object_mut()
                        .into_iter()
                        .flatten()
                        .map(|(_, amount)| amount)
                    {
                        if amount.is_number() {
                            *amount = amount.to_string().into();
                        }
                    }
                }
                walk_quantities(child);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(walk_quantities),
        _ => {}
    }
}

/// Fills in the defaults of a kind.
pub(crate) fn fill(server: &mut ApiServer, kind: &ResourceType, value: &mut Value) {
    if let Some(custom) = &kind.custom {
        schema::fill_defaults(&custom.schema, value);
        return;
    }
    match kind.group_resource.as_ref() {
        "namespaces" => namespace(value),
        "secrets" => secret(value),
        "services" => service(server, value),
        "pods" => pod_spec(object::field_mut(value, "spec")),
        "persistentvolumeclaims" => put(
            object::field_mut(value, "spec"),
            "volumeMode",
            json!("Filesystem"),
        ),
        "deployments.apps" => {
            workload(
                value,
                &[
                    ("replicas", json!(1)),
                    ("progressDeadlineSeconds", json!(600)),
                    ("revisionHistoryLimit", json!(10)),
                ],
            );
            strategy(
                value,
                "strategy",
                &json!({"maxSurge": "25%", "maxUnavailable": "25%"}),
            );
        }
        "replicasets.apps" => workload(value, &[("replicas", json!(1))]),
        "statefulsets.apps" => {
            workload(
                value,
                &[
                    ("replicas", json!(1)),
                    ("podManagementPolicy", json!("OrderedReady")),
                    ("revisionHistoryLimit", json!(10)),
                ],
            );
            strategy(value, "updateStrategy", &json!({"partition": 0}));
        }
        "daemonsets.apps" => {
            workload(value, &[("revisionHistoryLimit", json!(10))]);
            strategy(
                value,
                "updateStrategy",
                &json!({"maxSurge": 0, "maxUnavailable": 1}),
            );
        }
        "jobs.batch" => job(value),
        "cronjobs.batch" => {
            let spec = object::field_mut(value, "spec");
            for (name, default) in [
                ("concurrencyPolicy", json!("Allow")),
                ("suspend", json!(false)),
                ("successfulJobsHistoryLimit", json!(3)),
                ("failedJobsHistoryLimit", json!(1)),
            ] {
                put(spec, name, default);
            }
        }
        "customresourcedefinitions.apiextensions.k8s.io" => definition(value),
        _ => {}
    }
}

fn put(fields: &mut Map<String, Value>, name: &str, default: Value) {
    fields.entry(name).or_insert(default);
}

fn child<'v>(fields: &'v mut Map<String, Value>, name: &str) -> &'v mut Map<String, Value> {
    object::fields(fields.entry(name).or_insert_with(|| json!({})))
}

fn each<'v>(
    fields: &'v mut Map<String, Value>,
    list: &str,
) -> impl Iterator<Item = &'v mut Map<String, Value>> {
    fields
        .get_mut(list)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
}

fn namespace(value: &mut Value) {
    let name = object::meta(value, "name").to_owned();
    let deleting = object::is_deleting(value);
    child(object::meta_mut(value), "labels")
        .insert("kubernetes.io/metadata.name".to_owned(), name.into());
    let spec = object::field_mut(value, "spec");
    if !deleting {
        put(spec, "finalizers", json!(["kubernetes"]));
    }
}

/// `stringData` is written in plain text and kept encoded.
fn secret(value: &mut Value) {
    let fields = object::fields(value);
    put(fields, "type", json!("Opaque"));
    if let Some(Value::Object(plain)) = fields.remove("stringData") {
        let data = child(fields, "data");
        for (name, text) in plain {
            let encoded =
                base64::engine::general_purpose::STANDARD.encode(text.as_str().unwrap_or_default());
            data.insert(name, encoded.into());
        }
    }
}

fn service(server: &mut ApiServer, value: &mut Value) {
    let spec = object::field_mut(value, "spec");
    put(spec, "type", json!("ClusterIP"));
    put(spec, "sessionAffinity", json!("None"));
    put(spec, "internalTrafficPolicy", json!("Cluster"));
    for port in each(spec, "ports") {
        put(port, "protocol", json!("TCP"));
        let number = port.get("port").cloned().unwrap_or_default();
        put(port, "targetPort", number);
    }
    if spec.get("type").and_then(Value::as_str) == Some("ExternalName") {
        return;
    }
    let number = server.random.next();
    put(
        spec,
        "clusterIP",
        format!("10.96.{}.{}", number >> 8 & 0xff, 1 + number % 254).into(),
    );
    let address = spec.get("clusterIP").cloned().unwrap_or_default();
    put(spec, "clusterIPs", json!([address]));
    put(spec, "ipFamilies", json!(["IPv4"]));
    put(spec, "ipFamilyPolicy", json!("SingleStack"));
}

fn workload(value: &mut Value, defaults: &[(&str, Value)]) {
    let spec = object::field_mut(value, "spec");
    for (name, default) in defaults {
        put(spec, name, default.clone());
    }
    template(spec);
}

fn template(spec: &mut Map<String, Value>) {
    if spec.contains_key("template") {
        pod_spec(child(child(spec, "template"), "spec"));
    }
}

fn strategy(value: &mut Value, field: &str, rolling: &Value) {
    let strategy = child(object::field_mut(value, "spec"), field);
    put(strategy, "type", json!("RollingUpdate"));
    if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate") {
        let update = child(strategy, "rollingUpdate");
        for (name, default) in rolling.as_object().into_iter().flatten() {
            put(update, name, default.clone());
        }
    }
}

fn job(value: &mut Value) {
    let uid = object::meta(value, "uid").to_owned();
    let name = object::meta(value, "name").to_owned();
    let spec = object::field_mut(value, "spec");
    for (field, default) in [
        ("backoffLimit", json!(6)),
        ("completionMode", json!("NonIndexed")),
        ("suspend", json!(false)),
        ("podReplacementPolicy", json!("TerminatingOrFailed")),
    ] {
        put(spec, field, default);
    }
    if !spec.contains_key("completions") {
        put(spec, "completions", json!(1));
    }
    put(spec, "parallelism", json!(1));
    if spec.get("manualSelector").and_then(Value::as_bool) != Some(true) {
        put(
            spec,
            "selector",
            json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}),
        );
        let labels = child(child(child(spec, "template"), "metadata"), "labels");
        for prefix in ["", "batch.kubernetes.io/"] {
            put(
                labels,
                &format!("{prefix}controller-uid"),
                uid.as_str().into(),
            );
            put(labels, &format!("{prefix}job-name"), name.as_str().into());
        }
    }
    template(spec);
}

fn pod_spec(spec: &mut Map<String, Value>) {
    for (name, default) in [
        ("restartPolicy", json!("Always")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("securityContext", json!({})),
        ("terminationGracePeriodSeconds", json!(30)),
    ] {
        put(spec, name, default);
    }
    for list in ["containers", "initContainers"] {
        for container in each(spec, list) {
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
            put(
                container,
                "imagePullPolicy",
                json!(if latest { "Always" } else { "IfNotPresent" }),
            );
            put(
                container,
                "terminationMessagePath",
                json!("/dev/termination-log"),
            );
            put(container, "terminationMessagePolicy", json!("File"));
            put(container, "resources", json!({}));
            for port in each(container, "ports") {
                put(port, "protocol", json!("TCP"));
            }
        }
    }
}

fn definition(value: &mut Value) {
    let spec = object::field_mut(value, "spec");
    put(spec, "conversion", json!({"strategy": "None"}));
    let names = child(spec, "names");
    let kind = names
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    put(names, "singular", kind.to_ascii_lowercase().into());
    put(names, "listKind", format!("{kind}List").into());
}
