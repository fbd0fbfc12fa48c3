//! An agent in one thread, on a cluster that does what it is told at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Map;
use skein_agent_core::aggregate::{Observation, ObserveOptions};
use skein_agent_core::outcome::{ManifestOutcome, ManifestResult};
use skein_agent_core::report::{self, Reporting};
use skein_agent_core::state::{Acceptance, DesiredState};
use skein_schema::desired::DesiredWork;
use skein_schema::event::AgentKeys;
use skein_schema::join::JoinRequest;
use skein_schema::kind::manifest_work::ManifestResourceMeta;
use skein_schema::name::{ClusterName, ObjectName, TokenName};
use skein_schema::status::{Heartbeat, StatusMessage, StatusUpdate, WorkReport};
use uuid::Uuid;

use super::bus::Desired;
use super::dice::Dice;
use super::hub::JoinReply;

/// What an agent sends.
#[derive(Debug, Clone)]
pub(super) enum ToHub {
    Join(Box<JoinRequest>),
    Sync { rev: u64 },
    Status { number: u64, body: Vec<u8> },
    Beat(Heartbeat),
}

/// What the cluster holds of a work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OnCluster {
    pub(super) uid: Uuid,
    pub(super) generation: i64,
}

/// An agent and its cluster.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) cluster: ClusterName,
    pub(super) token: TokenName,
    pub(super) keys: AgentKeys,
    pub(super) up: bool,
    /// Counts its starts; what was meant for an earlier one does not arrive.
    pub(super) run: u64,
    /// It is cut off from the bus.
    pub(super) cut: bool,
    session: Uuid,
    number: u64,
    /// On disk: when the credential was issued, the signing keys that came with it, the journal.
    pub(super) credential: Option<Timestamp>,
    signing: BTreeMap<String, String>,
    journal: Option<Vec<u8>>,
    /// On the cluster.
    pub(super) held: BTreeMap<ObjectName, OnCluster>,
    /// In memory.
    pub(super) state: Option<DesiredState>,
    reports: BTreeMap<ObjectName, WorkReport>,
    removed: BTreeSet<Uuid>,
    updates: Vec<StatusUpdate>,
    unconfirmed: Option<StatusMessage>,
    wish: Uuid,
    behind: bool,
    ticks: u64,
}

impl Agent {
    pub(super) fn new(cluster: ClusterName, token: TokenName, keys: AgentKeys) -> Self {
        Self {
            cluster,
            token,
            keys,
            up: false,
            run: 0,
            cut: false,
            session: Uuid::nil(),
            number: 0,
            credential: None,
            signing: BTreeMap::new(),
            journal: None,
            held: BTreeMap::new(),
            state: None,
            reports: BTreeMap::new(),
            removed: BTreeSet::new(),
            updates: Vec::new(),
            unconfirmed: None,
            wish: Uuid::nil(),
            behind: false,
            ticks: 0,
        }
    }

    /// Starts with what is on disk.
    pub(super) fn start(&mut self, now: Timestamp, dice: &mut Dice) {
        self.up = true;
        self.run += 1;
        self.session = dice.uuid(now);
        self.number = 0;
        self.state = None;
        self.reports.clear();
        self.removed.clear();
        self.updates.clear();
        self.unconfirmed = None;
        self.wish = dice.uuid(now);
        if self.credential.is_some() {
            self.open_journal();
        }
    }

    /// Stops without a word.
    pub(super) fn crash(&mut self) {
        self.up = false;
        self.state = None;
    }

    /// The bus has shut it out: the credential is worth nothing any more.
    pub(super) fn shut_out(&mut self, now: Timestamp, dice: &mut Dice) {
        self.credential = None;
        self.state = None;
        self.wish = dice.uuid(now);
    }

    fn open_journal(&mut self) {
        let read = |bytes: &Vec<u8>| serde_json::from_slice(bytes).ok();
        let mut state: DesiredState = self
            .journal
            .as_ref()
            .and_then(read)
            .unwrap_or_else(|| DesiredState::new(self.cluster.clone(), self.signing.clone()));
        state.trust(self.signing.clone());
        self.state = Some(state);
        self.behind = true;
    }

    /// What it does every few seconds.
    pub(super) fn tick(&mut self, now: Timestamp) -> Vec<ToHub> {
        self.ticks += 1;
        let Some(state) = &self.state else {
            return vec![ToHub::Join(Box::new(self.join_request(now)))];
        };
        let rev = state.rev();
        let mut out = vec![ToHub::Beat(Heartbeat {
            session: self.session,
            time: now,
            rev,
            kube_api_healthy: true,
            message: None,
        })];
        if self.behind || self.ticks.is_multiple_of(6) {
            self.behind = false;
            out.push(ToHub::Sync { rev });
        }
        out.extend(self.unconfirmed.as_ref().map(encode));
        out
    }

    fn join_request(&self, now: Timestamp) -> JoinRequest {
        JoinRequest {
            request: self.wish,
            time: now,
            cluster: self.cluster.clone(),
            keys: self.keys.clone(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            claims: Vec::new(),
            client_configs: Vec::new(),
            agent_version: "0.1.0".to_owned(),
        }
    }

    /// The answer to a wish to join.
    pub(super) fn joined(
        &mut self,
        request: Uuid,
        reply: &JoinReply,
        signing: &BTreeMap<String, String>,
        now: Timestamp,
        dice: &mut Dice,
    ) {
        if request != self.wish || self.state.is_some() {
            return;
        }
        match reply {
            JoinReply::Pending => {}
            JoinReply::Refused => self.wish = dice.uuid(now),
            JoinReply::Issued(grant) => {
                self.credential = Some(grant.issued_at);
                self.signing.clone_from(signing);
                self.open_journal();
            }
        }
    }

    /// Takes a desired message in; true if there is something to do on the cluster.
    pub(super) fn receive(&mut self, message: &Desired, dice: &mut Dice) -> (bool, Acceptance) {
        let Some(state) = &mut self.state else {
            let nothing = Acceptance::Stale { have: 0, got: 0 };
            return (false, nothing);
        };
        let acceptance = state.accept(&message.header, &message.body, &message.signature);
        match &acceptance {
            Acceptance::Applied(applied) => {
                // What was in memory when the power went is asked for again.
                if dice.chance(0.8) {
                    let bytes = serde_json::to_vec(state).expect("a desired state is JSON");
                    self.journal = Some(bytes);
                }
                for (name, uid) in &applied.forgotten {
                    self.removed.remove(uid);
                    self.reports.remove(name);
                }
                for (name, uid) in &applied.unknown {
                    self.tell_removed(name.clone(), *uid);
                }
            }
            Acceptance::Gap { .. } => self.behind = true,
            _ => {}
        }
        let wake = matches!(acceptance, Acceptance::Applied(_));
        (wake, acceptance)
    }

    /// Asks for what is missing, if something is.
    pub(super) fn catch_up(&mut self) -> Option<ToHub> {
        let state = self.state.as_ref().filter(|_| self.behind)?;
        self.behind = false;
        Some(ToHub::Sync { rev: state.rev() })
    }

    /// Makes the cluster be as wanted, and says so.
    pub(super) fn reconcile(&mut self, now: Timestamp) -> Option<ToHub> {
        let works = self.state.as_ref()?.works().clone();
        self.held.retain(|name, _| works.contains_key(name));
        for (name, wanted) in works {
            if wanted.removing {
                self.held.remove(&name);
                self.reports.remove(&name);
                self.tell_removed(name, wanted.work.uid);
                continue;
            }
            let on_cluster = OnCluster {
                uid: wanted.work.uid,
                generation: wanted.work.generation,
            };
            self.held.insert(name, on_cluster);
            self.report(&wanted.work, now);
        }
        self.send()
    }

    fn tell_removed(&mut self, name: ObjectName, uid: Uuid) {
        if self.removed.insert(uid) {
            self.updates.push(StatusUpdate::WorkRemoved { name, uid });
        }
    }

    fn report(&mut self, work: &DesiredWork, now: Timestamp) {
        let empty = Map::new();
        let manifests = &work.spec.workload.manifests;
        let outcomes: Vec<_> = manifests
            .iter()
            .zip(0..)
            .map(|(_, ordinal)| ManifestOutcome {
                resource: ManifestResourceMeta {
                    ordinal,
                    version: "v1".to_owned(),
                    kind: "ConfigMap".to_owned(),
                    resource: "configmaps".to_owned(),
                    name: format!("{}-{ordinal}", work.name),
                    namespace: "default".to_owned(),
                    ..ManifestResourceMeta::default()
                },
                result: ManifestResult::Applied {
                    uid: work.uid.to_string(),
                    owned: true,
                },
            })
            .collect();
        let seen = manifests
            .iter()
            .zip(0..)
            .map(|(manifest, ordinal)| {
                let live = manifest.inline().unwrap_or(&empty);
                (ordinal, Observation::Present(live))
            })
            .collect();
        let told = self
            .reports
            .get(&work.name)
            .filter(|told| told.uid == work.uid);
        let status = report::status(&Reporting {
            work,
            outcomes: &outcomes,
            seen: &seen,
            previous: told.map(|told| &told.status),
            options: ObserveOptions::default(),
            now,
        });
        if let Some(news) = report::report(work, status, told) {
            self.reports.insert(work.name.clone(), news.clone());
            self.updates.push(StatusUpdate::Work(Box::new(news)));
        }
    }

    /// The next message, if none waits for its confirmation.
    fn send(&mut self) -> Option<ToHub> {
        let rev = self.state.as_ref()?.rev();
        if self.unconfirmed.is_some() || self.updates.is_empty() {
            return None;
        }
        self.number += 1;
        let message = StatusMessage {
            session: self.session,
            number: self.number,
            rev,
            time: Timestamp::UNIX_EPOCH,
            traceparent: None,
            updates: std::mem::take(&mut self.updates),
        };
        let out = encode(&message);
        self.unconfirmed = Some(message);
        Some(out)
    }

    /// The stream has a message.
    pub(super) fn confirmed(&mut self, number: u64) -> Option<ToHub> {
        let waits = self
            .unconfirmed
            .as_ref()
            .is_some_and(|waiting| waiting.number == number);
        if waits {
            self.unconfirmed = None;
        }
        self.send()
    }

    /// Whether it has told everything.
    pub(super) fn has_told_all(&self) -> bool {
        self.unconfirmed.is_none() && self.updates.is_empty()
    }
}

fn encode(message: &StatusMessage) -> ToHub {
    ToHub::Status {
        number: message.number,
        body: serde_json::to_vec(message).expect("a status message is JSON"),
    }
}
