//! Server-side apply as a request.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Written, carry_identity, check_place, check_type, writer};
use crate::sim_cluster::defaults;
use crate::sim_cluster::error::{ApiError, Cause};
use crate::sim_cluster::kinds::ResourceType;
use crate::sim_cluster::managed_fields;
use crate::sim_cluster::object;
use crate::sim_cluster::request::{ApiRequest, Subresource, WriteOptions};
use crate::sim_cluster::server::ApiServer;
use crate::sim_cluster::shape::Mismatch;
use crate::sim_cluster::strategy;

impl ApiServer {
    /// Applies a configuration for a field manager.
    pub(super) fn apply(
        &mut self,
        request: &ApiRequest,
        config: Value,
        options: &WriteOptions,
        now: Timestamp,
    ) -> Result<Written, ApiError> {
        let kind = &request.kind;
        let named = !object::meta(&config, "name").is_empty();
        let config = check_config(request, config, options)?;
        let writer = writer(request, options, now);
        let key = self.key(kind, &request.namespace, &request.name);
        match self.store.get(&key).cloned() {
            Some(stored) => {
                let old = stored.value();
                let mut identity = config.clone();
                carry_identity(kind, &old, &mut identity)?;
                let mut new = managed_fields::apply(&old, &config, kind, &writer, options.force)?;
                carry_identity(kind, &old, &mut new)?;
                strategy::prepare_update(kind, request.subresource, &old, &mut new);
                defaults::fill(kind, &mut new);
                strategy::drop_empty(kind, &mut new);
                defaults::allocate(self, kind, &mut new);
                self.admit_change(request, &old, new, options, now)
            }
            None if request.subresource != Subresource::None => {
                Err(ApiError::not_found(kind, &request.name))
            }
            None if !named => {
                let name = &request.name;
                Err(ApiError::bad_request(format!(
                    "the name of the object ({name} based on URL) was undeterminable: name must be provided"
                )))
            }
            None if !object::meta(&config, "uid").is_empty() => {
                let why = format!(
                    "uid mismatch: the provided object specified uid {}, and no existing object was found",
                    object::meta(&config, "uid")
                );
                Err(ApiError::conflict(kind, &request.name, &why))
            }
            None => {
                let new = managed_fields::apply(&json!({}), &config, kind, &writer, true)?;
                let mut new = self.born(request, new, now)?;
                strategy::prepare_create(kind, &mut new);
                defaults::fill(kind, &mut new);
                strategy::drop_empty(kind, &mut new);
                self.admit_new(request, new, options, now)
            }
        }
    }
}

/// Checks what an applied configuration must and must not have, and takes its type off.
fn check_config(
    request: &ApiRequest,
    mut config: Value,
    options: &WriteOptions,
) -> Result<Value, ApiError> {
    let kind = &request.kind;
    if !options.manager_given {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        return Err(ApiError::invalid_options(
            "PatchOptions.meta.k8s.io",
            &cause,
        ));
    }
    let text = |field: &str| {
        config
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    if text("apiVersion").is_empty() || text("kind").is_empty() {
        return Err(ApiError::bad_request(format!(
            "invalid object type: {}, Kind={}",
            if text("apiVersion").is_empty() {
                "/"
            } else {
                text("apiVersion")
            },
            text("kind")
        )));
    }
    check_type(kind, &mut config)?;
    let name = object::meta(&config, "name");
    if !name.is_empty() && name != request.name {
        let why = format!(
            "metadata.name: Invalid value: {name:?}: does not match the name on the URL ({})",
            request.name
        );
        return Err(ApiError::bad_request(why));
    }
    let place = format!("{}/{name}", object::meta(&config, "namespace"));
    object::meta_mut(&mut config).insert("name".to_owned(), request.name.as_str().into());
    check_place(request, &mut config)?;
    if object::at(&config, &["metadata", "managedFields"]).is_some_and(|list| !list.is_null()) {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    object::strip_nulls(&mut config);
    defaults::quantities_to_text(kind, &mut config);
    check_shape(kind, &place, &config)?;
    if let Some(fields) = config.as_object_mut() {
        match request.subresource {
            Subresource::Status => {
                fields.retain(|field, _| field == "metadata" || field == "status");
            }
            _ if kind.status => fields.retain(|field, _| field != "status"),
            _ => {}
        }
        if request.subresource == Subresource::Status {
            let meta = object::meta_mut(&mut config);
            meta.retain(|field, _| {
                ["name", "namespace", "uid", "resourceVersion"].contains(&field.as_str())
            });
        }
    }
    Ok(config)
}

fn check_shape(kind: &ResourceType, place: &str, config: &Value) -> Result<(), ApiError> {
    let told = |why: String| {
        ApiError::not_typed(format!(
            "failed to create typed patch object ({place}; {}, Kind={}): {why}",
            kind.api_version(),
            kind.kind
        ))
    };
    match kind.shape.check(config).into_iter().next() {
        None => Ok(()),
        Some(Mismatch::Unknown { path }) => {
            Err(told(format!(".{path}: field not declared in schema")))
        }
        Some(Mismatch::WrongType { path, want, got }) => {
            let want = if ["integer", "number"].contains(&want) {
                "numeric (int or float)"
            } else {
                want
            };
            Err(told(format!(".{path}: expected {want}, got {got}")))
        }
    }
}
