//! Who may do what, asked before every decision and every answer.
//!
//! The rules are Kubernetes' RBAC: roles and bindings are objects of the world, and this is one pure
//! function of them. Two things are not up to rules: members of `system:masters`, which is the user
//! `admin`, may do everything, and hubs act of their own accord. Roles for clustersets and
//! workspaces are there without being stored ([`ready`]).

mod check;
pub mod cover;
pub mod grant;
mod objects;
pub mod ready;
mod rules;
mod sight;

#[cfg(test)]
mod tests;

pub use check::Access;
pub use objects::Objects;
pub use rules::{Because, Identity, Rules, Verdict};
pub use sight::{Sight, sight, visible};

use skein_schema::code::Refusal;
use skein_schema::command::Command;
use skein_schema::envelope::Actor;
use skein_schema::kind::admission::Review;
use skein_schema::name::{ObjectName, TokenName, Workspace};
use skein_schema::object::ObjectKey;
use skein_schema::query::Query;
use skein_schema::resource::KindName;

use crate::world::World;

/// API group of what Skein has and Kubernetes and OCM do not: join tokens, the ledger's events.
pub const SKEIN_GROUP: &str = "skein.dev";

/// Whether `actor` has a permission by the rules of a world. For several questions about one actor,
/// [`Access`] looks the rules up once.
///
/// # Errors
/// [`skein_schema::code::Code::Forbidden`], naming the permission.
pub fn authorize(world: &World, actor: &Actor, review: &Review) -> Result<(), Refusal> {
    Access::new(world, actor).check(review)
}

/// The permission to do `verb` to an object.
#[must_use]
pub fn on_object(verb: &str, key: &ObjectKey) -> Review {
    on_kind(
        verb,
        key.kind,
        key.workspace.as_ref(),
        Some(key.name.as_str()),
    )
}

/// The permission to do `verb` to objects of a kind, in one workspace or in all, of one name or of
/// any.
#[must_use]
pub fn on_kind(
    verb: &str,
    kind: KindName,
    workspace: Option<&Workspace>,
    name: Option<&str>,
) -> Review {
    let info = kind.info();
    Review {
        group: info.group.to_owned(),
        resource: info.plural.to_owned(),
        subresource: String::new(),
        verb: verb.to_owned(),
        namespace: workspace.map_or_else(String::new, ToString::to_string),
        name: name.unwrap_or_default().to_owned(),
    }
}

/// The permission to do `verb` to something that only Skein has.
#[must_use]
pub fn on_skein(verb: &str, resource: &str, name: &str) -> Review {
    Review {
        group: SKEIN_GROUP.to_owned(),
        resource: resource.to_owned(),
        subresource: String::new(),
        verb: verb.to_owned(),
        namespace: String::new(),
        name: name.to_owned(),
    }
}

/// The permission to let a cluster in or shut it out (OCM's virtual subresource); with an empty
/// name, any cluster.
#[must_use]
pub fn on_accept(cluster: &str) -> Review {
    Review {
        group: "register.open-cluster-management.io".to_owned(),
        resource: "managedclusters".to_owned(),
        subresource: "accept".to_owned(),
        verb: "update".to_owned(),
        namespace: String::new(),
        name: cluster.to_owned(),
    }
}

/// The permission to put clusters into a set (OCM's virtual subresource).
#[must_use]
pub fn on_join(set: &ObjectName) -> Review {
    Review {
        subresource: "join".to_owned(),
        ..on_kind(
            "create",
            KindName::ManagedClusterSet,
            None,
            Some(set.as_str()),
        )
    }
}

/// The permission to do `verb` to a join token.
#[must_use]
pub fn on_token(verb: &str, token: &TokenName) -> Review {
    on_skein(verb, "tokens", token.as_str())
}

/// The permission that a question needs.
#[must_use]
pub fn of_query(query: &Query) -> Review {
    match query {
        Query::Get(selection) | Query::Watch(selection) => {
            let verb = match (query, &selection.name) {
                (Query::Watch(_), _) => "watch",
                (_, Some(_)) => "get",
                (_, None) => "list",
            };
            let name = selection.name.as_ref().map(ObjectName::as_str);
            on_kind(verb, selection.kind, selection.workspace.as_ref(), name)
        }
        Query::Events(filter) => on_skein(
            if filter.follow { "watch" } else { "list" },
            "events",
            filter.name.as_ref().map_or("", ObjectName::as_str),
        ),
        Query::Diff { .. } => on_skein("list", "events", ""),
        Query::SealingKey { cluster } => Review {
            subresource: "sealingkey".to_owned(),
            ..on_object("get", &ObjectKey::cluster(cluster))
        },
        Query::Tokens => on_skein("list", "tokens", ""),
        Query::Health => on_skein("get", "health", ""),
    }
}

/// The object that a command is about, as far as it can be told without deciding it.
#[must_use]
pub fn object_of(command: &Command) -> Option<ObjectKey> {
    match command {
        Command::Apply { resource, .. } => key_of_document(resource),
        Command::Patch { key, .. } | Command::Delete { key, .. } => Some(key.clone()),
        Command::Accept { cluster } | Command::Deny { cluster } => {
            Some(ObjectKey::cluster(cluster))
        }
        Command::CreateToken(_) | Command::RevokeToken { .. } => None,
    }
}

/// The permission to do `verb` to the object that a document names, if it names a kind of ours.
#[must_use]
pub fn on_document(verb: &str, document: &serde_json::Value) -> Option<Review> {
    let text = |path: &str| document.pointer(path)?.as_str();
    let kind = skein_schema::kind::lookup(text("/apiVersion")?, text("/kind")?).ok()?;
    // Cut, since what is asked for is shown to people; names are checked when it is decoded.
    let cut = |text: Option<&str>| text.unwrap_or_default().chars().take(253).collect();
    Some(Review {
        namespace: cut(text("/metadata/namespace").filter(|_| kind.namespaced())),
        name: cut(text("/metadata/name")),
        ..on_kind(verb, kind.name, None, None)
    })
}

/// The key that a document names, if it names one at all.
fn key_of_document(document: &serde_json::Value) -> Option<ObjectKey> {
    let text = |value: &serde_json::Value, name: &str| Some(value.get(name)?.as_str()?.to_owned());
    let kind = text(document, "kind")?;
    let info = skein_schema::kind::lookup(&text(document, "apiVersion")?, &kind).ok()?;
    let metadata = document.get("metadata")?;
    let workspace = match text(metadata, "namespace") {
        Some(workspace) if info.namespaced() => Some(Workspace::new(workspace).ok()?),
        None if info.namespaced() => return None,
        _ => None,
    };
    Some(ObjectKey {
        kind: info.name,
        workspace,
        name: ObjectName::new(text(metadata, "name")?).ok()?,
    })
}
