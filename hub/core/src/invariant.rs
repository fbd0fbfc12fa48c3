//! What holds in every world that came about by decisions, whoever made them and in whatever
//! order. Checked by the property tests, and by an operator's `doctor`.

use std::collections::BTreeSet;

use skein_schema::kind::manifest::Manifest;
use skein_schema::name::ClusterName;
use skein_schema::object::ObjectKey;
use skein_schema::resource::{KindName, Resource};

use crate::clusterset::SetMembership;
use crate::decide::always_there;
use crate::world::{World, uid};

/// A rule that a world breaks, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// What it is about, e.g. `managedclusters/c1`.
    pub subject: String,
    /// The rule.
    pub rule: &'static str,
}

/// Every rule that the world breaks; none, if all is well.
#[must_use]
pub fn check(world: &World) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut must = |holds: bool, subject: &dyn std::fmt::Display, rule: &'static str| {
        if !holds {
            let subject = subject.to_string();
            breaches.push(Breach { subject, rule });
        }
    };
    let mut uids = BTreeSet::new();
    for (key, resource) in world.objects() {
        let metadata = resource.metadata();
        must(
            ObjectKey::of(resource).as_ref() == Ok(key),
            key,
            "an object stands under its own name",
        );
        let version = metadata
            .resource_version
            .as_deref()
            .and_then(|text| text.parse::<u64>().ok());
        must(
            version.is_some_and(|version| version > 0 && version <= world.sequence()),
            key,
            "a resourceVersion is a sequence that the ledger has reached",
        );
        must(
            metadata.generation.is_some_and(|generation| generation > 0),
            key,
            "a generation begins at 1",
        );
        must(
            uid(resource).is_some_and(|uid| uids.insert(uid)),
            key,
            "a uid is there and no other object has it",
        );
        must(
            metadata.creation_timestamp.is_some(),
            key,
            "it is known when an object was made",
        );
        must(
            metadata.managed_fields.is_none(),
            key,
            "owners of fields stand beside the object",
        );
        if let Some(workspace) = &key.workspace {
            must(
                world.get(&ObjectKey::workspace(workspace)).is_some(),
                key,
                "a namespaced object has its namespace",
            );
        }
        check_kind(world, key, resource, &mut must);
    }
    check_clusters(world, &mut must);
    check_tokens(world, &mut must);
    check_sets(world, &mut must);
    breaches
}

type Must<'a> = dyn FnMut(bool, &dyn std::fmt::Display, &'static str) + 'a;

/// What only holds for some kinds.
fn check_kind(world: &World, key: &ObjectKey, resource: &Resource, must: &mut Must<'_>) {
    match resource {
        Resource::ManifestWork(work) => {
            let cluster = key
                .workspace
                .as_ref()
                .and_then(|name| ClusterName::new(name).ok());
            must(
                cluster.is_some_and(|name| world.cluster(&name).is_some()),
                key,
                "a work is on a cluster",
            );
            let open = work
                .spec
                .workload
                .manifests
                .iter()
                .any(Manifest::has_open_secret);
            must(!open, key, "no Secret lies open");
        }
        Resource::ManagedCluster(_) => {
            let name = ClusterName::new(&key.name).ok();
            must(
                name.is_some_and(|name| world.cluster(&name).is_some()),
                key,
                "a cluster has a record",
            );
        }
        _ => {}
    }
}

fn check_clusters(world: &World, must: &mut Must<'_>) {
    let mut nkeys = BTreeSet::new();
    for (name, record) in world.clusters() {
        let key = ObjectKey::cluster(name);
        let object = match world.get(&key).map(|found| &**found) {
            Some(Resource::ManagedCluster(object)) => Some(object),
            _ => None,
        };
        must(object.is_some(), &key, "a record has its cluster");
        let Some(object) = object else { continue };
        if let Some(keys) = &record.keys {
            must(
                nkeys.insert(keys.nkey.clone()),
                &key,
                "a key is one cluster's",
            );
        }
        if let Some(credential) = &record.credential {
            must(
                object.spec.hub_accepts_client,
                &key,
                "only an accepted cluster has a credential",
            );
            let ours = record
                .keys
                .as_ref()
                .is_some_and(|keys| keys.nkey == credential.nkey);
            must(ours, &key, "a credential is for the cluster's key");
        }
        let opinion = record.opinion.is_some_and(|opinion| opinion.accepted);
        must(
            !object.spec.hub_accepts_client || opinion,
            &key,
            "an accepted cluster was accepted by an event",
        );
    }
}

fn check_tokens(world: &World, must: &mut Must<'_>) {
    for (name, token) in world.tokens() {
        let subject = format!("tokens/{name}");
        must(
            token.used() <= token.grant.uses,
            &subject,
            "a token is not used more often than it may be",
        );
        if let Some(bound) = &token.grant.cluster {
            let only = token.clusters.iter().all(|cluster| cluster == bound);
            must(
                only,
                &subject,
                "a token for one cluster is used by no other",
            );
        }
        if token.revoked {
            let void = world.revocations().contains_key(&token.grant.public_key)
                || token.grant.expires_at < world.time();
            must(void, &subject, "a revoked token's key is void");
        }
    }
}

fn check_sets(world: &World, must: &mut Must<'_>) {
    // They are the first objects of a ledger; before all of them are there nothing else is.
    let wanted: Vec<_> = always_there()
        .iter()
        .filter_map(|resource| ObjectKey::of(resource).ok())
        .collect();
    let others = world.objects().any(|(key, _)| !wanted.contains(key));
    for key in &wanted {
        must(
            !others || world.get(key).is_some(),
            key,
            "it is always there",
        );
    }
    for (key, resource) in world.iter(KindName::ManagedClusterSet) {
        let Resource::ManagedClusterSet(set) = &**resource else {
            continue;
        };
        let none = std::collections::BTreeMap::new();
        let members = SetMembership::new(set).map_or(0, |rule| {
            let clusters = world.iter(KindName::ManagedCluster);
            clusters
                .filter(|(_, cluster)| {
                    rule.contains(cluster.metadata().labels.as_ref().unwrap_or(&none))
                })
                .count()
        });
        let counted = world
            .clusterset(&key.name)
            .map(|record| record.members as usize);
        must(
            counted == Some(members),
            key,
            "a set's clusters are counted",
        );
    }
}
