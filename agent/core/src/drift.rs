//! Has somebody changed what a work wrote?
//!
//! The API server fills in defaults and writes values in its own way, so comparing a manifest with
//! the object says little. Compared is what the object looked like, where the manifest says
//! something, right after it was applied, with how it looks there now.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use skein_schema::digest::Digest;

/// How an object looked after it was applied, in the fields that its manifest has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    uid: String,
    digest: Digest,
}

/// How an object differs from what was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// It is gone.
    Missing,
    /// It is another object of the same name.
    Recreated,
    /// A field that the manifest has was changed.
    Changed,
}

impl Fingerprint {
    /// The fingerprint of an object that was just applied. `body` is what was sent.
    #[must_use]
    pub fn of(body: &Map<String, Value>, live: &Map<String, Value>) -> Self {
        Self {
            uid: uid(live).to_owned(),
            digest: digest(body, live),
        }
    }

    /// Compares with the object as it is now. Fields that the manifest does not have are not
    /// looked at: they are others' business.
    #[must_use]
    pub fn differs(
        &self,
        body: &Map<String, Value>,
        live: Option<&Map<String, Value>>,
    ) -> Option<Drift> {
        let Some(live) = live else {
            return Some(Drift::Missing);
        };
        if uid(live) != self.uid {
            return Some(Drift::Recreated);
        }
        (digest(body, live) != self.digest).then_some(Drift::Changed)
    }
}

fn uid(live: &Map<String, Value>) -> &str {
    let uid = live
        .get("metadata")
        .and_then(|metadata| metadata.get("uid"));
    uid.and_then(Value::as_str).unwrap_or_default()
}

fn digest(body: &Map<String, Value>, live: &Map<String, Value>) -> Digest {
    let mut seen = Map::new();
    for (key, wanted) in body {
        let view = match key.as_str() {
            "apiVersion" | "kind" | "status" => continue,
            "metadata" => metadata(wanted, live.get(key)),
            // The API server moves these into `data`.
            "stringData" => project(wanted, live.get("data")),
            _ => project(wanted, live.get(key)),
        };
        seen.insert(key.clone(), view);
    }
    Digest::of_json(&Value::Object(seen))
}

/// What `live` has where `wanted` has something. Lists are compared whole.
fn project(wanted: &Value, live: Option<&Value>) -> Value {
    match (wanted, live) {
        (_, None) => Value::Null,
        (Value::Object(wanted), Some(Value::Object(live))) => wanted
            .iter()
            .map(|(key, wanted)| (key.clone(), project(wanted, live.get(key))))
            .collect::<Map<_, _>>()
            .into(),
        (_, Some(live)) => live.clone(),
    }
}

/// Of the owner references only the wanted ones count: other works may own the object, too.
fn metadata(wanted: &Value, live: Option<&Value>) -> Value {
    let mut view = project(wanted, live);
    let references = |value: Option<&Value>| {
        let list = value
            .and_then(|value| value.get("ownerReferences"))
            .and_then(Value::as_array);
        let uids = list
            .into_iter()
            .flatten()
            .filter_map(|r| r.get("uid").and_then(Value::as_str));
        uids.map(str::to_owned).collect::<Vec<_>>()
    };
    let there = references(live);
    let kept: Vec<String> = references(Some(wanted))
        .into_iter()
        .filter(|uid| there.contains(uid))
        .collect();
    if let Value::Object(view) = &mut view
        && view.contains_key("ownerReferences")
    {
        view.insert("ownerReferences".to_owned(), json!(kept));
    }
    view
}

#[cfg(test)]
#[allow(
    clippy::needless_pass_by_value,
    clippy::semicolon_if_nothing_returned,
    reason = "tables of json! values"
)]
mod tests {
    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn body() -> Map<String, Value> {
        map(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "labels": {"app": "web"}, "ownerReferences": [{"uid": "o1"}]},
            "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "a", "image": "x"}]}}},
        }))
    }

    fn live() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "uid": "u1", "resourceVersion": "5", "labels": {"app": "web"},
                "ownerReferences": [{"uid": "o1", "name": "n"}]},
            "spec": {"replicas": 2, "paused": false, "template": {"spec": {"containers": [
                {"name": "a", "image": "x", "imagePullPolicy": "Always"}]}}},
            "status": {"readyReplicas": 1},
        })
    }

    #[test]
    fn only_fields_of_the_manifest_count() {
        let applied = Fingerprint::of(&body(), &map(live()));
        let drift = |change: fn(&mut Value)| {
            let mut live = live();
            change(&mut live);
            applied.differs(&body(), Some(&map(live)))
        };
        assert_eq!(drift(|_| {}), None);
        assert_eq!(drift(|o| o["status"]["readyReplicas"] = json!(2)), None);
        assert_eq!(
            drift(|o| o["metadata"]["resourceVersion"] = json!("6")),
            None
        );
        assert_eq!(
            drift(|o| o["metadata"]["labels"]["more"] = json!("x")),
            None
        );
        assert_eq!(drift(|o| o["spec"]["paused"] = json!(true)), None);
        let shared = |o: &mut Value| {
            o["metadata"]["ownerReferences"] = json!([{"uid": "o2"}, {"uid": "o1"}])
        };
        assert_eq!(drift(shared), None);
        assert_eq!(
            drift(|o| o["spec"]["replicas"] = json!(5)),
            Some(Drift::Changed)
        );
        assert_eq!(
            drift(|o| o["metadata"]["labels"] = json!({})),
            Some(Drift::Changed)
        );
        assert_eq!(
            drift(|o| o["metadata"]["ownerReferences"] = json!([])),
            Some(Drift::Changed)
        );
        assert_eq!(
            drift(|o| o["metadata"]["uid"] = json!("u2")),
            Some(Drift::Recreated)
        );
        assert_eq!(applied.differs(&body(), None), Some(Drift::Missing));
    }

    #[test]
    fn secret_text_is_compared_where_it_ends_up() {
        let body = map(json!({"kind": "Secret", "stringData": {"k": "v"}}));
        let live = |data: &str| {
            map(json!({"kind": "Secret", "metadata": {"uid": "u"}, "data": {"k": data}}))
        };
        let applied = Fingerprint::of(&body, &live("dg=="));
        assert_eq!(applied.differs(&body, Some(&live("dg=="))), None);
        assert_eq!(
            applied.differs(&body, Some(&live("eA=="))),
            Some(Drift::Changed)
        );
    }
}
