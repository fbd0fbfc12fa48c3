//! A hub without a bus: it signs, numbers and keeps desired messages as the real one does, and
//! writes down what an agent says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signer as _, SigningKey};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use skein_agent::link::{
    Bus, JoinLink, Link, LinkError, LinkSettings, LinkState, RefusalReason, SyncAnswer,
};
use skein_nats::{Headers, Message};
use skein_schema::code::{Code, Refusal};
use skein_schema::desired::{DesiredChange, DesiredHeader, DesiredMessage, headers, signed_bytes};
use skein_schema::digest::{Digest, canonical_json};
use skein_schema::join::{Credential, JoinAnswer, JoinRequest, JoinToken, RenewRequest};
use skein_schema::name::{ClusterName, SetName, TokenName};
use skein_schema::status::{ClusterReport, Heartbeat, StatusMessage, StatusUpdate, WorkReport};
use skein_schema::subject;
use skein_schema::sync::{SyncEnd, SyncRequest};
use tokio::sync::{broadcast, watch};

/// Most desired messages in one page of a catch-up.
const PAGE: usize = 4;
/// Largest status that the bus takes.
const LARGEST_STATUS: usize = 1024 * 1024 - 4096;

/// The hub. Clones are handles of the same one.
#[derive(Clone)]
pub(crate) struct MemoryHub(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    live: broadcast::Sender<Message>,
    link: watch::Sender<LinkState>,
    changed: watch::Sender<u64>,
}

/// What the hub knows.
pub(crate) struct State {
    key: SigningKey,
    set: SetName,
    log: Vec<(u64, Message)>,
    contents: BTreeMap<Digest, Vec<u8>>,
    connections: u64,
    /// Names the hub.
    pub hub_id: String,
    /// The bus lets nobody in with a join token.
    pub refuses_token: bool,
    /// How often agents have tried to connect.
    pub attempts: u32,
    /// Statuses are not stored.
    pub is_deaf: bool,
    /// A status about this work is refused for good, and so is one that is too large.
    pub refuses: Option<String>,
    /// How long credentials live.
    pub life: SignedDuration,
    /// What joining agents are told; a credential if nothing.
    pub join_answer: Option<JoinAnswer>,
    /// What agents have asked to join with.
    pub joins: Vec<JoinRequest>,
    /// What agents have asked to renew with.
    pub renewals: Vec<RenewRequest>,
    /// Every status, with the set of its subject.
    pub statuses: Vec<(SetName, StatusMessage)>,
    /// Every heartbeat, with the set of its subject.
    pub beats: Vec<(SetName, Heartbeat)>,
    /// Revisions that agents have asked to catch up from.
    pub syncs: Vec<u64>,
}

pub(crate) fn cluster() -> ClusterName {
    ClusterName::new("c1").unwrap()
}

pub(crate) fn token() -> JoinToken {
    JoinToken {
        token: TokenName::new("t1").unwrap(),
        urls: vec!["memory://hub".into()],
        jwt: "j".into(),
        seed: "s".into(),
        certificate_authority: None,
    }
}

impl MemoryHub {
    pub(crate) fn new() -> Self {
        let state = State {
            key: SigningKey::from_bytes(&[7; 32]),
            set: SetName::default_set(),
            log: Vec::new(),
            contents: BTreeMap::new(),
            connections: 0,
            hub_id: "h".repeat(64),
            refuses_token: false,
            attempts: 0,
            is_deaf: false,
            refuses: None,
            life: SignedDuration::from_hours(24),
            join_answer: None,
            joins: Vec::new(),
            renewals: Vec::new(),
            statuses: Vec::new(),
            beats: Vec::new(),
            syncs: Vec::new(),
        };
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            live: broadcast::channel(256).0,
            link: watch::Sender::new(LinkState::Connected { times: 1 }),
            changed: watch::Sender::new(0),
        }))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        self.0.changed.send_modify(|count| *count += 1);
    }

    /// Signs a message as the next revision.
    pub(crate) fn sign(&self, rev: u64, previous: u64, changes: Vec<DesiredChange>) -> Message {
        self.sign_with(&self.state().key, rev, previous, changes)
    }

    pub(crate) fn sign_with(
        &self,
        key: &SigningKey,
        rev: u64,
        previous: u64,
        changes: Vec<DesiredChange>,
    ) -> Message {
        let traceparent = Some(format!("00-{rev:032x}-00000000000000aa-01"));
        let body = serde_json::to_vec(&DesiredMessage {
            traceparent,
            changes,
        });
        sign_body(key, rev, previous, body.unwrap())
    }

    /// From now on the hub has nothing but so many messages that it has signed and that this agent
    /// cannot read.
    pub(crate) fn speak_in_riddles(&self, count: u64) {
        let mut state = self.state();
        let riddle = |rev| sign_body(&state.key, rev, 0, b"{\"riddle\":true}".to_vec());
        let log = (1..=count).map(|rev| (rev, riddle(rev))).collect();
        state.log = log;
    }

    /// From now on the hub has nothing, as one that has just been made.
    pub(crate) fn forget_everything(&self) {
        self.state().log.clear();
    }

    /// Keeps the changes as the next message without sending it: it got lost.
    pub(crate) fn keep(&self, changes: Vec<DesiredChange>) -> Message {
        let rev = self.rev() + 1;
        let message = self.sign(rev, rev - 1, changes);
        self.state().log.push((rev, message.clone()));
        message
    }

    /// Keeps and sends the changes.
    pub(crate) fn publish(&self, changes: Vec<DesiredChange>) {
        let message = self.keep(changes);
        self.inject(message);
    }

    /// Sends a message to whoever listens, whatever it is.
    pub(crate) fn inject(&self, message: Message) {
        // Nobody has to listen.
        let _ = self.0.live.send(message);
    }

    pub(crate) fn rev(&self) -> u64 {
        self.state().log.last().map_or(0, |(rev, _)| *rev)
    }

    pub(crate) fn move_to(&self, set: &str) {
        self.state().set = SetName::new(set).unwrap();
    }

    pub(crate) fn put_content(&self, manifest: &Value) -> Digest {
        let bytes = canonical_json(manifest);
        let digest = Digest::of(&bytes);
        self.state().contents.insert(digest, bytes);
        digest
    }

    pub(crate) fn put_forged_content(&self, digest: Digest, bytes: &[u8]) {
        self.state().contents.insert(digest, bytes.to_vec());
    }

    /// Cuts the agent off.
    pub(crate) fn cut(&self) {
        self.0.link.send_replace(LinkState::Disconnected);
    }

    /// Lets it in again.
    pub(crate) fn restore(&self) {
        let times = {
            let mut state = self.state();
            state.connections += 1;
            state.connections + 1
        };
        self.0.link.send_replace(LinkState::Connected { times });
    }

    /// Ends the membership.
    pub(crate) fn refuse(&self, reason: RefusalReason) {
        self.0.link.send_replace(LinkState::Refused(reason));
    }

    fn online(&self) -> bool {
        matches!(*self.0.link.borrow(), LinkState::Connected { .. })
    }

    /// Waits until the hub knows what is asked for, and returns it.
    pub(crate) async fn until<T>(&self, what: &str, look: impl Fn(&State) -> Option<T>) -> T {
        let mut changed = self.0.changed.subscribe();
        let waited = tokio::time::timeout(super::scene::PATIENCE, async {
            loop {
                let found = look(&self.state());
                if let Some(found) = found {
                    return found;
                }
                changed.changed().await.unwrap();
            }
        });
        match waited.await {
            Ok(found) => found,
            Err(_) => {
                let state = self.state();
                panic!(
                    "waited too long for {what}; last statuses: {:#?}",
                    state.statuses.iter().rev().take(3).collect::<Vec<_>>()
                );
            }
        }
    }

    /// Waits for a work's report that `fits`.
    pub(crate) async fn work(
        &self,
        name: &str,
        what: &str,
        fits: impl Fn(&WorkReport) -> bool,
    ) -> WorkReport {
        self.until(&format!("work {name}: {what}"), |state| {
            state.work(name).filter(|report| fits(report))
        })
        .await
    }

    fn credential(&self, cluster: &ClusterName) -> Credential {
        let state = self.state();
        Credential {
            cluster: cluster.clone(),
            hub_id: state.hub_id.clone(),
            jwt: "memory".into(),
            expires_at: now().checked_add(state.life).unwrap(),
            certificate: None,
            certificate_authority: None,
            signing_keys: BTreeMap::from([(
                "k1".to_owned(),
                BASE64URL_NOPAD.encode(state.key.verifying_key().as_bytes()),
            )]),
            clusterset: state.set.clone(),
        }
    }
}

fn sign_body(key: &SigningKey, rev: u64, previous: u64, body: Vec<u8>) -> Message {
    let header = DesiredHeader {
        cluster: cluster(),
        rev,
        previous,
        sequence: 100 + rev,
        key_id: "k1".into(),
    };
    let signature = BASE64URL_NOPAD.encode(&key.sign(&signed_bytes(&header, &body)).to_bytes());
    let mut named: Headers = header
        .to_headers()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    named.insert(headers::SIGNATURE, signature);
    Message {
        subject: "live.desired.default.c1".into(),
        reply: None,
        headers: named,
        body: body.into(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a hub's credentials begin now")]
fn now() -> Timestamp {
    Timestamp::now()
}

impl State {
    /// The newest report of a work, unless it was reported as removed since.
    pub(crate) fn work(&self, name: &str) -> Option<WorkReport> {
        for update in self.updates().rev() {
            match update {
                StatusUpdate::Work(report) if report.name.as_str() == name => {
                    return Some((**report).clone());
                }
                StatusUpdate::WorkRemoved { name: removed, .. } if removed.as_str() == name => {
                    return None;
                }
                _ => {}
            }
        }
        None
    }

    pub(crate) fn removed(&self, name: &str) -> Option<()> {
        self.updates().any(|update| matches!(update, StatusUpdate::WorkRemoved { name: n, .. } if n.as_str() == name)).then_some(())
    }

    pub(crate) fn cluster(&self) -> Option<ClusterReport> {
        self.updates().rev().find_map(|update| match update {
            StatusUpdate::Cluster(report) => Some((**report).clone()),
            _ => None,
        })
    }

    fn updates(&self) -> impl DoubleEndedIterator<Item = &StatusUpdate> {
        self.statuses
            .iter()
            .flat_map(|(_, message)| &message.updates)
    }
}

fn unreachable() -> LinkError {
    LinkError::Unreachable("cut off".into())
}

impl Bus for MemoryHub {
    fn bootstrap<'a>(
        &'a self,
        _: &'a JoinToken,
        _: &'a [String],
    ) -> BoxFuture<'a, Result<Box<dyn JoinLink>, LinkError>> {
        let link = Box::new(self.clone()) as Box<dyn JoinLink>;
        let answer = if self.state().refuses_token {
            Err(LinkError::Refused("refused".into()))
        } else {
            Ok(link)
        };
        async move { answer }.boxed()
    }

    fn connect(&self, _: LinkSettings) -> BoxFuture<'_, Result<Arc<dyn Link>, LinkError>> {
        async move {
            let mut link = self.0.link.subscribe();
            let state = link
                .wait_for(|state| *state != LinkState::Disconnected)
                .await
                .unwrap()
                .clone();
            self.state().attempts += 1;
            self.touch();
            match state {
                LinkState::Refused(_) => Err(LinkError::Refused("refused".into())),
                _ => Ok(Arc::new(self.clone()) as Arc<dyn Link>),
            }
        }
        .boxed()
    }
}

impl JoinLink for MemoryHub {
    fn join<'a>(
        &'a self,
        request: &'a JoinRequest,
    ) -> BoxFuture<'a, Result<JoinAnswer, LinkError>> {
        self.state().joins.push(request.clone());
        self.touch();
        let prepared = self.state().join_answer.clone();
        let answer = prepared
            .unwrap_or_else(|| JoinAnswer::Issued(Box::new(self.credential(&request.cluster))));
        async move { Ok(answer) }.boxed()
    }
}

impl Link for MemoryHub {
    fn state(&self) -> watch::Receiver<LinkState> {
        self.0.link.subscribe()
    }

    fn desired(&self) -> BoxFuture<'_, Result<BoxStream<'static, Message>, LinkError>> {
        let live = self.0.live.subscribe();
        let hub = self.clone();
        let stream = futures::stream::unfold(live, |mut live| async move {
            live.recv().await.ok().map(|message| (message, live))
        });
        // What is published while the agent is cut off does not come.
        let stream = stream.filter(move |_| std::future::ready(hub.online()));
        async move { Ok(stream.boxed()) }.boxed()
    }

    fn sync<'a>(
        &'a self,
        _: &'a SetName,
        request: &'a SyncRequest,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<SyncAnswer, LinkError>>, LinkError>> {
        if !self.online() {
            return async { Err(unreachable()) }.boxed();
        }
        let mut state = self.state();
        let answers = match request {
            SyncRequest::Desired { rev, .. } => {
                state.syncs.push(*rev);
                let missed: Vec<_> = state.log.iter().filter(|(at, _)| at > rev).collect();
                let end = if missed.len() > PAGE {
                    SyncEnd::More
                } else {
                    let newest = state.log.last().map_or(0, |(rev, _)| *rev);
                    SyncEnd::Current {
                        rev: newest,
                        clusterset: state.set.clone(),
                    }
                };
                let page = missed.into_iter().take(PAGE);
                let mut answers: Vec<_> = page
                    .map(|(_, message)| SyncAnswer::Desired(message.clone()))
                    .collect();
                answers.push(SyncAnswer::End(end));
                answers
            }
            SyncRequest::Content { digest } => match state.contents.get(digest) {
                Some(bytes) => {
                    vec![
                        SyncAnswer::Content(Bytes::from(bytes.clone())),
                        SyncAnswer::End(SyncEnd::Sent),
                    ]
                }
                None => vec![SyncAnswer::End(SyncEnd::Refused(Refusal::new(
                    Code::NotFound,
                    "no such content",
                )))],
            },
        };
        drop(state);
        self.touch();
        async move { Ok(futures::stream::iter(answers.into_iter().map(Ok)).boxed()) }.boxed()
    }

    fn status<'a>(
        &'a self,
        set: &'a SetName,
        _: Headers,
        body: Bytes,
    ) -> BoxFuture<'a, Result<(), LinkError>> {
        let message: StatusMessage = serde_json::from_slice(&body).unwrap();
        let mut state = self.state();
        let is_refused = |update: &StatusUpdate| match update {
            StatusUpdate::Work(report) => state.refuses.as_deref() == Some(report.name.as_str()),
            _ => false,
        };
        let stored = if !self.online() || state.is_deaf {
            Err(unreachable())
        } else if body.len() > LARGEST_STATUS || message.updates.iter().any(is_refused) {
            Err(LinkError::Rejected("never".into()))
        } else {
            state.statuses.push((set.clone(), message));
            Ok(())
        };
        drop(state);
        self.touch();
        async move { stored }.boxed()
    }

    fn beat<'a>(
        &'a self,
        set: &'a SetName,
        beat: &'a Heartbeat,
    ) -> BoxFuture<'a, Result<(), LinkError>> {
        self.state().beats.push((set.clone(), beat.clone()));
        self.touch();
        async { Ok(()) }.boxed()
    }

    fn renew<'a>(
        &'a self,
        _: &'a SetName,
        request: &'a RenewRequest,
    ) -> BoxFuture<'a, Result<JoinAnswer, LinkError>> {
        self.state().renewals.push(request.clone());
        let answer = JoinAnswer::Issued(Box::new(self.credential(&cluster())));
        self.touch();
        async move { Ok(answer) }.boxed()
    }

    fn reconnect(&self) -> BoxFuture<'_, ()> {
        async move { self.restore() }.boxed()
    }
}

/// The subject grammar is the real one: a set with a dot has to be escaped by it.
#[test]
fn sets_with_dots_make_one_token() {
    let set = SetName::new("eu.west").unwrap();
    assert_eq!(subject::status(&set, &cluster()), "status.eu_west.c1");
}
