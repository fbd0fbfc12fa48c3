//! Reading and writing objects: the rules that every kind shares.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::defaults;
use super::error::{ApiError, Cause};
use super::kinds::ResourceType;
use super::managed_fields::{self, Before, Writer};
use super::object;
use super::patch::{self, PatchType};
use super::request::{ApiRequest, Subresource, WriteOptions};
use super::server::ApiServer;
use super::shape::Mismatch;
use super::store::{ObjectKey, Stored};
use super::strategy;
use super::validation;

mod apply;
mod delete;
mod list;
mod subresource;

pub(crate) use delete::{CUSTOM_RESOURCES, FOREGROUND, ORPHAN};

/// The outcome of a write.
#[derive(Debug)]
pub(crate) struct Written {
    /// The object as it is now.
    pub(crate) value: Value,
    /// Whether the write made it.
    pub(crate) created: bool,
}

impl ApiServer {
    /// Makes an object.
    ///
    /// # Errors
    /// 409 when it exists, 404 or 403 when its namespace is missing or ending, 400 and 422 when it is not valid.
    pub(crate) fn create(
        &mut self,
        request: &ApiRequest,
        mut body: Value,
        options: &WriteOptions,
        now: Timestamp,
    ) -> Result<Written, ApiError> {
        let kind = &request.kind;
        check_type(kind, &mut body)?;
        self.take_name(kind, &mut body)?;
        check_place(request, &mut body)?;
        object::strip_nulls(&mut body);
        fit_shape(kind, &mut body, options, Sent::Whole)?;
        let mut new = self.born(request, body, now)?;
        strategy::prepare_create(kind, &mut new);
        defaults::fill(kind, &mut new);
        strategy::drop_empty(kind, &mut new);
        let writer = writer(request, options, now);
        managed_fields::track_update(Before::Nothing, &mut new, kind, &writer);
        self.admit_new(request, new, options, now)
    }

    /// Stamps an object's birth: uid, time, first generation.
    fn born(
        &mut self,
        request: &ApiRequest,
        mut new: Value,
        now: Timestamp,
    ) -> Result<Value, ApiError> {
        let kind = &request.kind;
        let name = object::meta(&new, "name").to_owned();
        self.check_namespace(kind, &request.namespace, &name)?;
        if self
            .store
            .get(&self.key(kind, &request.namespace, &name))
            .is_some()
        {
            return Err(ApiError::already_exists(kind, &name));
        }
        let uid = self.random.uid();
        let meta = object::meta_mut(&mut new);
        for field in [
            "resourceVersion",
            "selfLink",
            "generation",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
        ] {
            meta.remove(field);
        }
        meta.insert("uid".to_owned(), uid.into());
        meta.insert(
            "creationTimestamp".to_owned(),
            object::timestamp(now).into(),
        );
        if kind.generation {
            meta.insert("generation".to_owned(), 1.into());
        }
        Ok(new)
    }

    /// Adds what the server hands out, checks the object, and stores it.
    fn admit_new(
        &mut self,
        request: &ApiRequest,
        mut new: Value,
        options: &WriteOptions,
        now: Timestamp,
    ) -> Result<Written, ApiError> {
        let kind = &request.kind;
        defaults::allocate(self, kind, &mut new);
        let name = object::meta(&new, "name").to_owned();
        let causes = validation::check_new(kind, &new);
        if !causes.is_empty() {
            return Err(ApiError::invalid(kind, &name, &causes));
        }
        let key = self.key(kind, &request.namespace, &name);
        let value = if options.dry_run {
            new
        } else {
            self.put(&key, new, now).value()
        };
        Ok(Written {
            value,
            created: true,
        })
    }

    /// Replaces an object.
    ///
    /// # Errors
    /// 404 when it does not exist, 409 when the body is based on another version, 400 and 422 when it is not valid.
    pub(crate) fn replace(
        &mut self,
        request: &ApiRequest,
        mut body: Value,
        options: &WriteOptions,
        now: Timestamp,
    ) -> Result<Written, ApiError> {
        let kind = &request.kind;
        if request.subresource == Subresource::Scale {
            return self.set_scale(request, &body, options, now);
        }
        check_type(kind, &mut body)?;
        let name = object::meta(&body, "name");
        if name.is_empty() || name != request.name {
            let why = wrong_name(name, &request.name);
            return Err(ApiError::bad_request(why));
        }
        check_place(request, &mut body)?;
        let stored = self.stored(kind, &request.namespace, &request.name)?;
        if kind.custom.is_some() && object::meta(&body, "resourceVersion").is_empty() {
            let cause = Cause::invalid(
                "metadata.resourceVersion",
                &json!(0),
                "must be specified for an update",
            );
            return Err(ApiError::unversioned(kind, &request.name, &cause));
        }
        self.change(request, &stored, Sent::Whole, body, options, now)
    }

    /// Patches an object; an apply may make it.
    ///
    /// # Errors
    /// 404 when it does not exist, 409 on conflict, 415 for a format the kind does not take, 400 and 422 as the rest.
    pub(crate) fn patch(
        &mut self,
        request: &ApiRequest,
        format: PatchType,
        change: Value,
        options: &WriteOptions,
        now: Timestamp,
    ) -> Result<Written, ApiError> {
        let kind = &request.kind;
        if format == PatchType::Apply {
            return self.apply(request, change, options, now);
        }
        let stored = self.stored(kind, &request.namespace, &request.name)?;
        if request.subresource == Subresource::Scale {
            let scale = patch::patch(&self.scale(request)?, &change, format, kind)?;
            return self.set_scale(request, &scale, options, now);
        }
        let mut current = stored.value();
        current["apiVersion"] = kind.api_version().into();
        current["kind"] = kind.kind.as_ref().into();
        let mut patched = patch::patch(&current, &change, format, kind)?;
        check_type(kind, &mut patched)?;
        let name = object::meta(&patched, "name");
        if name != request.name {
            return Err(ApiError::bad_request(wrong_name(name, &request.name)));
        }
        let uid = object::meta(&patched, "uid");
        if !uid.is_empty() && uid != stored.uid.as_ref() {
            let cause = Cause::invalid("metadata.uid", &json!(uid), "field is immutable");
            return Err(ApiError::invalid(kind, &request.name, &[cause]));
        }
        self.change(request, &stored, Sent::Patch, patched, options, now)
    }

    /// Carries out a change that is not an apply.
    fn change(
        &mut self,
        request: &ApiRequest,
        stored: &Arc<Stored>,
        sent: Sent,
        mut new: Value,
        options: &WriteOptions,
        now: Timestamp,
    ) -> Result<Written, ApiError> {
        let kind = &request.kind;
        object::strip_nulls(&mut new);
        fit_shape(kind, &mut new, options, sent)?;
        let old = stored.value();
        carry_identity(kind, &old, &mut new)?;
        strategy::prepare_update(kind, request.subresource, &old, &mut new);
        defaults::fill(kind, &mut new);
        strategy::drop_empty(kind, &mut new);
        let writer = writer(request, options, now);
        managed_fields::track_update(Before::Object(&old), &mut new, kind, &writer);
        defaults::allocate(self, kind, &mut new);
        self.admit_change(request, &old, new, options, now)
    }

    /// Checks a changed object and stores it; an object that only waited for its last finalizer goes.
    fn admit_change(
        &mut self,
        request: &ApiRequest,
        old: &Value,
        mut new: Value,
        options: &WriteOptions,
        now: Timestamp,
    ) -> Result<Written, ApiError> {
        let kind = &request.kind;
        strategy::count_generation(kind, old, &mut new);
        let causes = validation::check_change(kind, old, &new);
        if !causes.is_empty() {
            return Err(ApiError::invalid(kind, &request.name, &causes));
        }
        if options.dry_run || new == *old {
            return Ok(Written {
                value: new,
                created: false,
            });
        }
        let key = self.key(kind, &request.namespace, &request.name);
        let value = self.store_change(kind, &key, new, now);
        Ok(Written {
            value,
            created: false,
        })
    }

    /// Stores a new state; removes the object when nothing holds it any more.
    pub(crate) fn store_change(
        &mut self,
        kind: &ResourceType,
        key: &ObjectKey,
        new: Value,
        now: Timestamp,
    ) -> Value {
        let held = !object::finalizers(&new).is_empty()
            || object::meta_number(&new, "deletionGracePeriodSeconds")
                .is_some_and(|seconds| seconds > 0)
            || (kind.is("", "namespaces") && object::at(&new, &["spec", "finalizers"]).is_some());
        if object::is_deleting(&new) && !held {
            self.remove(key, new, now).value()
        } else {
            self.put(key, new, now).value()
        }
    }

    /// Gives an object with only a `generateName` a name.
    fn take_name(&mut self, kind: &ResourceType, body: &mut Value) -> Result<(), ApiError> {
        if !object::meta(body, "name").is_empty() {
            return Ok(());
        }
        let prefix = object::meta(body, "generateName").to_owned();
        if prefix.is_empty() {
            let cause = Cause::required("metadata.name", "name or generateName is required");
            return Err(ApiError::invalid(kind, "", &[cause]));
        }
        let name = format!("{prefix}{}", self.random.suffix(5));
        object::meta_mut(body).insert("name".to_owned(), name.into());
        Ok(())
    }

    /// A namespaced object needs a namespace that exists and is not on its way out.
    fn check_namespace(
        &self,
        kind: &ResourceType,
        namespace: &str,
        name: &str,
    ) -> Result<(), ApiError> {
        if !kind.namespaced {
            return Ok(());
        }
        let namespaces = super::kinds::builtin("", "v1", "namespaces").expect("a built-in kind");
        let stored = self.stored(namespaces, "", namespace)?;
        if object::is_deleting(&stored.value()) {
            return Err(ApiError::namespace_terminating(kind, name, namespace));
        }
        Ok(())
    }
}

fn wrong_name(name: &str, wanted: &str) -> String {
    format!("the name of the object ({name}) does not match the name on the URL ({wanted})")
}

/// How a change came: what does not fit the kind is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// As a whole object.
    Whole,
    /// As a patch.
    Patch,
}

/// Who writes, for managed fields.
fn writer(request: &ApiRequest, options: &WriteOptions, now: Timestamp) -> Writer {
    let subresource = if request.subresource == Subresource::Status {
        "status"
    } else {
        ""
    };
    Writer {
        manager: options.manager.clone(),
        api_version: request.kind.api_version(),
        subresource: subresource.to_owned(),
        time: object::timestamp(now),
    }
}

/// Takes `apiVersion` and `kind` off a body after checking them.
fn check_type(kind: &ResourceType, body: &mut Value) -> Result<(), ApiError> {
    let Value::Object(fields) = body else {
        return Err(ApiError::bad_request(
            "the body of the request is not a JSON object",
        ));
    };
    let text = |value: Option<Value>| {
        value
            .as_ref()
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (version, name) = (
        text(fields.remove("apiVersion")),
        text(fields.remove("kind")),
    );
    if (!version.is_empty() && version != kind.api_version())
        || (!name.is_empty() && name != kind.kind)
    {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({version}, Kind={name}) does not match the expected API version ({}, Kind={})",
            kind.api_version(),
            kind.kind
        )));
    }
    if kind.custom.is_some() && (version.is_empty() || name.is_empty()) {
        return Err(ApiError::bad_request("Object 'Kind' is missing".to_owned()));
    }
    Ok(())
}

/// The body's namespace must be the URL's.
fn check_place(request: &ApiRequest, body: &mut Value) -> Result<(), ApiError> {
    let namespace = object::meta(body, "namespace");
    if !request.kind.namespaced {
        object::meta_mut(body).remove("namespace");
        return Ok(());
    }
    if !namespace.is_empty() && namespace != request.namespace {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    object::meta_mut(body).insert("namespace".to_owned(), request.namespace.as_str().into());
    Ok(())
}

/// Refuses or drops what the kind does not declare.
fn fit_shape(
    kind: &ResourceType,
    body: &mut Value,
    options: &WriteOptions,
    sent: Sent,
) -> Result<(), ApiError> {
    defaults::quantities_to_text(kind, body);
    let name = object::meta(body, "name").to_owned();
    let mut unknown = Vec::new();
    for mismatch in kind.shape.check(body) {
        match mismatch {
            Mismatch::Unknown { path } => unknown.push(format!("unknown field {path:?}")),
            Mismatch::WrongType { path, want, got } if kind.custom.is_some() => {
                return Err(ApiError::invalid(
                    kind,
                    &name,
                    &[Cause::wrong_type(path, want, got)],
                ));
            }
            Mismatch::WrongType { path, want, got } => {
                let name = &kind.kind;
                let why = format!(
                    "json: cannot unmarshal {got} into Go struct field {name}.{path} of type {want}"
                );
                return Err(undecodable(kind, sent, body, &why));
            }
        }
    }
    if !unknown.is_empty() && options.strict {
        let why = format!("strict decoding error: {}", unknown.join(", "));
        return Err(undecodable(kind, sent, body, &why));
    }
    if !unknown.is_empty() {
        kind.shape.prune(body);
    }
    Ok(())
}

/// The refusal of a body that cannot be read as its kind.
fn undecodable(kind: &ResourceType, sent: Sent, body: &Value, why: &str) -> ApiError {
    let (name, version) = (&kind.kind, &kind.version);
    match (sent, &kind.custom) {
        (Sent::Patch, _) => {
            ApiError::invalid_patch(&Cause::invalid("patch", &json!(body.to_string()), why))
        }
        (Sent::Whole, Some(_)) => ApiError::bad_request(why),
        (Sent::Whole, None) => ApiError::bad_request(format!(
            "{name} in version {version:?} cannot be handled as a {name}: {why}"
        )),
    }
}

/// Checks that the change is about the stored object, and keeps what no client may change.
fn carry_identity(kind: &ResourceType, old: &Value, new: &mut Value) -> Result<(), ApiError> {
    let name = object::meta(old, "name").to_owned();
    let uid = object::meta(new, "uid");
    if !uid.is_empty() && uid != object::meta(old, "uid") {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            object::meta(old, "uid")
        );
        return Err(ApiError::conflict(kind, &name, &why));
    }
    let version = object::meta(new, "resourceVersion");
    if !version.is_empty() && version != object::meta(old, "resourceVersion") {
        return Err(ApiError::stale(kind, &name));
    }
    let empty = Map::new();
    let before = old
        .get("metadata")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let meta = object::meta_mut(new);
    for field in [
        "name",
        "namespace",
        "generateName",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    ] {
        match before.get(field) {
            Some(value) => meta.insert(field.to_owned(), value.clone()),
            None => meta.remove(field),
        };
    }
    Ok(())
}
