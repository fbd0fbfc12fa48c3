//! Given, when, then: a hub in memory that decides, records, folds and reacts, one step at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use skein_schema::code::{Code, Refusal};
use skein_schema::command::{Command, FieldValidation, Precondition, TokenGrant};
use skein_schema::desired::DesiredChange;
use skein_schema::digest::Digest;
use skein_schema::envelope::{Actor, Envelope, Producer, SCHEMA_VERSION};
use skein_schema::event::AgentKeys;
use skein_schema::join::{JoinRequest, RenewRequest};
use skein_schema::name::{ClusterName, ObjectName, SetName, TokenName, UserName};
use skein_schema::object::ObjectKey;
use skein_schema::record::Record;
use skein_schema::resource::{KindName, Resource};
use skein_schema::status::{StatusMessage, StatusUpdate};
use uuid::Uuid;

use crate::decide::{Context, Decision, decide};
use crate::join::{JoinVerdict, decide_join, decide_renew};
use crate::ledger::Stored;
use crate::nkey;
use crate::observed::Observed;
use crate::placement::{Due, Scheduler};
use crate::react::{self, Trigger};
use crate::world::{World, uid};
use crate::{desired, invariant, view};

/// A hub in memory.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) world: World,
    pub(crate) observed: Observed,
    pub(crate) now: Timestamp,
    pub(crate) stored: Vec<Stored>,
    /// What clusters were told, in order.
    pub(crate) told: Vec<(ClusterName, SetName, DesiredChange)>,
    scheduler: Scheduler,
    ids: u128,
    reports: u64,
}

impl Scenario {
    /// A hub with an empty ledger that has just begun to lead.
    pub(crate) fn new() -> Self {
        let mut scenario = Self {
            world: World::default(),
            observed: Observed::default(),
            now: "2026-11-23T12:00:00Z".parse().unwrap(),
            stored: Vec::new(),
            told: Vec::new(),
            scheduler: Scheduler::default(),
            ids: 0,
            reports: 0,
        };
        scenario.react(&Trigger::Started);
        scenario
    }

    pub(crate) fn id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
    }

    pub(crate) fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        self.let_placements_decide();
    }

    /// Records the decisions of placements that are due now.
    pub(crate) fn let_placements_decide(&mut self) {
        let hub: Actor = "hub:hub-0".parse().unwrap();
        while let Some(look) = self.scheduler.next(&self.world, self.now) {
            let Some(Due { decision, cause }) = look.due else {
                continue;
            };
            assert!(cause.is_none_or(|cause| cause.sequence <= self.world.sequence()));
            self.record(&decision, &hub, None);
        }
    }

    /// The events recorded after `sequence`, in short.
    pub(crate) fn events_after(&self, sequence: u64) -> Vec<&'static str> {
        let stored = self
            .stored
            .iter()
            .filter(|stored| stored.sequence > sequence);
        stored
            .flat_map(|stored| &stored.record.events)
            .map(|event| event.kind().strip_prefix("skein.").unwrap())
            .collect()
    }

    /// Decides a command of the administrator's, records what follows.
    pub(crate) fn run(&mut self, command: &Command) -> Result<Decision, Refusal> {
        let id = self.id();
        self.run_as("admin", id, command)
    }

    /// Decides a command as the hub does: refusals are recorded, once.
    pub(crate) fn run_as(
        &mut self,
        user: &str,
        id: Uuid,
        command: &Command,
    ) -> Result<Decision, Refusal> {
        let actor = Actor::User(UserName::new(user).unwrap());
        let context = Context {
            now: self.now,
            actor: &actor,
            command: id,
        };
        let decided = decide(&self.world, &self.observed, command, &context);
        assert_eq!(
            decided,
            decide(&self.world, &self.observed, command, &context),
            "deciding is deterministic"
        );
        let decision = match &decided {
            Ok(decision) => decision.clone(),
            Err(_) if self.world.outcome(id).is_some() => return decided,
            Err(refusal) => Decision::refused(
                id,
                command.verb(),
                Some(command),
                Digest::of(b""),
                refusal.clone(),
            ),
        };
        self.record(&decision, &actor, Some(id));
        self.let_placements_decide();
        decided
    }

    /// Records a decision and what follows from it.
    pub(crate) fn record(&mut self, decision: &Decision, actor: &Actor, command: Option<Uuid>) {
        if decision.is_empty() {
            return;
        }
        let body = decision.record.encode();
        let record = Record::decode(&body).expect("what is recorded can be read");
        assert_eq!(
            record, decision.record,
            "nothing is lost on the way through the ledger"
        );
        let id = self.id();
        let stored = Stored {
            sequence: self.world.sequence() + 1,
            time: self.now,
            envelope: Envelope {
                id,
                kind: record.events[0].kind().to_owned(),
                source: "/hub/hub-0".to_owned(),
                subject: decision.subject.to_string(),
                time: self.now,
                actor: actor.clone(),
                on_behalf_of: None,
                command_id: command,
                causation_id: None,
                correlation_id: command.unwrap_or(id),
                traceparent: None,
                producer: Producer::this_build("skein-hub"),
                schema_version: SCHEMA_VERSION,
                digest: Digest::of(&body),
            },
            record,
        };
        let changes = self.world.evolve(&stored);
        for (cluster, (set, told)) in desired::changes(&changes, &self.world, &stored) {
            let told = told
                .into_iter()
                .map(|change| (cluster.clone(), set.clone(), change));
            self.told.extend(told);
        }
        assert_eq!(
            invariant::check(&self.world),
            Vec::new(),
            "after {stored:#?}"
        );
        self.stored.push(stored.clone());
        self.scheduler.recorded(
            &self.world,
            &self.observed,
            &changes,
            &Arc::new(stored.clone()),
            self.now,
        );
        self.react(&Trigger::Recorded(&stored));
    }

    pub(crate) fn react(&mut self, trigger: &Trigger<'_>) {
        let hub: Actor = "hub:hub-0".parse().unwrap();
        for decision in react::after(&self.world, &self.observed, trigger, self.now) {
            self.record(&decision, &hub, None);
        }
    }

    /// An agent asks to be let in.
    pub(crate) fn join(
        &mut self,
        token: &str,
        cluster: &str,
        key: u8,
    ) -> Result<JoinVerdict, Refusal> {
        let request = join_request(self.id(), cluster, key);
        self.join_with(token, &request)
    }

    pub(crate) fn join_with(
        &mut self,
        token: &str,
        request: &JoinRequest,
    ) -> Result<JoinVerdict, Refusal> {
        let token = TokenName::new(token).unwrap();
        let actor = Actor::Token(token.clone());
        let context = Context {
            now: self.now,
            actor: &actor,
            command: request.request,
        };
        let joined = decide_join(&self.world, &token, request, &context)?;
        self.record(&joined.decision, &actor, Some(request.request));
        Ok(joined.verdict)
    }

    pub(crate) fn renew(
        &mut self,
        cluster: &str,
        request: Uuid,
        key: u8,
    ) -> Result<JoinVerdict, Refusal> {
        let cluster = ClusterName::new(cluster).unwrap();
        let actor = Actor::Cluster(cluster.clone());
        let context = Context {
            now: self.now,
            actor: &actor,
            command: request,
        };
        let request = RenewRequest {
            request,
            time: self.now,
            keys: keys(key),
        };
        let renewed = decide_renew(&self.world, &cluster, &request, &context)?;
        self.record(&renewed.decision, &actor, Some(request.request));
        Ok(renewed.verdict)
    }

    /// An agent reports.
    pub(crate) fn report(&mut self, cluster: &str, updates: Vec<StatusUpdate>) {
        self.reports += 1;
        let cluster = ClusterName::new(cluster).unwrap();
        let message = StatusMessage {
            session: Uuid::from_u128(1),
            number: self.reports,
            rev: 1,
            time: self.now,
            traceparent: None,
            updates,
        };
        let changes = self
            .observed
            .evolve(&cluster, &message, self.reports, self.now);
        self.scheduler
            .reported(&self.world, &self.observed, &cluster, self.now);
        self.react(&Trigger::Reported(&cluster, &changes));
        self.let_placements_decide();
    }

    /// An agent reports that a work is gone.
    pub(crate) fn report_removed(&mut self, cluster: &str, work: &str) {
        let key = work_key(cluster, work);
        if let Some(uid) = self.world.get(&key).and_then(|work| uid(work)) {
            self.report(
                cluster,
                vec![StatusUpdate::WorkRemoved {
                    name: key.name,
                    uid,
                }],
            );
        }
    }

    /// A cluster that joined by a token that lets it in.
    pub(crate) fn with_cluster(mut self, cluster: &str, key: u8) -> Self {
        if self.world.token(&TokenName::new("auto").unwrap()).is_none() {
            let mut grant = grant("auto", 200);
            grant.auto_accept = true;
            grant.uses = 100_000;
            self.run(&Command::CreateToken(grant)).unwrap();
        }
        self.join("auto", cluster, key).unwrap();
        self
    }

    pub(crate) fn with(mut self, document: Value) -> Self {
        self.run(&apply(document)).unwrap();
        self
    }

    pub(crate) fn get(&self, key: &ObjectKey) -> &Resource {
        self.world.get(key).unwrap_or_else(|| panic!("no {key}"))
    }

    pub(crate) fn cluster(
        &self,
        cluster: &str,
    ) -> &skein_schema::kind::managed_cluster::ManagedCluster {
        match self.get(&cluster_key(cluster)) {
            Resource::ManagedCluster(cluster) => cluster,
            other => panic!("{other:?}"),
        }
    }

    /// An object as people see it.
    pub(crate) fn view(&self, key: &ObjectKey) -> Value {
        view::object(&self.world, &self.observed, key).unwrap_or_else(|| panic!("no {key}"))
    }

    /// `status/reason` of a condition as people see it.
    pub(crate) fn condition(&self, key: &ObjectKey, kind: &str) -> Option<String> {
        let view = self.view(key);
        let conditions = view.pointer("/status/conditions")?.as_array()?;
        let found = conditions
            .iter()
            .find(|condition| condition["type"] == kind)?;
        Some(format!(
            "{}/{}",
            found["status"].as_str()?,
            found["reason"].as_str()?
        ))
    }
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Code {
    result.expect_err("must be refused").code
}

pub(crate) fn cluster_key(cluster: &str) -> ObjectKey {
    ObjectKey::cluster(&ClusterName::new(cluster).unwrap())
}

pub(crate) fn work_key(cluster: &str, work: &str) -> ObjectKey {
    ObjectKey::work(
        &ClusterName::new(cluster).unwrap(),
        &ObjectName::new(work).unwrap(),
    )
}

pub(crate) fn set_key(set: &str) -> ObjectKey {
    ObjectKey::cluster_scoped(KindName::ManagedClusterSet, ObjectName::new(set).unwrap())
}

pub(crate) fn namespace_key(name: &str) -> ObjectKey {
    ObjectKey::cluster_scoped(KindName::Namespace, ObjectName::new(name).unwrap())
}

pub(crate) fn keys(number: u8) -> AgentKeys {
    AgentKeys {
        nkey: nkey::user_key(number),
        sealing_key: Some(data_encoding::BASE64.encode(&[number; 32])),
        certificate_request: Some(format!("-----BEGIN CERTIFICATE REQUEST-----\n{number}\n")),
    }
}

pub(crate) fn join_request(request: Uuid, cluster: &str, key: u8) -> JoinRequest {
    JoinRequest {
        request,
        time: Timestamp::UNIX_EPOCH,
        cluster: ClusterName::new(cluster).unwrap(),
        keys: keys(key),
        labels: BTreeMap::from([("env".to_owned(), "prod".to_owned())]),
        annotations: BTreeMap::new(),
        claims: Vec::new(),
        client_configs: Vec::new(),
        agent_version: "0.1.0".to_owned(),
    }
}

pub(crate) fn grant(token: &str, key: u8) -> TokenGrant {
    TokenGrant {
        token: TokenName::new(token).unwrap(),
        public_key: nkey::user_key(key),
        expires_at: "2026-11-24T12:00:00Z".parse().unwrap(),
        uses: 1,
        cluster: None,
        clusterset: None,
        labels: BTreeMap::new(),
        auto_accept: false,
    }
}

pub(crate) fn apply(document: Value) -> Command {
    apply_by("skein", document)
}

pub(crate) fn apply_by(manager: &str, document: Value) -> Command {
    Command::Apply {
        resource: document,
        manager: manager.to_owned(),
        precondition: Precondition::None,
        validation: FieldValidation::Strict,
        dry_run: false,
    }
}

pub(crate) fn patch(key: ObjectKey, patch: Value) -> Command {
    Command::Patch {
        key,
        patch,
        manager: "skein".to_owned(),
        precondition: Precondition::None,
        dry_run: false,
    }
}

pub(crate) fn delete(key: ObjectKey) -> Command {
    Command::Delete {
        key,
        precondition: Precondition::None,
        force: false,
        dry_run: false,
    }
}

pub(crate) fn force_delete(key: ObjectKey) -> Command {
    Command::Delete {
        key,
        precondition: Precondition::None,
        force: true,
        dry_run: false,
    }
}

pub(crate) fn accept(cluster: &str) -> Command {
    Command::Accept {
        cluster: ClusterName::new(cluster).unwrap(),
    }
}

pub(crate) fn deny(cluster: &str) -> Command {
    Command::Deny {
        cluster: ClusterName::new(cluster).unwrap(),
    }
}

pub(crate) fn cluster_document(cluster: &str) -> Value {
    json!({
        "apiVersion": "cluster.open-cluster-management.io/v1",
        "kind": "ManagedCluster",
        "metadata": {"name": cluster},
    })
}

pub(crate) fn set_document(set: &str) -> Value {
    json!({
        "apiVersion": "cluster.open-cluster-management.io/v1beta2",
        "kind": "ManagedClusterSet",
        "metadata": {"name": set},
    })
}

pub(crate) fn binding_document(namespace: &str, set: &str) -> Value {
    json!({
        "apiVersion": "cluster.open-cluster-management.io/v1beta2",
        "kind": "ManagedClusterSetBinding",
        "metadata": {"name": set, "namespace": namespace},
        "spec": {"clusterSet": set},
    })
}

pub(crate) fn namespace_document(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

pub(crate) fn config_map(name: &str, text: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": {"text": text},
    })
}

pub(crate) fn work_document(cluster: &str, work: &str, manifests: &[Value]) -> Value {
    json!({
        "apiVersion": "work.open-cluster-management.io/v1",
        "kind": "ManifestWork",
        "metadata": {"name": work, "namespace": cluster},
        "spec": {"workload": {"manifests": manifests}},
    })
}

/// Everything that a fold of these records is, as bytes.
pub(crate) fn fold(stored: &[Stored]) -> World {
    let mut world = World::default();
    for stored in stored {
        world.evolve(stored);
    }
    world
}
