//! Tables, as kubectl asks for them (`Accept: application/json;as=Table`).

use http::request::Parts;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::kinds::ResourceType;
use super::object;

/// Whether the client wants a table.
pub(crate) fn wanted(parts: &Parts) -> bool {
    let accept = parts
        .headers
        .get(http::header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    accept
        .split(',')
        .next()
        .is_some_and(|first| first.contains("as=Table"))
}

/// The columns between name and age of the kinds people look at most: header, and how to find the value.
const COLUMNS: &[(&str, &[(&str, Cell)])] = &[
    ("namespaces", &[("Status", Cell::Path("/status/phase"))]),
    (
        "nodes",
        &[
            ("Status", Cell::Condition("Ready")),
            ("Version", Cell::Path("/status/nodeInfo/kubeletVersion")),
        ],
    ),
    (
        "pods",
        &[
            ("Ready", Cell::Containers),
            ("Status", Cell::PodStatus),
            ("Node", Cell::Path("/spec/nodeName")),
        ],
    ),
    (
        "services",
        &[
            ("Type", Cell::Path("/spec/type")),
            ("Cluster-IP", Cell::Path("/spec/clusterIP")),
        ],
    ),
    ("configmaps", &[("Data", Cell::Count("/data"))]),
    (
        "secrets",
        &[
            ("Type", Cell::Path("/type")),
            ("Data", Cell::Count("/data")),
        ],
    ),
    (
        "deployments.apps",
        &[
            (
                "Ready",
                Cell::Share("/status/readyReplicas", "/spec/replicas"),
            ),
            ("Up-to-date", Cell::Number("/status/updatedReplicas")),
            ("Available", Cell::Number("/status/availableReplicas")),
        ],
    ),
    (
        "replicasets.apps",
        &[
            ("Desired", Cell::Number("/spec/replicas")),
            ("Current", Cell::Number("/status/replicas")),
            ("Ready", Cell::Number("/status/readyReplicas")),
        ],
    ),
    (
        "statefulsets.apps",
        &[(
            "Ready",
            Cell::Share("/status/readyReplicas", "/spec/replicas"),
        )],
    ),
    (
        "daemonsets.apps",
        &[
            ("Desired", Cell::Number("/status/desiredNumberScheduled")),
            ("Ready", Cell::Number("/status/numberReady")),
        ],
    ),
    (
        "jobs.batch",
        &[
            ("Status", Cell::Condition("Complete")),
            (
                "Completions",
                Cell::Share("/status/succeeded", "/spec/completions"),
            ),
        ],
    ),
];

/// How a cell is found in an object.
#[derive(Debug, Clone, Copy)]
enum Cell {
    Path(&'static str),
    Number(&'static str),
    Share(&'static str, &'static str),
    Count(&'static str),
    Condition(&'static str),
    Containers,
    PodStatus,
}

impl Cell {
    fn of(self, value: &Value) -> String {
        let number = |path: &str| value.pointer(path).and_then(Value::as_i64).unwrap_or(0);
        match self {
            Cell::Path(path) => value
                .pointer(path)
                .map_or_else(|| "<none>".to_owned(), plain),
            Cell::Number(path) => number(path).to_string(),
            Cell::Share(part, whole) => format!("{}/{}", number(part), number(whole)),
            Cell::Count(path) => value
                .pointer(path)
                .and_then(Value::as_object)
                .map_or(0, serde_json::Map::len)
                .to_string(),
            Cell::Condition(kind) => {
                let conditions = value
                    .pointer("/status/conditions")
                    .and_then(Value::as_array);
                let met = conditions
                    .into_iter()
                    .flatten()
                    .any(|one| one["type"] == kind && one["status"] == "True");
                if met {
                    kind.to_owned()
                } else {
                    format!("Not{kind}")
                }
            }
            Cell::Containers => {
                let all = value
                    .pointer("/spec/containers")
                    .and_then(Value::as_array)
                    .map_or(0, Vec::len);
                let states = value
                    .pointer("/status/containerStatuses")
                    .and_then(Value::as_array);
                let ready = states
                    .into_iter()
                    .flatten()
                    .filter(|one| one["ready"] == true)
                    .count();
                format!("{ready}/{all}")
            }
            Cell::PodStatus if object::is_deleting(value) => "Terminating".to_owned(),
            Cell::PodStatus => {
                let waiting = value.pointer("/status/containerStatuses/0/state/waiting/reason");
                plain(
                    waiting
                        .or_else(|| value.pointer("/status/phase"))
                        .unwrap_or(&Value::Null),
                )
            }
        }
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The headers of a kind's table.
fn headers(kind: &ResourceType) -> Vec<Value> {
    let header = |name: &str, priority: i64| {
        json!({"name": name, "type": "string", "format": if name == "Name" { "name" } else { "" }, "description": "",
            "priority": priority})
    };
    let mut all = vec![header("Name", 0)];
    match &kind.custom {
        Some(custom) => {
            for column in &custom.columns {
                all.push(header(
                    column["name"].as_str().unwrap_or_default(),
                    column["priority"].as_i64().unwrap_or(0),
                ));
            }
        }
        None => all.extend(built_in(kind).iter().map(|(name, _)| header(name, 0))),
    }
    if !all.iter().any(|one| one["name"] == "Age") {
        all.push(header("Age", 0));
    }
    all
}

fn built_in(kind: &ResourceType) -> &'static [(&'static str, Cell)] {
    COLUMNS
        .iter()
        .find(|(resource, _)| *resource == kind.group_resource.as_ref())
        .map_or(&[], |(_, columns)| columns)
}

fn row(kind: &ResourceType, value: &Value, now: Timestamp) -> Value {
    let age = age(object::meta(value, "creationTimestamp"), now);
    let mut cells = vec![object::meta(value, "name").to_owned()];
    let mut has_age = false;
    match &kind.custom {
        Some(custom) => {
            for column in &custom.columns {
                let path = column["jsonPath"]
                    .as_str()
                    .unwrap_or_default()
                    .replace('.', "/");
                let found = value.pointer(&path);
                has_age |= column["name"] == "Age";
                cells.push(match (column["type"].as_str(), found) {
                    (Some("date"), Some(time)) => self::age(time.as_str().unwrap_or_default(), now),
                    (_, Some(found)) => plain(found),
                    (_, None) => String::new(),
                });
            }
        }
        None => cells.extend(built_in(kind).iter().map(|(_, cell)| cell.of(value))),
    }
    if !has_age {
        cells.push(age);
    }
    let metadata = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": value["metadata"]});
    json!({"cells": cells, "object": metadata})
}

/// How long ago, as kubectl writes it.
fn age(time: &str, now: Timestamp) -> String {
    let Ok(time) = time.parse::<Timestamp>() else {
        return "<unknown>".to_owned();
    };
    let seconds = now.as_second().saturating_sub(time.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn table(kind: &ResourceType, metadata: &Value, rows: &[Value]) -> Value {
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": headers(kind),
        "rows": rows})
}

/// Turns an object or a list into a table. Whatever is neither stays as it is.
pub(crate) fn render(kind: &ResourceType, body: &str, now: Timestamp) -> String {
    let Ok(value) = serde_json::from_str::<Value>(body) else {
        return body.to_owned();
    };
    let metadata = json!({"resourceVersion": object::meta(&value, "resourceVersion"), "continue": object::meta(&value, "continue")});
    match value.get("items").and_then(Value::as_array) {
        Some(items) => {
            let rows: Vec<Value> = items.iter().map(|item| row(kind, item, now)).collect();
            table(kind, &metadata, &rows).to_string()
        }
        None if value["kind"] == kind.kind.as_ref() => {
            table(kind, &metadata, &[row(kind, &value, now)]).to_string()
        }
        None => body.to_owned(),
    }
}

/// The same for the events of a watch.
pub(crate) fn render_events(kind: &ResourceType, lines: &str, now: Timestamp) -> String {
    let one = |line: &str| -> String {
        match serde_json::from_str::<Value>(line) {
            Ok(event) if event["object"]["kind"] == kind.kind.as_ref() => {
                let metadata =
                    json!({"resourceVersion": object::meta(&event["object"], "resourceVersion")});
                let body = table(kind, &metadata, &[row(kind, &event["object"], now)]);
                format!("{}\n", json!({"type": event["type"], "object": body}))
            }
            _ => format!("{line}\n"),
        }
    };
    lines.lines().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_cluster::kinds;

    #[test]
    fn a_list_becomes_rows_under_the_kinds_headers() {
        let kind = kinds::builtin("apps", "v1", "deployments").expect("built in");
        let list = json!({"kind": "DeploymentList", "metadata": {"resourceVersion": "7"}, "items": [{
            "metadata": {"name": "web", "creationTimestamp": "2030-01-01T00:00:00Z"},
            "spec": {"replicas": 3}, "status": {"readyReplicas": 2},
        }]});
        let now = "2030-01-01T00:05:00Z".parse().expect("a time");
        let table: Value =
            serde_json::from_str(&render(kind, &list.to_string(), now)).expect("JSON");
        assert_eq!(
            table["rows"][0]["cells"],
            json!(["web", "2/3", "0", "0", "5m"])
        );
        let headers: Vec<&str> = table["columnDefinitions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| one["name"].as_str())
            .collect();
        assert_eq!(headers, ["Name", "Ready", "Up-to-date", "Available", "Age"]);
    }
}
