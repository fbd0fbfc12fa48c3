//! The same requests to a simulated and to a real API server: the answers must be the same, but for uids, versions,
//! times, addresses and generated names.

use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use crate::context::eventually;

#[path = "twins/custom_resources.rs"]
mod custom_resources;
#[path = "twins/random.rs"]
mod random;
#[path = "twins/scripts.rs"]
mod scripts;

/// One request; `NS` in its path stands for the script's namespace.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    method: &'static str,
    path: String,
    content_type: &'static str,
    body: Value,
}

/// Runs every script against both and tells where they differ.
pub(crate) async fn compare(simulated: &Client, real: &Client) -> Vec<String> {
    for client in [simulated, real] {
        define_gadgets(client).await;
    }
    let mut differences = Vec::new();
    let mut scripts = scripts::all();
    scripts
        .extend((0..random::SCRIPTS).map(|seed| (format!("random {seed}"), random::script(seed))));
    for (index, (name, steps)) in scripts.iter().enumerate() {
        let namespace = format!("twins-{index}");
        for client in [simulated, real] {
            let body = json!({"metadata": {"name": namespace}});
            let namespaces = Step {
                method: "POST",
                path: "/api/v1/namespaces".to_owned(),
                content_type: JSON,
                body,
            };
            let (code, answer) = ask(client, &namespaces, &namespace).await;
            assert_eq!(code, 201, "{answer}");
        }
        for (number, step) in steps.iter().enumerate() {
            let (simulated, real) = tokio::join!(
                ask(simulated, step, &namespace),
                ask(real, step, &namespace)
            );
            let mut found = Vec::new();
            if simulated.0 != real.0 {
                found.push(format!("code: simulated {}, real {}", simulated.0, real.0));
            }
            differ(
                &comparable(simulated.1),
                &comparable(real.1),
                "",
                &mut found,
            );
            if !found.is_empty() {
                let (method, path) = (step.method, &step.path);
                differences.push(format!(
                    "{name}, step {}, {method} {path}\n    {}",
                    number + 1,
                    found.join("\n    ")
                ));
            }
        }
    }
    println!(
        "{} scripts of the same requests to both: {} answers differ",
        scripts.len(),
        differences.len()
    );
    differences
}

const JSON: &str = "application/json";
const GADGETS: &str = "/apis/twins.example.com/v1/namespaces/NS/gadgets";

/// Makes the kind that the scripts about custom resources use.
async fn define_gadgets(client: &Client) {
    let define = Step {
        method: "POST",
        path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions".to_owned(),
        content_type: JSON,
        body: custom_resources::gadgets(),
    };
    let (code, answer) = ask(client, &define, "").await;
    assert_eq!(code, 201, "{answer}");
    let list = Step {
        method: "GET",
        path: GADGETS.to_owned(),
        content_type: JSON,
        body: Value::Null,
    };
    eventually("gadgets are served", async || {
        (ask(client, &list, "default").await.0 == 200).then_some(())
    })
    .await;
}

async fn ask(client: &Client, step: &Step, namespace: &str) -> (u16, Value) {
    let body = if step.body.is_null() {
        Vec::new()
    } else {
        step.body.to_string().into_bytes()
    };
    let request = http::Request::builder()
        .method(step.method)
        .uri(step.path.replace("NS", namespace))
        .header("content-type", step.content_type)
        .body(Body::from(body))
        .expect("a request");
    let response = client.send(request).await.expect("an answer");
    let code = response.status().as_u16();
    let body = response.into_body().collect_bytes().await.expect("a body");
    let value = serde_json::from_slice(&body)
        .unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into());
    (code, value)
}

/// Takes out what can never be the same, and puts what has no order in order.
fn comparable(mut answer: Value) -> Value {
    if let Some(items) = answer.get_mut("items").and_then(Value::as_array_mut) {
        items.iter_mut().for_each(clean);
        items.sort_by_key(|item| item["metadata"]["name"].to_string());
    }
    clean(&mut answer);
    answer
}

fn clean(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for name in [
                "uid",
                "resourceVersion",
                "creationTimestamp",
                "deletionTimestamp",
                "time",
                "clusterIP",
                "clusterIPs",
            ] {
                if fields.get(name).is_some_and(|value| !value.is_object()) {
                    fields.insert(name.to_owned(), "…".into());
                }
            }
            // Controllers report when they like: what they say is left out, and who else wrote what is put in order.
            if fields.get("status").is_some_and(Value::is_object) {
                fields.remove("status");
            }
            if let Some(entries) = fields
                .get_mut("managedFields")
                .and_then(Value::as_array_mut)
            {
                entries.retain(|entry| entry.get("subresource").is_none());
                entries.sort_by_key(|entry| format!("{}{}", entry["operation"], entry["manager"]));
            }
            if let Some(causes) = fields.get_mut("causes").and_then(Value::as_array_mut) {
                causes.sort_by_key(Value::to_string);
            }
            fields.values_mut().for_each(clean);
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        _ => {}
    }
}

fn differ(simulated: &Value, real: &Value, path: &str, found: &mut Vec<String>) {
    match (simulated, real) {
        (Value::Object(one), Value::Object(two)) => {
            let names: std::collections::BTreeSet<&String> = one.keys().chain(two.keys()).collect();
            for name in names {
                let (one, two) = (
                    one.get(name).unwrap_or(&Value::Null),
                    two.get(name).unwrap_or(&Value::Null),
                );
                differ(one, two, &format!("{path}.{name}"), found);
            }
        }
        (Value::Array(one), Value::Array(two)) if one.len() == two.len() => {
            for (index, (one, two)) in one.iter().zip(two).enumerate() {
                differ(one, two, &format!("{path}[{index}]"), found);
            }
        }
        (one, two) if one == two => {}
        (one, two) => found.push(format!("{path}: simulated {one}, real {two}")),
    }
}
