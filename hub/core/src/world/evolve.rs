//! One record, folded in. Never fails: what was recorded has happened. An event about an object
//! that is not there changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use skein_schema::command::Change;
use skein_schema::envelope::Actor;
use skein_schema::event::{
    Applied, AvailabilityChanged, ClockChanged, ClusterJoinRequested, CommandRefused,
    CredentialIssued, CredentialRevoked, Deleted, DeletionRequested, Event, PlacementDecided,
};
use skein_schema::kind::managed_cluster::ManagedCluster;
use skein_schema::name::{ClusterName, TokenName};
use skein_schema::object::ObjectKey;
use skein_schema::resource::{KindName, Resource};

use super::cluster::{
    AgentKeyRecord, AvailabilityRecord, ClockRecord, ClusterRecord, CredentialRecord, Opinion,
    PendingJoin,
};
use super::decision;
use super::membership::Labels;
use super::outcome::{CommandOutcome, Outcome};
use super::{Changes, Entry, TokenRecord, World};
use crate::join::CREDENTIAL_LIFE_HOURS;
use crate::ledger::Stored;
use crate::merge::Owners;
use crate::stamp;

impl World {
    /// Folds a record in and says what it changed. A record that was folded in already changes
    /// nothing.
    pub fn evolve(&mut self, stored: &Stored) -> Changes {
        if stored.sequence <= self.sequence {
            return Changes::default();
        }
        let outcome = self.outcome_of(stored);
        self.sequence = stored.sequence;
        self.time = stored.time;
        let mut fold = Fold {
            world: self,
            stored,
            before: BTreeMap::new(),
        };
        for event in &stored.record.events {
            fold.event(event);
        }
        let before = fold.finish();
        if let (Some(command), Some(outcome)) = (stored.envelope.command_id, outcome) {
            let outcome = CommandOutcome {
                sequence: stored.sequence,
                actor: stored.envelope.actor.clone(),
                outcome,
            };
            self.outcomes.insert(command, outcome, stored.time);
        }
        self.outcomes
            .prune(stored.time, Self::OUTCOMES_KEPT_SECONDS);
        self.gone.prune(stored.time, Self::OUTCOMES_KEPT_SECONDS);
        Changes {
            touched: before.keys().cloned().collect(),
            before,
        }
    }

    /// What became of the user's command that a record is about, seen from before it.
    fn outcome_of(&self, stored: &Stored) -> Option<Outcome> {
        if !matches!(stored.envelope.actor, Actor::User(_)) {
            return None;
        }
        stored.record.events.iter().find_map(|event| {
            let change = match event {
                Event::Applied(applied) => {
                    let key = ObjectKey::of(&applied.resource).ok()?;
                    if self.objects.contains_key(&key) {
                        Change::Configured
                    } else {
                        Change::Created
                    }
                }
                Event::DeletionRequested(_) => Change::Deleting,
                Event::Deleted(_) => Change::Deleted,
                Event::ClusterAccepted(_) => Change::Accepted,
                Event::ClusterDenied(_) => Change::Denied,
                Event::TokenCreated(_) => Change::Created,
                Event::TokenRevoked(_) => Change::Revoked,
                Event::CommandRefused(CommandRefused { refusal, .. }) => {
                    return Some(Outcome::Refused(Arc::new(refusal.clone())));
                }
                Event::ClusterJoinRequested(_)
                | Event::CredentialIssued(_)
                | Event::CredentialRevoked(_)
                | Event::AvailabilityChanged(_)
                | Event::ClockChanged(_)
                | Event::TaintsChanged(_)
                | Event::PlacementDecided(_) => return None,
            };
            Some(Outcome::Done(change))
        })
    }
}

/// A record on its way into a world.
struct Fold<'a> {
    world: &'a mut World,
    stored: &'a Stored,
    before: BTreeMap<ObjectKey, Option<Arc<Resource>>>,
}

impl Fold<'_> {
    fn now(&self) -> Timestamp {
        self.stored.time
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Applied(applied) => self.applied(applied),
            Event::DeletionRequested(request) => self.deletion_requested(request),
            Event::Deleted(deleted) => self.deleted(deleted),
            Event::TokenCreated(grant) => {
                let token = TokenRecord {
                    grant: grant.clone(),
                    created_at: self.now(),
                    created_by: self.stored.envelope.actor.clone(),
                    revoked: false,
                    clusters: std::collections::BTreeSet::new(),
                };
                self.world
                    .tokens
                    .insert(grant.token.clone(), Arc::new(token));
            }
            Event::TokenRevoked(revoked) => self.token_revoked(&revoked.token),
            Event::ClusterJoinRequested(join) => self.join_requested(join),
            Event::ClusterAccepted(accepted) => self.opinion(&accepted.cluster, true),
            Event::ClusterDenied(denied) => self.opinion(&denied.cluster, false),
            Event::CredentialIssued(issued) => self.credential_issued(issued),
            Event::CredentialRevoked(revoked) => self.credential_revoked(revoked),
            Event::AvailabilityChanged(changed) => self.availability_changed(changed),
            Event::ClockChanged(changed) => self.clock_changed(changed),
            Event::TaintsChanged(changed) => {
                self.change_cluster(&changed.cluster, |cluster| {
                    cluster.spec.taints.clone_from(&changed.taints);
                });
            }
            Event::PlacementDecided(decided) => self.placement_decided(decided),
            // Its outcome is kept; the world is as before.
            Event::CommandRefused(_) => {}
        }
    }

    /// Remembers how an object was before this record.
    fn touch(&mut self, key: &ObjectKey) {
        if !self.before.contains_key(key) {
            let before = self.world.get(key).cloned();
            self.before.insert(key.clone(), before);
        }
    }

    fn applied(&mut self, applied: &Applied) {
        let Ok(key) = ObjectKey::of(&applied.resource) else {
            return;
        };
        self.touch(&key);
        let mut resource = applied.resource.clone();
        let owners = Owners::text(
            &resource
                .metadata_mut()
                .managed_fields
                .take()
                .unwrap_or_default(),
        );
        resource.metadata_mut().resource_version = Some(self.stored.sequence.to_string());
        if let Resource::ManagedCluster(_) = &resource
            && let Ok(cluster) = ClusterName::new(resource.name())
        {
            self.world.clusters.entry(cluster).or_default();
        }
        let before = self.world.objects.get(&key).map(|before| before.changed);
        let entry = Entry {
            resource: Arc::new(resource),
            owners: Arc::from(owners),
            changed: before.map_or(self.now(), |before| before.max(self.now())),
        };
        self.world.objects.insert(key, entry);
    }

    /// Somebody wants something else of an object that is there.
    fn wanted(&mut self, key: &ObjectKey) {
        let now = self.now();
        if let Some(entry) = self.world.objects.get_mut(key) {
            // Two hubs' clocks may differ.
            entry.changed = entry.changed.max(now);
        }
    }

    fn deletion_requested(&mut self, request: &DeletionRequested) {
        if self.has_uid(&request.key, request.uid) {
            let now = stamp::kubernetes_time(self.now());
            self.change(&request.key, |resource| {
                let metadata = resource.metadata_mut();
                metadata.deletion_timestamp.get_or_insert(now);
                metadata.generation = Some(metadata.generation.unwrap_or_default() + 1);
            });
            self.wanted(&request.key);
        }
    }

    fn deleted(&mut self, deleted: &Deleted) {
        if !self.has_uid(&deleted.key, deleted.uid) {
            return;
        }
        self.touch(&deleted.key);
        self.world.objects.remove(&deleted.key);
        self.world.gone.insert(&deleted.key, self.stored.time);
        if deleted.key.kind == KindName::ManagedCluster
            && let Ok(cluster) = ClusterName::new(&deleted.key.name)
        {
            self.world.clusters.remove(&cluster);
        }
        if deleted.key.kind == KindName::Placement {
            self.world.decisions.remove(&deleted.key);
            self.remove_decisions_from(&deleted.key, 1);
        }
    }

    /// The placement's status and its PlacementDecisions become another in one step.
    fn placement_decided(&mut self, decided: &PlacementDecided) {
        if !self.has_uid(&decided.key, decided.uid) {
            return;
        }
        self.change(&decided.key, |_| {});
        let (sequence, now) = (self.stored.sequence, self.now());
        self.world.decisions.decided(decided, sequence, now);
        let objects = decision::objects(decided, now);
        self.remove_decisions_from(&decided.key, objects.len() + 1);
        for (mut object, number) in objects.into_iter().zip(1..) {
            let Some(key) = decision::key(&decided.key, number) else {
                continue;
            };
            let before = self.world.get(&key);
            if before.is_some_and(|before| decision::same(before, &object)) {
                continue;
            }
            if let Some(before) = before {
                let created = before.metadata().creation_timestamp.clone();
                object.metadata.creation_timestamp = created;
            }
            object.metadata.resource_version = Some(sequence.to_string());
            self.touch(&key);
            let entry = Entry {
                resource: Arc::new(Resource::from(object)),
                owners: Arc::from(""),
                changed: now,
            };
            self.world.objects.insert(key, entry);
        }
    }

    /// Removes the PlacementDecisions of a placement from a number on.
    fn remove_decisions_from(&mut self, placement: &ObjectKey, first: usize) {
        for number in first.. {
            let Some(key) = decision::key(placement, number) else {
                return;
            };
            if self.world.get(&key).is_none() {
                return;
            }
            self.touch(&key);
            self.world.objects.remove(&key);
        }
    }

    fn has_uid(&self, key: &ObjectKey, uid: uuid::Uuid) -> bool {
        self.world
            .get(key)
            .is_some_and(|resource| crate::world::uid(resource) == Some(uid))
    }

    /// Changes an object that is there, and says so in its resourceVersion.
    fn change(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Resource)) {
        self.touch(key);
        if let Some(entry) = self.world.objects.get_mut(key) {
            let resource = Arc::make_mut(&mut entry.resource);
            change(resource);
            resource.metadata_mut().resource_version = Some(self.stored.sequence.to_string());
        }
    }

    /// Changes a cluster's object; its generation rises if its spec is another then.
    fn change_cluster(&mut self, cluster: &ClusterName, change: impl FnOnce(&mut ManagedCluster)) {
        self.change(&ObjectKey::cluster(cluster), |resource| {
            if let Resource::ManagedCluster(cluster) = resource {
                let before = cluster.spec.clone();
                change(cluster);
                if cluster.spec != before {
                    let generation = &mut cluster.metadata.generation;
                    *generation = Some(generation.unwrap_or_default() + 1);
                }
            }
        });
    }

    /// Changes what is known of a cluster that is there.
    fn change_record(&mut self, cluster: &ClusterName, change: impl FnOnce(&mut ClusterRecord)) {
        if let Some(record) = self.world.clusters.get_mut(cluster) {
            change(Arc::make_mut(record));
        }
    }

    fn token_revoked(&mut self, token: &TokenName) {
        let now = self.now();
        if let Some(record) = self.world.tokens.get_mut(token) {
            let record = Arc::make_mut(record);
            record.revoked = true;
            let (nkey, until) = (&record.grant.public_key, record.grant.expires_at);
            self.world.revocations.prune(now);
            self.world.revocations.revoke(nkey, now, until);
        }
    }

    fn join_requested(&mut self, join: &ClusterJoinRequested) {
        if let Some(token) = self.world.tokens.get_mut(&join.token) {
            Arc::make_mut(token).clusters.insert(join.cluster.clone());
        }
        let envelope = &self.stored.envelope;
        let pending = PendingJoin {
            request: envelope.command_id.unwrap_or(envelope.id),
            token: join.token.clone(),
            keys: AgentKeyRecord::from(&join.keys),
            agent_version: join.agent_version.clone(),
            since: self.now(),
        };
        let record = self.world.clusters.entry(join.cluster.clone()).or_default();
        let record = Arc::make_mut(record);
        record.pending = Some(Box::new(pending));
        record.claims.clone_from(&join.claims);
        self.wanted(&ObjectKey::cluster(&join.cluster));
    }

    fn opinion(&mut self, cluster: &ClusterName, accepted: bool) {
        let now = self.now();
        self.change_cluster(cluster, |cluster| {
            cluster.spec.hub_accepts_client = accepted;
        });
        self.change_record(cluster, |record| {
            if record
                .opinion
                .is_none_or(|before| before.accepted != accepted)
            {
                record.opinion = Some(Opinion {
                    accepted,
                    since: now,
                });
            }
            if accepted && let Some(pending) = record.pending.take() {
                record.keys = Some(pending.keys);
                record.rolled_from = None;
            }
        });
        self.wanted(&ObjectKey::cluster(cluster));
    }

    fn credential_issued(&mut self, issued: &CredentialIssued) {
        let (now, envelope) = (self.now(), &self.stored.envelope);
        let request = envelope.command_id.unwrap_or(envelope.id);
        self.change_record(&issued.cluster, |record| {
            record.credential = Some(CredentialRecord {
                nkey: issued.nkey.clone(),
                request,
                issued_at: now,
                expires_at: issued.expires_at,
            });
            if let Some(keys) = &issued.keys {
                let keys = AgentKeyRecord::from(&**keys);
                let old = record.keys.replace(keys).map(|old| old.nkey);
                record.rolled_from = old.filter(|old| *old != issued.nkey);
            }
        });
    }

    fn credential_revoked(&mut self, revoked: &CredentialRevoked) {
        let now = self.now();
        // Whatever credential the key has was issued before now and lives no longer than any: the
        // last one is not known of a key that another took the place of. The hub that issued the
        // newest may have had a clock that is ahead.
        let life = SignedDuration::from_hours(CREDENTIAL_LIFE_HOURS);
        let mut until = now.saturating_add(life).unwrap_or(Timestamp::MAX);
        self.change_record(&revoked.cluster, |record| {
            if let Some(credential) = &record.credential {
                until = until.max(credential.expires_at);
                if credential.nkey == revoked.nkey {
                    record.credential = None;
                }
            }
            if record.rolled_from.as_ref() == Some(&revoked.nkey) {
                record.rolled_from = None;
            }
        });
        self.world.revocations.prune(now);
        self.world.revocations.revoke(&revoked.nkey, now, until);
    }

    fn availability_changed(&mut self, changed: &AvailabilityChanged) {
        let now = self.now();
        self.change_cluster(&changed.cluster, |_| {});
        self.change_record(&changed.cluster, |record| {
            let before = record.availability.as_ref();
            let since = before
                .filter(|before| before.availability == changed.availability)
                .map_or(now, |before| before.since);
            record.availability = Some(AvailabilityRecord {
                availability: changed.availability,
                reason: changed.reason.clone(),
                message: changed.message.clone(),
                since,
            });
            if changed.availability == skein_schema::event::Availability::Available {
                record.first_available.get_or_insert(now);
            }
        });
    }

    fn clock_changed(&mut self, changed: &ClockChanged) {
        let now = self.now();
        self.change_cluster(&changed.cluster, |_| {});
        self.change_record(&changed.cluster, |record| {
            record.clock = Some(ClockRecord {
                synced: changed.synced,
                since: now,
            });
        });
    }

    /// Counts the members of sets anew where clusters or sets changed, and names what else looks
    /// different because of it.
    fn finish(mut self) -> BTreeMap<ObjectKey, Option<Arc<Resource>>> {
        let touched: Vec<_> = self
            .before
            .iter()
            .map(|(key, before)| (key.clone(), before.clone()))
            .collect();
        for (key, before) in &touched {
            match key.kind {
                KindName::ManagedCluster => self.recount_for_cluster(key, before.as_deref()),
                KindName::ManagedClusterSet => self.recount_set(key),
                _ => {}
            }
        }
        self.before
    }

    fn recount_for_cluster(&mut self, key: &ObjectKey, before: Option<&Resource>) {
        let now = self.now();
        let after = self.world.get(key).cloned();
        let changed = self.world.membership.cluster_changed(
            before.map(labels),
            after.as_deref().map(labels),
            now,
        );
        for set in changed {
            self.touch(&ObjectKey::cluster_scoped(KindName::ManagedClusterSet, set));
        }
    }

    fn recount_set(&mut self, key: &ObjectKey) {
        let now = self.now();
        match self.world.get(key).cloned().as_deref() {
            Some(Resource::ManagedClusterSet(set)) => {
                let mut membership = std::mem::take(&mut self.world.membership);
                let clusters = self.world.iter(KindName::ManagedCluster);
                let clusters = clusters.map(|(_, cluster)| labels(cluster));
                membership.set_changed(&key.name, set, clusters, now);
                self.world.membership = membership;
            }
            _ => self.world.membership.set_deleted(&key.name, now),
        }
        let bindings: Vec<_> = self
            .world
            .iter(KindName::ManagedClusterSetBinding)
            .filter(|(binding, _)| binding.name == key.name)
            .map(|(binding, _)| binding.clone())
            .collect();
        for binding in bindings {
            self.touch(&binding);
        }
    }
}

fn labels(resource: &Resource) -> &Labels {
    static NONE: Labels = Labels::new();
    resource.metadata().labels.as_ref().unwrap_or(&NONE)
}
