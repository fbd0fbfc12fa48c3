//! Apply: the object is to be as the document says.

use serde_json::Value;
use skein_schema::code::{Code, Refusal, excerpt};
use skein_schema::command::{FieldValidation, Precondition};
use skein_schema::decode::{self, Decoded, Unknown};
use skein_schema::name::NameError;
use skein_schema::object::ObjectKey;
use skein_schema::resource::Resource;

use super::{Context, Decision, EXCERPT, Gate, check_precondition, store};
use crate::access;
use crate::merge::{self, Owners};
use crate::world::World;

/// The command's parts.
pub(super) struct Apply<'a> {
    pub(super) document: &'a Value,
    pub(super) manager: &'a str,
    pub(super) precondition: Precondition,
    pub(super) validation: FieldValidation,
}

pub(super) fn decide(
    world: &World,
    apply: &Apply<'_>,
    context: &Context<'_>,
    gate: &mut Gate<'_>,
) -> Result<Decision, Refusal> {
    // A document that names no object of ours can be refused before permission is asked: it tells
    // nothing about what exists.
    let named = access::on_document("patch", apply.document);
    if let Some(review) = named {
        gate.ask(review)?;
    }
    let unknown = match apply.validation {
        FieldValidation::Strict => Unknown::Refuse,
        FieldValidation::Warn => Unknown::Warn,
        FieldValidation::Ignore => Unknown::Ignore,
    };
    let Decoded { resource, warnings } = decode::decode(apply.document.clone(), unknown)
        .map_err(|errors| Refusal::of_fields(name_of(apply.document), &errors))?;
    let key = ObjectKey::of(&resource).map_err(|error| misnamed(&resource, &error))?;
    store::check_manager(apply.manager)?;

    let old = world.get(&key);
    check_precondition(apply.precondition, &key, old.map(|old| &**old))?;
    check_identity(&key, &resource, old.map(|old| &**old))?;
    if old.is_none() {
        gate.ask(access::on_object("create", &key))?;
    }

    let mut warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    warnings.extend(unused_metadata(&resource));
    let decoded = merge::settable(&resource.to_value());
    let intent = merge::intent(apply.document, &decoded);
    let live = old.map_or_else(
        || Value::Object(serde_json::Map::new()),
        |old| merge::settable(&old.to_value()),
    );
    let mut owners = Owners::parse(world.managed_fields(&key));
    let merged = merge::apply(&live, &intent, apply.manager, &mut owners);
    let wanted = store::Wanted {
        key: &key,
        settable: merged,
        owners,
        manager: apply.manager,
    };
    let decision = store::decide(world, wanted, context, gate)?;
    warnings.extend(decision.warnings);
    Ok(Decision {
        warnings,
        ..decision
    })
}

/// The document as it is named in a refusal, e.g. `ManagedCluster "c1"`.
fn name_of(document: &Value) -> String {
    let text = |value: Option<&Value>| {
        let text = value.and_then(Value::as_str)?;
        Some(text.chars().take(80).collect::<String>())
    };
    let kind = text(document.get("kind")).unwrap_or_else(|| "the document".to_owned());
    match text(document.pointer("/metadata/name")) {
        Some(name) => format!("{kind} {name:?}"),
        None => kind,
    }
}

fn misnamed(resource: &Resource, error: &NameError) -> Refusal {
    let what = format!("{} {:?}", resource.kind().kind, resource.name());
    Refusal::new(Code::InvalidName, format!("{what} is invalid"))
        .with_cause("metadata.name", error.to_string())
}

/// A document that was read before may say which object it means: then it must be that one, and
/// unchanged.
fn check_identity(
    key: &ObjectKey,
    document: &Resource,
    old: Option<&Resource>,
) -> Result<(), Refusal> {
    let said = document.metadata();
    if let Some(uid) = said.uid.as_deref().filter(|uid| !uid.is_empty())
        && old.is_none_or(|old| old.metadata().uid.as_deref() != Some(uid))
    {
        let message = format!("{key} with uid {} does not exist", excerpt(uid, EXCERPT));
        return Err(Refusal::new(Code::Conflict, message).with_hint(
            "it was deleted and made anew; leave metadata.uid out to mean the new one",
        ));
    }
    match said.resource_version.as_deref() {
        None | Some("" | "0") => Ok(()),
        Some(version) => match version.parse() {
            Ok(version) => check_precondition(Precondition::ResourceVersion(version), key, old),
            Err(_) => Err(
                Refusal::new(Code::InvalidField, format!("{key} is invalid"))
                    .with_cause("metadata.resourceVersion", "must be a ledger sequence"),
            ),
        },
    }
}

/// What Kubernetes would keep and Skein has no use for.
fn unused_metadata(resource: &Resource) -> Vec<String> {
    let metadata = resource.metadata();
    let mut warnings = Vec::new();
    if metadata
        .finalizers
        .as_ref()
        .is_some_and(|all| !all.is_empty())
    {
        warnings.push(
            "metadata.finalizers: not kept; the hub waits for the agent by itself".to_owned(),
        );
    }
    if metadata
        .owner_references
        .as_ref()
        .is_some_and(|all| !all.is_empty())
    {
        warnings.push(
            "metadata.ownerReferences: not kept; objects on the hub have no owners".to_owned(),
        );
    }
    warnings
}
