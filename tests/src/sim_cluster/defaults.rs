//! Defaults: what the server writes into an object where its author said nothing.

use base64::Engine;
use serde_json::{Map, Value, json};

use super::kinds::ResourceType;
use super::object;
use super::schema;
use super::server::ApiServer;

mod pods;
mod workloads;

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
    "max",
    "min",
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
pub(crate) fn fill(kind: &ResourceType, value: &mut Value) {
    if let Some(custom) = &kind.custom {
        schema::fill_defaults(&custom.schema, value);
        return;
    }
    match kind.group_resource.as_ref() {
        "namespaces" => namespace(value),
        "secrets" => secret(value),
        "services" => service(value),
        "pods" => {
            let spec = object::field_mut(value, "spec");
            put(spec, "enableServiceLinks", json!(true));
            pods::spec(spec);
        }
        "persistentvolumeclaims" => put(
            object::field_mut(value, "spec"),
            "volumeMode",
            json!("Filesystem"),
        ),
        "limitranges" => limit_range(value),
        "deployments.apps" => workloads::deployment(value),
        "replicasets.apps" => workloads::replica_set(value),
        "statefulsets.apps" => workloads::stateful_set(value),
        "daemonsets.apps" => workloads::daemon_set(value),
        "jobs.batch" => workloads::job(value),
        "cronjobs.batch" => workloads::cron_job(value),
        "networkpolicies.networking.k8s.io" => network_policy(value),
        "rolebindings.rbac.authorization.k8s.io"
        | "clusterrolebindings.rbac.authorization.k8s.io" => subjects(value),
        "customresourcedefinitions.apiextensions.k8s.io" => definition(value),
        _ => {}
    }
}

/// Adds what the server hands out after it has noted who wrote what: addresses, tolerations.
pub(crate) fn allocate(server: &mut ApiServer, kind: &ResourceType, value: &mut Value) {
    match kind.group_resource.as_ref() {
        "services" => addresses(server, value),
        "pods" => pods::admit(object::field_mut(value, "spec")),
        _ => {}
    }
}

fn put(fields: &mut Map<String, Value>, name: &str, default: Value) {
    fields.entry(name).or_insert(default);
}

fn put_all(fields: &mut Map<String, Value>, defaults: &[(&str, Value)]) {
    for (name, default) in defaults {
        put(fields, name, default.clone());
    }
}

fn child<'v>(fields: &'v mut Map<String, Value>, name: &str) -> &'v mut Map<String, Value> {
    object::fields(fields.entry(name).or_insert_with(|| json!({})))
}

/// The named field, if it is an object.
fn existing<'v>(
    fields: &'v mut Map<String, Value>,
    name: &str,
) -> Option<&'v mut Map<String, Value>> {
    fields.get_mut(name).and_then(Value::as_object_mut)
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

fn service(value: &mut Value) {
    let spec = object::field_mut(value, "spec");
    put(spec, "type", json!("ClusterIP"));
    put(spec, "sessionAffinity", json!("None"));
    if spec.get("type").and_then(Value::as_str) != Some("ExternalName") {
        put(spec, "internalTrafficPolicy", json!("Cluster"));
    }
    for port in each(spec, "ports") {
        put(port, "protocol", json!("TCP"));
        let number = port.get("port").cloned().unwrap_or_default();
        put(port, "targetPort", number);
    }
}

fn addresses(server: &mut ApiServer, value: &mut Value) {
    let spec = object::field_mut(value, "spec");
    if spec.get("type").and_then(Value::as_str) == Some("ExternalName") {
        return;
    }
    if !spec.contains_key("clusterIP") {
        let number = server.random.next();
        spec.insert(
            "clusterIP".to_owned(),
            format!("10.96.{}.{}", number >> 8 & 0xff, 1 + number % 254).into(),
        );
    }
    let address = spec.get("clusterIP").cloned().unwrap_or_default();
    // A headless service without a selector could point anywhere, so it gets both families.
    let anywhere = address == "None" && !spec.contains_key("selector");
    put(spec, "clusterIPs", json!([address]));
    put(
        spec,
        "ipFamilies",
        if anywhere {
            json!(["IPv4", "IPv6"])
        } else {
            json!(["IPv4"])
        },
    );
    put(
        spec,
        "ipFamilyPolicy",
        json!(if anywhere {
            "RequireDualStack"
        } else {
            "SingleStack"
        }),
    );
}

/// Limits of containers default to their maximum, requests to the limits.
fn limit_range(value: &mut Value) {
    for limit in each(object::field_mut(value, "spec"), "limits") {
        if limit.get("type").and_then(Value::as_str) != Some("Container") {
            continue;
        }
        for (from, to) in [
            ("max", "default"),
            ("default", "defaultRequest"),
            ("min", "defaultRequest"),
        ] {
            for (name, amount) in existing(limit, from).cloned().unwrap_or_default() {
                put(child(limit, to), &name, amount);
            }
        }
    }
}

fn network_policy(value: &mut Value) {
    let spec = object::field_mut(value, "spec");
    let both = if spec.contains_key("egress") {
        json!(["Ingress", "Egress"])
    } else {
        json!(["Ingress"])
    };
    put(spec, "policyTypes", both);
}

fn subjects(value: &mut Value) {
    for subject in each(object::fields(value), "subjects") {
        if matches!(
            subject.get("kind").and_then(Value::as_str),
            Some("User" | "Group")
        ) {
            put(subject, "apiGroup", json!("rbac.authorization.k8s.io"));
        }
    }
    let role = child(object::fields(value), "roleRef");
    put(role, "apiGroup", json!("rbac.authorization.k8s.io"));
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
