//! What apply and patch have in common: the merged object is checked, completed and recorded.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};
use skein_schema::code::{Code, Refusal, excerpt};
use skein_schema::command::Change;
use skein_schema::decode::{self, Unknown};
use skein_schema::digest::Digest;
use skein_schema::event::{Applied, ClusterDenied, Event};
use skein_schema::kind::admission::{self, AdmissionRules, Admitted};
use skein_schema::kind::managed_cluster::ManagedCluster;
use skein_schema::kind::manifest_work::ManifestWork;
use skein_schema::kind::rbac;
use skein_schema::name::{ClusterName, Workspace};
use skein_schema::object::ObjectKey;
use skein_schema::resource::{KindName, Resource};

use super::{Context, Decision, EXCERPT, Gate, Subject, being_deleted, deny, protect};
use crate::access;
use crate::merge::Owners;
use crate::placement::Rules;
use crate::world::{ClusterRecord, World};
use crate::{pack, stamp, taint};

/// Longest name of a field manager, in characters (Kubernetes' limit).
const MANAGER_MAX: usize = 128;

/// An object as it is wanted.
pub(super) struct Wanted<'a> {
    /// Which object.
    pub(super) key: &'a ObjectKey,
    /// Its labels, annotations and spec, or what its kind has in place of one.
    pub(super) settable: Value,
    /// Who owns which of these.
    pub(super) owners: Owners,
    /// Who wants it.
    pub(super) manager: &'a str,
}

/// Refuses a field manager that is no name.
pub(super) fn check_manager(manager: &str) -> Result<(), Refusal> {
    let length = manager.chars().count();
    if length == 0 || length > MANAGER_MAX || manager.chars().any(char::is_control) {
        return Err(
            Refusal::new(Code::InvalidArgument, "the field manager is invalid").with_cause(
                "manager",
                format!("must have 1 to {MANAGER_MAX} printable characters"),
            ),
        );
    }
    Ok(())
}

/// Decides to record the object, unless it is as wanted already.
pub(super) fn decide(
    world: &World,
    wanted: Wanted<'_>,
    context: &Context<'_>,
    gate: &mut Gate<'_>,
) -> Result<Decision, Refusal> {
    let key = wanted.key;
    let old = world.get(key).map(|old| &**old);
    if old.is_some_and(|old| old.metadata().deletion_timestamp.is_some()) {
        return Err(being_deleted(key));
    }
    check_home(world, key)?;
    let resource = read(key, wanted.settable)?;
    match &resource {
        Resource::ManagedClusterSet(set) => protect::check_set(set)?,
        Resource::ClusterRole(_) => protect::check_role(key)?,
        Resource::Placement(placement) => {
            Rules::new(&placement.spec)
                .map_err(|errors| Refusal::of_fields(title(key), &errors))?;
        }
        _ => {}
    }
    let Admitted {
        mut resource,
        live_namespace,
        reviews,
    } = admission::admit(
        resource,
        old,
        &AdmissionRules::at(stamp::whole_seconds(context.now)),
    )
    .map_err(|errors| Refusal::of_fields(title(key), &errors))?;
    if let Some(namespace) = live_namespace {
        check_not_terminating(world, &namespace)?;
    }
    for review in reviews {
        gate.ask(review)?;
    }
    gate.check_grant(&resource, old)?;
    let warnings = warnings(world, &resource);

    let mut contents = Vec::new();
    match &mut resource {
        Resource::ManifestWork(work) => {
            check_sealed(world, key, work)?;
            contents = pack::pack(&mut work.spec);
        }
        Resource::ManagedCluster(cluster) if old.is_none() => add_hub_taints(cluster, context),
        _ => {}
    }
    complete(&mut resource, old, key, context);
    let entries = wanted.owners.to_entries(&key.kind.info().api_version());
    let owners_as_before =
        world.managed_fields(key) == Owners::text(entries.as_deref().unwrap_or_default());
    if old.is_some_and(|old| owners_as_before && is_same(old, &resource)) {
        return Ok(Decision {
            object: old.cloned(),
            contents: Vec::new(),
            warnings,
            ..Decision::unchanged(Subject::Object(key.clone()))
        });
    }
    let events = events(world, old, &resource, wanted.manager, entries, context);
    let change = if old.is_none() {
        Change::Created
    } else {
        Change::Configured
    };
    Ok(Decision {
        object: Some(resource),
        contents: new_contents(old, contents),
        warnings,
        ..Decision::new(Subject::Object(key.clone()), change, events)
    })
}

/// What the sender of a role or binding should know.
fn warnings(world: &World, resource: &Resource) -> Vec<String> {
    let mut warnings = rbac::warnings(resource);
    let role = match resource {
        Resource::RoleBinding(binding) => &binding.role_ref,
        Resource::ClusterRoleBinding(binding) => &binding.role_ref,
        _ => return warnings,
    };
    let objects = access::Objects::of(world);
    if objects.rules_of(role, resource.namespace()).is_none() {
        warnings.push(format!(
            "roleRef: {} {:?} does not exist; the binding gives nothing until it does",
            role.kind, role.name
        ));
    }
    warnings
}

/// Reads the merged parts as an object; this checks them once more and fills defaults in.
fn read(key: &ObjectKey, settable: Value) -> Result<Resource, Refusal> {
    let info = key.kind.info();
    let mut document = match settable {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let mut metadata = match document.remove("metadata") {
        Some(Value::Object(metadata)) => metadata,
        _ => Map::new(),
    };
    metadata.insert("name".to_owned(), json!(key.name));
    if let Some(workspace) = &key.workspace {
        metadata.insert("namespace".to_owned(), json!(workspace));
    }
    document.insert("metadata".to_owned(), Value::Object(metadata));
    document.insert("apiVersion".to_owned(), json!(info.api_version()));
    document.insert("kind".to_owned(), json!(info.kind));
    let decoded = decode::decode(Value::Object(document), Unknown::Refuse)
        .map_err(|errors| Refusal::of_fields(title(key), &errors))?;
    let mut resource = decoded.resource;
    if let Resource::Namespace(namespace) = &mut resource {
        // Finalizers of a Namespace; the hub has no use for them.
        namespace.spec = None;
    }
    Ok(resource)
}

/// `ManagedCluster "c1"`.
fn title(key: &ObjectKey) -> String {
    format!("{} {:?}", key.kind, key.name.as_str())
}

/// A namespaced object needs its namespace, and a work its cluster.
fn check_home(world: &World, key: &ObjectKey) -> Result<(), Refusal> {
    let Some(workspace) = &key.workspace else {
        return Ok(());
    };
    if key.kind == KindName::ManifestWork {
        return check_cluster_of_work(world, key, workspace);
    }
    let namespace = ObjectKey::workspace(workspace);
    match world.get(&namespace) {
        Some(found) if found.metadata().deletion_timestamp.is_some() => {
            Err(being_deleted(&namespace))
        }
        Some(_) => Ok(()),
        None => Err(Refusal::new(
            Code::NotFound,
            format!("namespace {:?} does not exist", workspace.as_str()),
        )
        .with_hint(format!(
            "apply it first: a Namespace of the name {workspace}, in the same file or before"
        ))),
    }
}

fn check_cluster_of_work(
    world: &World,
    key: &ObjectKey,
    workspace: &Workspace,
) -> Result<(), Refusal> {
    let cluster = ClusterName::new(workspace.as_str()).ok();
    let cluster = cluster.map(|cluster| ObjectKey::cluster(&cluster));
    let found = cluster.as_ref().and_then(|cluster| world.get(cluster));
    match (cluster, found) {
        (Some(cluster), Some(found)) if found.metadata().deletion_timestamp.is_some() => {
            Err(being_deleted(&cluster))
        }
        (Some(_), Some(_)) if world.get(&ObjectKey::workspace(workspace)).is_some() => Ok(()),
        (Some(_), Some(_)) => Err(Refusal::new(
            Code::NotFound,
            format!(
                "namespace {:?} does not exist: the cluster has not been accepted",
                workspace.as_str()
            ),
        )
        .with_hint(format!("skein accept {workspace}"))),
        _ => Err(Refusal::new(
            Code::NotFound,
            format!(
                "{key} has no cluster: there is no managed cluster {:?}",
                workspace.as_str()
            ),
        )
        .with_hint("a work's namespace is its cluster's name: skein get managedclusters")),
    }
}

fn check_not_terminating(world: &World, namespace: &str) -> Result<(), Refusal> {
    let Ok(workspace) = Workspace::new(namespace) else {
        return Ok(());
    };
    let key = ObjectKey::workspace(&workspace);
    match world.get(&key).map(|found| &**found) {
        Some(Resource::Namespace(found)) if found.is_terminating() => Err(being_deleted(&key)),
        _ => Ok(()),
    }
}

/// The hub never stores a Secret that anybody but its cluster could read.
fn check_sealed(world: &World, key: &ObjectKey, work: &ManifestWork) -> Result<(), Refusal> {
    let manifests = &work.spec.workload.manifests;
    let path = |index: usize| format!("spec.workload.manifests[{index}]");
    let open: Vec<_> = (0..manifests.len())
        .filter(|index| manifests[*index].has_open_secret())
        .collect();
    if !open.is_empty() {
        let refusal = Refusal::new(Code::NotSealed, format!("{} holds a Secret that anybody could read", title(key)))
            .with_hint("apply it with skein, which seals Secrets to the cluster's key before they leave the machine");
        return Err(open.into_iter().fold(refusal, |refusal, index| {
            refusal.with_cause(path(index), "must be sealed to the cluster's key")
        }));
    }
    let cluster = key
        .workspace
        .as_ref()
        .and_then(|workspace| ClusterName::new(workspace.as_str()).ok());
    let key_id = cluster.and_then(|cluster| sealing_key_id(world.cluster(&cluster)?));
    for (index, manifest) in manifests.iter().enumerate() {
        let Some(sealed) = manifest.sealed() else {
            continue;
        };
        if key_id.as_deref() != Some(sealed.recipient_key_id.as_str()) {
            return Err(Refusal::new(
                Code::NotSealed,
                format!("{} holds a Secret that its cluster cannot open", title(key)),
            )
            .with_cause(
                path(index),
                format!(
                    "is sealed to key {:?}, which is not the cluster's",
                    excerpt(&sealed.recipient_key_id, EXCERPT)
                ),
            )
            .with_hint(
                "apply the Secret itself again: skein seals it to the cluster's key of now",
            ));
        }
    }
    Ok(())
}

/// Id of the key that secrets for a cluster are sealed to: the first 16 hexadecimal digits of the
/// SHA-256 of its 32 bytes.
fn sealing_key_id(record: &ClusterRecord) -> Option<String> {
    let key = record.keys.as_ref()?.sealing_key.as_ref()?;
    let raw = data_encoding::BASE64.decode(key.as_bytes()).ok()?;
    Some(Digest::of(&raw).to_string().chars().take(16).collect())
}

/// A cluster that was never heard of is unreachable from its first moment on, so that nothing is
/// placed on it before it can be worked with.
pub(crate) fn add_hub_taints(cluster: &mut ManagedCluster, context: &Context<'_>) {
    let now = stamp::whole_seconds(context.now);
    if let Some(taints) = taint::taints_by_availability(cluster, now) {
        cluster.spec.taints = taints;
    }
}

/// Sets what the hub sets: uid, generation, creation time.
pub(crate) fn complete(
    resource: &mut Resource,
    old: Option<&Resource>,
    key: &ObjectKey,
    context: &Context<'_>,
) {
    let generation = match old {
        None => 1,
        Some(old) => {
            let changed = old.spec_value() != resource.spec_value();
            old.metadata().generation.unwrap_or(1) + i64::from(changed)
        }
    };
    let (labels, annotations) = {
        let metadata = resource.metadata_mut();
        (metadata.labels.take(), metadata.annotations.take())
    };
    let base = match old {
        Some(old) => old.metadata().clone(),
        None => ObjectMeta {
            creation_timestamp: Some(stamp::kubernetes_time(context.now)),
            uid: Some(stamp::uid_of(context.command, key).to_string()),
            ..ObjectMeta::default()
        },
    };
    *resource.metadata_mut() = ObjectMeta {
        name: Some(key.name.to_string()),
        namespace: key.workspace.as_ref().map(ToString::to_string),
        labels: labels.filter(|labels| !labels.is_empty()),
        annotations: annotations.filter(|annotations| !annotations.is_empty()),
        generation: Some(generation),
        resource_version: None,
        managed_fields: None,
        ..base
    };
}

/// Whether two versions differ in nothing but their resourceVersion.
fn is_same(old: &Resource, new: &Resource) -> bool {
    let mut new = new.clone();
    new.metadata_mut()
        .resource_version
        .clone_from(&old.metadata().resource_version);
    *old == new
}

fn events(
    world: &World,
    old: Option<&Resource>,
    resource: &Resource,
    manager: &str,
    entries: Option<Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry>>,
    context: &Context<'_>,
) -> Vec<Event> {
    let mut stored = resource.clone();
    stored.metadata_mut().managed_fields = entries;
    let mut events = vec![Event::Applied(Box::new(Applied {
        resource: stored,
        manager: manager.to_owned(),
    }))];
    if let Resource::ManagedCluster(cluster) = resource
        && let Ok(name) = ClusterName::new(resource.name())
    {
        let was = matches!(old, Some(Resource::ManagedCluster(old)) if old.spec.hub_accepts_client);
        match (was, cluster.spec.hub_accepts_client) {
            (false, true) => events.extend(super::acceptance(world, &name, false, context)),
            (true, false) => {
                events.push(Event::ClusterDenied(ClusterDenied {
                    cluster: name.clone(),
                }));
                events.extend(deny::revocations(world, &name));
            }
            _ => {}
        }
    }
    events
}

/// Contents that the object did not name before.
fn new_contents(
    old: Option<&Resource>,
    contents: Vec<(Digest, Vec<u8>)>,
) -> Vec<(Digest, Vec<u8>)> {
    let Some(Resource::ManifestWork(old)) = old else {
        return contents;
    };
    let known: Vec<_> = old
        .spec
        .workload
        .manifests
        .iter()
        .filter_map(|manifest| manifest.content())
        .collect();
    let is_new = |digest: &Digest| {
        known
            .iter()
            .all(|content| content.digest != digest.to_string())
    };
    contents
        .into_iter()
        .filter(|(digest, _)| is_new(digest))
        .collect()
}
