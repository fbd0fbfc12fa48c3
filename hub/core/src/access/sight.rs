//! What of an answer its asker may see.
//!
//! A list needs the verb `list` on all that it spans. Who has it only in some namespaces, or only
//! for some names, say for the clusters of a set, gets those: the answer is cut down instead of
//! refused. Who could see nothing at all is refused, so that an empty answer never stands for a
//! missing right.

use skein_schema::code::Refusal;
use skein_schema::envelope::Actor;
use skein_schema::name::ObjectName;
use skein_schema::object::ObjectKey;
use skein_schema::query::{EventFilter, Query};

use super::check::Access;
use super::rules::{Identity, Rules};
use super::{of_query, on_kind, on_object, on_skein};
use crate::world::World;

/// Whether a user may do `verb` to an object: `get`, `list` or `watch`; for events about it, `get`.
#[must_use]
pub fn visible(rules: &Rules, identity: &Identity, verb: &str, key: &ObjectKey) -> bool {
    rules.allows(identity, &on_object(verb, key)).is_allowed()
}

/// What of an answer its asker may see. It is as of the world that it was made for.
#[derive(Debug, Clone, PartialEq)]
pub struct Sight(Option<Limit>);

#[derive(Debug, Clone, PartialEq)]
struct Limit {
    identity: Identity,
    rules: Rules,
    verb: &'static str,
}

impl Sight {
    /// All of it.
    #[must_use]
    pub fn everything() -> Self {
        Self(None)
    }

    /// Whether nothing is kept back.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0.is_none()
    }

    /// Whether it may be told about this object.
    #[must_use]
    pub fn sees(&self, key: &ObjectKey) -> bool {
        self.0
            .as_ref()
            .is_none_or(|limit| visible(&limit.rules, &limit.identity, limit.verb, key))
    }

    /// Whether it may be told about an event: one about no object is for those who see everything.
    #[must_use]
    pub fn sees_event(&self, about: Option<&ObjectKey>) -> bool {
        self.0.is_none() || about.is_some_and(|key| self.sees(key))
    }
}

/// What `actor` may see of the answer to a question.
///
/// # Errors
/// [`skein_schema::code::Code::Forbidden`], naming the permission that would let them see all of it,
/// if they may see nothing.
pub fn sight(world: &World, actor: &Actor, query: &Query) -> Result<Sight, Refusal> {
    let access = Access::new(world, actor);
    let Err(refusal) = access.check(&of_query(query)) else {
        return Ok(Sight::everything());
    };
    let Some((identity, rules)) = access.ruled() else {
        return Err(refusal);
    };
    let Some(verb) = partial(query, identity, rules) else {
        return Err(refusal);
    };
    Ok(Sight(Some(Limit {
        identity: identity.clone(),
        rules: rules.clone(),
        verb,
    })))
}

/// The verb that each object of an answer needs, if the user may see some of it.
fn partial(query: &Query, identity: &Identity, rules: &Rules) -> Option<&'static str> {
    match query {
        Query::Get(selection) | Query::Watch(selection) => {
            let verb = match (query, &selection.name) {
                (Query::Watch(_), _) => "watch",
                (_, Some(_)) => "get",
                (_, None) => "list",
            };
            let name = selection.name.as_ref().map(ObjectName::as_str);
            let review = on_kind(verb, selection.kind, selection.workspace.as_ref(), name);
            // One object is answered as a whole or not at all. Without its namespace it may be
            // several.
            let one = name.is_some()
                && (selection.workspace.is_some() || !selection.kind.info().namespaced());
            (!one && rules.might_allow(identity, &review)).then_some(verb)
        }
        Query::Events(EventFilter {
            kind: Some(kind),
            workspace,
            name,
            ..
        }) => {
            let name = name.as_ref().map(ObjectName::as_str);
            let review = on_kind("get", *kind, workspace.as_ref(), name);
            rules.might_allow(identity, &review).then_some("get")
        }
        // Of any kind: whoever may follow some objects names their kind, or asks for this right.
        Query::Events(_) | Query::Diff { kind: None, .. } => {
            let review = on_skein("get", "events", "");
            rules
                .allows(identity, &review)
                .is_allowed()
                .then_some("get")
        }
        Query::Diff {
            kind: Some(kind),
            workspace,
            ..
        } => {
            let review = on_kind("get", *kind, workspace.as_ref(), None);
            rules.might_allow(identity, &review).then_some("get")
        }
        Query::SealingKey { .. } | Query::Tokens | Query::Health => None,
    }
}
