//! Endpoints below an object: scale, tokens, bindings, evictions.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Sent, Written};
use crate::sim_cluster::error::ApiError;
use crate::sim_cluster::object;
use crate::sim_cluster::request::{Action, ApiRequest, DeleteOptions, Subresource, WriteOptions};
use crate::sim_cluster::server::{ApiServer, success};

impl ApiServer {
    /// The `autoscaling/v1` Scale of an object.
    pub(crate) fn scale(&self, request: &ApiRequest) -> Result<Value, ApiError> {
        let kind = &request.kind;
        let value = self
            .stored(kind, &request.namespace, &request.name)?
            .value();
        let mut metadata = json!({});
        for field in [
            "name",
            "namespace",
            "uid",
            "resourceVersion",
            "creationTimestamp",
        ] {
            if let Some(found) = object::at(&value, &["metadata", field]) {
                metadata[field] = found.clone();
            }
        }
        let number = |path: &[&str]| {
            object::at(&value, path)
                .and_then(Value::as_i64)
                .unwrap_or(0)
        };
        let labels =
            object::at(&value, &["spec", "selector", "matchLabels"]).and_then(Value::as_object);
        let terms = labels
            .into_iter()
            .flatten()
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or("")));
        Ok(json!({
            "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
            "spec": {"replicas": number(&["spec", "replicas"])},
            "status": {
                "replicas": number(&["status", "replicas"]),
                "selector": terms.collect::<Vec<_>>().join(","),
            },
        }))
    }

    /// Sets the replicas through a Scale. What is written is the object, whose Scale answers the client.
    pub(super) fn set_scale(
        &mut self,
        request: &ApiRequest,
        scale: &Value,
        options: &WriteOptions,
        now: Timestamp,
    ) -> Result<Written, ApiError> {
        let kind = &request.kind;
        let stored = self.stored(kind, &request.namespace, &request.name)?;
        let replicas = object::at(scale, &["spec", "replicas"])
            .and_then(Value::as_i64)
            .unwrap_or(0);
        let mut changed = stored.value();
        object::field_mut(&mut changed, "spec").insert("replicas".to_owned(), replicas.into());
        let version = object::meta(scale, "resourceVersion").to_owned();
        if !version.is_empty() {
            object::meta_mut(&mut changed).insert("resourceVersion".to_owned(), version.into());
        }
        let whole = ApiRequest {
            subresource: Subresource::None,
            ..request.clone()
        };
        self.change(&whole, &stored, Sent::Whole, changed, options, now)
    }

    /// Carries out a `POST` below an object.
    pub(crate) fn act(
        &mut self,
        request: &ApiRequest,
        body: &Value,
        now: Timestamp,
    ) -> Result<Value, ApiError> {
        let kind = &request.kind;
        let Subresource::Action(action) = request.subresource else {
            return Err(ApiError::method_not_allowed(kind));
        };
        let stored = self.stored(kind, &request.namespace, &request.name)?;
        match action {
            Action::Token => {
                let expires = object::timestamp(
                    now.checked_add(std::time::Duration::from_secs(3600))
                        .unwrap_or(now),
                );
                let token = format!("sim.{}.{}", stored.uid, self.random.suffix(24));
                let mut answer = body.clone();
                answer["status"] = json!({"token": token, "expirationTimestamp": expires});
                Ok(answer)
            }
            Action::Binding => {
                let node = object::at(body, &["target", "name"])
                    .cloned()
                    .unwrap_or_default();
                let mut pod = stored.value();
                object::field_mut(&mut pod, "spec").insert("nodeName".to_owned(), node);
                let key = self.key(kind, &request.namespace, &request.name);
                self.put(&key, pod, now);
                Ok(
                    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
                )
            }
            Action::Eviction => {
                let key = self.key(kind, &request.namespace, &request.name);
                self.delete(kind, &key, &DeleteOptions::default(), now)?;
                Ok(success(kind, &request.name, &stored.uid))
            }
        }
    }
}
