//! What one actor may do in one world, and how a refusal tells it.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use skein_schema::code::{Code, Refusal};
use skein_schema::envelope::Actor;
use skein_schema::kind::admission::Review;
use skein_schema::resource::Resource;

use super::grant;
use super::objects::Objects;
use super::ready::{Members, PLAIN, SetRole};
use super::rules::{Because, Identity, Rules, Verdict, allowed_by};
use crate::world::World;

/// An actor in a world. Rules are looked up when they are first needed: neither hubs nor the user
/// `admin` ever need them.
#[derive(Debug)]
pub struct Access<'a> {
    actor: &'a Actor,
    world: &'a World,
    identity: Option<Identity>,
    rules: OnceCell<Rules>,
}

impl<'a> Access<'a> {
    /// What `actor` may do in `world`.
    #[must_use]
    pub fn new(world: &'a World, actor: &'a Actor) -> Self {
        let identity = match actor {
            Actor::User(user) => Some(Identity::of(user)),
            Actor::Hub(_) | Actor::Cluster(_) | Actor::Token(_) => None,
        };
        Self {
            actor,
            world,
            identity,
            rules: OnceCell::new(),
        }
    }

    /// Whether the actor has a permission. Hubs act of their own accord; agents and holders of
    /// tokens have none: what they may do, the bus decides.
    #[must_use]
    pub fn verdict(&self, review: &Review) -> Verdict {
        match (&self.identity, self.actor) {
            (Some(identity), _) if identity.is_master() => Verdict::Allowed(Because::Master),
            (Some(identity), _) => self.rules(identity).allows(identity, review),
            (None, Actor::Hub(_)) => Verdict::Allowed(Because::Master),
            (None, _) => Verdict::Denied,
        }
    }

    /// Refuses what the actor has no permission for.
    ///
    /// # Errors
    /// [`Code::Forbidden`], naming the permission.
    pub fn check(&self, review: &Review) -> Result<(), Refusal> {
        if self.verdict(review).is_allowed() {
            Ok(())
        } else {
            Err(forbidden(self.actor, review))
        }
    }

    /// Refuses a role or binding that gives what the actor does not have ([`grant::check`]).
    ///
    /// # Errors
    /// As [`grant::check`].
    pub fn check_grant(&self, new: &Resource, old: Option<&Resource>) -> Result<(), Refusal> {
        let gives = matches!(
            new,
            Resource::Role(_)
                | Resource::ClusterRole(_)
                | Resource::RoleBinding(_)
                | Resource::ClusterRoleBinding(_)
        );
        match &self.identity {
            Some(identity) if gives && !identity.is_master() => {
                let objects = Objects::of(self.world);
                grant::check(&objects, self.rules(identity), identity, new, old)
            }
            _ => Ok(()),
        }
    }

    /// The user's identity and rules; `None` if rules do not matter to the actor.
    pub(super) fn ruled(&self) -> Option<(&Identity, &Rules)> {
        let identity = self.identity.as_ref()?;
        (!identity.is_master()).then(|| (identity, self.rules(identity)))
    }

    fn rules(&self, identity: &Identity) -> &Rules {
        self.rules
            .get_or_init(|| Rules::about(&Objects::about(self.world, identity), identity))
    }
}

/// The refusal of what an actor has no permission for.
fn forbidden(actor: &Actor, review: &Review) -> Refusal {
    let Review {
        group,
        resource,
        subresource,
        verb,
        namespace,
        name,
    } = review;
    let mut what = resource.clone();
    if !subresource.is_empty() {
        what = format!("{what}/{subresource}");
    }
    if !group.is_empty() {
        what = format!("{what}.{group}");
    }
    if !name.is_empty() {
        what = format!("{what} {name:?}");
    }
    if !namespace.is_empty() {
        what = format!("{what} in namespace {namespace:?}");
    }
    let refusal = Refusal::new(Code::Forbidden, format!("{actor} may not {verb} {what}"));
    match (actor, role_for(review)) {
        (Actor::User(_), Some(role)) => {
            refusal.with_hint(format!("ask an administrator to do it, or for {role}"))
        }
        _ => refusal.with_hint("ask an administrator to do it"),
    }
}

/// The least ready-made role that would allow something, in words. It is told from the question
/// alone: who may not see an object is not told whether there is one, or in which set it is.
fn role_for(review: &Review) -> Option<String> {
    let in_namespace = if review.resource == "namespaces" {
        &review.name
    } else {
        &review.namespace
    };
    if !in_namespace.is_empty() {
        // From the least on: each has the rules of those before it.
        let mut plain = ["view", "edit", "admin"].into_iter();
        let found = plain.find(|name| {
            let mut known = PLAIN.iter();
            let role = known.find(|plain| plain.name == *name);
            role.is_some_and(|role| allowed_by(&role.rules(), review))
        });
        return found.map(|role| format!("clusterrole {role} in namespace {in_namespace:?}"));
    }
    if review.name.is_empty() {
        return None;
    }
    let itself = Members::These(BTreeSet::from([review.name.clone()]));
    let mut roles = [SetRole::View, SetRole::Bind, SetRole::Admin].into_iter();
    let of_set = review.resource == "managedclustersets";
    roles.find_map(|role| {
        let set = if of_set { review.name.as_str() } else { "" };
        allowed_by(&role.rules(set, &itself), review).then(|| {
            if of_set {
                format!("clusterrole {}", role.name(set))
            } else {
                format!("clusterrole {} of the cluster's set", role.name("<set>"))
            }
        })
    })
}
