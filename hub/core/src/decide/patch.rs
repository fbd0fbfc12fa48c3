//! Patch: some fields are to be as given.

use serde_json::Value;
use skein_schema::code::{Code, Refusal, excerpt};
use skein_schema::command::Precondition;
use skein_schema::object::ObjectKey;

use super::{Context, Decision, EXCERPT, Gate, check_precondition, not_found, store};
use crate::access;
use crate::merge::{self, Owners};
use crate::world::World;

/// The command's parts.
pub(super) struct Patch<'a> {
    pub(super) key: &'a ObjectKey,
    pub(super) patch: &'a Value,
    pub(super) manager: &'a str,
    pub(super) precondition: Precondition,
}

pub(super) fn decide(
    world: &World,
    patch: &Patch<'_>,
    context: &Context<'_>,
    gate: &mut Gate<'_>,
) -> Result<Decision, Refusal> {
    let key = patch.key;
    gate.ask(access::on_object("patch", key))?;
    check_reach(key, patch.patch)?;
    store::check_manager(patch.manager)?;
    let old = world.get(key);
    check_precondition(patch.precondition, key, old.map(|old| &**old))?;
    let old = old.ok_or_else(|| not_found(key))?;

    let live = merge::settable(&old.to_value());
    let mut owners = Owners::parse(world.managed_fields(key));
    let merged = merge::patch(&live, patch.patch, patch.manager, &mut owners);
    let wanted = store::Wanted {
        key,
        settable: merged,
        owners,
        manager: patch.manager,
    };
    store::decide(world, wanted, context, gate)
}

/// A patch may touch labels, annotations and spec, or what the kind has in place of one, and
/// nothing else.
fn check_reach(key: &ObjectKey, patch: &Value) -> Result<(), Refusal> {
    let fields: Vec<_> = merge::settable_fields(key.kind.info()).collect();
    let refuse = |path: &str, message: &str| {
        Err(
            Refusal::new(Code::InvalidField, format!("the patch of {key} is invalid"))
                .with_cause(excerpt(path, EXCERPT), message),
        )
    };
    let reach = match fields.split_last() {
        None => "labels and annotations".to_owned(),
        Some((last, [])) => format!("labels, annotations and {last}"),
        Some((last, before)) => format!("labels, annotations, {} and {last}", before.join(", ")),
    };
    let reach = format!("a patch may touch {reach}");
    let Value::Object(members) = patch else {
        return refuse("", "must be an object");
    };
    for (name, value) in members {
        match (name.as_str(), value) {
            ("metadata", Value::Object(metadata)) => {
                let other = metadata
                    .iter()
                    .find(|(name, _)| !matches!(name.as_str(), "labels" | "annotations"));
                if let Some((name, _)) = other {
                    return refuse(&format!("metadata.{name}"), &reach);
                }
            }
            ("metadata", _) => return refuse(name, "must be an object"),
            (field, _) if !fields.contains(&field) => return refuse(name, &reach),
            ("spec" | "status", Value::Object(_)) => {}
            ("spec" | "status", _) => return refuse(name, "must be an object"),
            _ => {}
        }
    }
    Ok(())
}
