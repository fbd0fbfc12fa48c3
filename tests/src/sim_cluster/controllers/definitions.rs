//! The CRD controller: serves new kinds, and removes a kind with all its objects.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sim_cluster::agenda::Task;
use crate::sim_cluster::kinds::{self, CustomType, ResourceType, group_resource};
use crate::sim_cluster::object;
use crate::sim_cluster::registry::CUSTOM_RESOURCES;
use crate::sim_cluster::request::DeleteOptions;
use crate::sim_cluster::schema;
use crate::sim_cluster::server::ApiServer;
use crate::sim_cluster::store::{Change, ObjectKey};

/// Serves what a CRD defines, or finishes its deletion.
pub(super) fn serve(server: &mut ApiServer, key: &ObjectKey, now: Timestamp) {
    let Some(stored) = server.store.get(key).cloned() else {
        return;
    };
    let mut value = stored.value();
    if object::is_deleting(&value) {
        withdraw(server, key, value, now);
        return;
    }
    let versions = resource_types(&value);
    let Some(first) = versions.first() else {
        return;
    };
    let resource = first.group_resource.to_string();
    let names = &value["spec"]["names"];
    let taken = kinds::BUILTIN
        .iter()
        .any(|kind| kind.group_resource.as_ref() == resource);
    let status = json!({
        "acceptedNames": names,
        "conditions": [
            condition("NamesAccepted", !taken, "NoConflicts", "no conflicts found", now),
            condition("Established", !taken, "InitialNamesAccepted", "the initial names have been accepted", now),
        ],
        "storedVersions": versions.iter().filter_map(|kind| kind.custom.as_ref()).map(|custom| custom.storage_version.clone())
            .take(1).collect::<Vec<_>>(),
    });
    if !taken {
        server.catalog.set_custom(&resource, versions);
    }
    if value
        .get("status")
        .and_then(|status| status.get("conditions"))
        .is_none()
    {
        object::fields(&mut value).insert("status".to_owned(), status);
        server.put(key, value, now);
    }
}

fn condition(kind: &str, status: bool, reason: &str, message: &str, now: Timestamp) -> Value {
    json!({"type": kind, "status": if status { "True" } else { "False" }, "reason": reason, "message": message,
        "lastTransitionTime": object::timestamp(now)})
}

/// Deletes the custom resources of a CRD on its way out; the kind is gone when they are.
fn withdraw(server: &mut ApiServer, key: &ObjectKey, mut value: Value, now: Timestamp) {
    let resource = key.name.name.to_string();
    if let Some(kind) = server.catalog.find_stored(&resource) {
        let left: Vec<ObjectKey> = server
            .store
            .list(&resource, "")
            .map(|(name, _)| ObjectKey {
                resource: kind.group_resource.clone(),
                name: name.clone(),
            })
            .collect();
        for object in left {
            // What something else deleted in the meantime is no longer our concern.
            drop(server.delete(&kind, &object, &DeleteOptions::default(), now));
        }
    }
    if server.store.list(&resource, "").next().is_some() {
        return;
    }
    server.catalog.set_custom(&resource, Vec::new());
    object::remove_finalizer(&mut value, CUSTOM_RESOURCES);
    let kind = kinds::builtin("apiextensions.k8s.io", "v1", "customresourcedefinitions")
        .expect("a built-in kind");
    server.store_change(kind, key, value, now);
}

/// A custom resource is gone: a CRD that waits for it looks again.
pub(super) fn on_deleted(server: &mut ApiServer, change: &Change, now: Timestamp) {
    let kind = kinds::builtin("apiextensions.k8s.io", "v1", "customresourcedefinitions")
        .expect("a built-in kind");
    let key = server.key(kind, "", &change.key.resource);
    let waits = server
        .store
        .get(&key)
        .is_some_and(|stored| object::is_deleting(&stored.value()));
    if waits {
        let delay = server.options.controller_delay;
        server.plan(Task::Serve(key), delay, now);
    }
}

/// The served versions of a CRD.
fn resource_types(definition: &Value) -> Vec<ResourceType> {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| -> Vec<std::borrow::Cow<'static, str>> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| text(one).into())
            .collect()
    };
    let versions = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
    let flag = |version: &Value, name: &str| version[name].as_bool() == Some(true);
    let storage_version = versions
        .iter()
        .find(|one| flag(one, "storage"))
        .map(|one| text(&one["name"]));
    let (group, plural) = (text(&spec["group"]), text(&names["plural"]));
    let served = versions.iter().filter(|one| flag(one, "served"));
    served
        .map(|version| ResourceType {
            group: group.clone().into(),
            version: text(&version["name"]).into(),
            plural: plural.clone().into(),
            singular: text(&names["singular"]).into(),
            kind: text(&names["kind"]).into(),
            list_kind: text(&names["listKind"]).into(),
            short_names: list(&names["shortNames"]),
            categories: list(&names["categories"]),
            namespaced: spec["scope"] == "Namespaced",
            status: version["subresources"].get("status").is_some(),
            scale: version["subresources"].get("scale").is_some(),
            generation: true,
            shape: schema::root_shape(&version["schema"]["openAPIV3Schema"]),
            custom: Some(CustomType {
                schema: version["schema"]["openAPIV3Schema"].clone(),
                storage_version: storage_version.clone().unwrap_or_default(),
                columns: version["additionalPrinterColumns"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default(),
            }),
            group_resource: group_resource(&group, &plural).into(),
        })
        .collect()
}
