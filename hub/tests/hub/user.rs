//! A user of the hub, on the bus.

use std::path::Path;

use futures::StreamExt as _;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use skein_nats::connect::{Connection, Credentials, Settings, connect};
use skein_nats::nkey::{Key, KeyKind};
use skein_nats::{Headers, Message};
use skein_schema::command::{
    Command, CommandMessage, CommandResult, FieldValidation, Precondition, TokenGrant,
};
use skein_schema::digest::Digest;
use skein_schema::envelope::{Actor, Envelope, Producer, SCHEMA_VERSION};
use skein_schema::name::{ClusterName, TokenName, UserName};
use skein_schema::query::{Answer, Query, Selection};
use skein_schema::resource::KindName;
use skein_schema::subject;
use uuid::Uuid;

use crate::process::Plane;
use crate::wait::{self, PATIENCE};

/// A trace context that every command of these tests brings.
pub(crate) const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[derive(Deserialize)]
struct Context {
    servers: Vec<String>,
    user: UserName,
    credentials: std::path::PathBuf,
}

/// A connected user.
pub(crate) struct User {
    pub(crate) connection: Connection,
    pub(crate) servers: Vec<String>,
    pub(crate) name: UserName,
}

impl User {
    /// The administrator of an embedded control plane, by the context it wrote.
    pub(crate) async fn admin(plane: &Plane) -> Self {
        let text = std::fs::read_to_string(&plane.process.ready.context).expect("the context file");
        let context: Context = serde_json::from_str(&text).expect("a context");
        Self::enter(context.servers, context.user, &context.credentials).await
    }

    pub(crate) async fn enter(servers: Vec<String>, name: UserName, credentials: &Path) -> Self {
        let settings = Settings::new(
            servers.clone(),
            "test",
            Credentials::File(credentials.to_owned()),
            subject::inbox_prefix(name.as_str()),
        );
        // Users can enter as soon as a hub leads.
        let connection = wait::until("the user enters", || async {
            connect(&settings).await.ok()
        })
        .await;
        Self {
            connection,
            servers,
            name,
        }
    }

    /// Sends a command and waits for its result.
    pub(crate) async fn command(&self, command: Command) -> CommandResult {
        self.command_as(new_id(), command).await
    }

    /// The same under a given id.
    pub(crate) async fn command_as(&self, id: Uuid, command: Command) -> CommandResult {
        let verb = command.verb();
        let body = serde_json::to_vec(&CommandMessage {
            deadline_seconds: 60,
            command,
        })
        .expect("JSON");
        self.send(verb, &self.envelope(id, &body), body).await
    }

    /// Sends any message as a command and waits for its result.
    pub(crate) async fn send(
        &self,
        verb: &str,
        envelope: &Envelope,
        body: Vec<u8>,
    ) -> CommandResult {
        let result = subject::result(&self.name, envelope.id);
        let mut results = self
            .connection
            .subscribe(&result)
            .await
            .expect("subscribed");
        let headers: Headers = envelope.to_headers().into();
        self.publish(verb, headers, body).await;
        let message = wait::within("the command's result", results.next())
            .await
            .expect("connected");
        assert_eq!(
            message.headers.get("traceparent"),
            envelope.traceparent.as_deref()
        );
        serde_json::from_slice(&message.body).expect("a result")
    }

    /// Publishes on the command's subject and waits for the stream's acknowledgement.
    pub(crate) async fn publish(&self, verb: &str, headers: Headers, body: Vec<u8>) {
        let subject = subject::command(&self.name, verb);
        wait::until("the command is stored", || async {
            self.connection
                .request(&subject, headers.clone(), body.clone().into())
                .await
                .ok()
        })
        .await;
    }

    /// An envelope for a command of this user.
    pub(crate) fn envelope(&self, id: Uuid, body: &[u8]) -> Envelope {
        Envelope {
            id,
            kind: "skein.command.v1".into(),
            source: "/test".into(),
            subject: "test".into(),
            time: now(),
            actor: Actor::User(self.name.clone()),
            on_behalf_of: None,
            command_id: None,
            causation_id: None,
            correlation_id: id,
            traceparent: Some(TRACEPARENT.into()),
            producer: Producer::this_build("test"),
            schema_version: SCHEMA_VERSION,
            digest: Digest::of(body),
        }
    }

    /// Asks, and collects the answers up to the last.
    pub(crate) async fn query(&self, query: &Query) -> Vec<Answer> {
        let subject = subject::query(&self.name, query.what());
        self.ask(&subject, serde_json::to_vec(query).expect("JSON"))
            .await
    }

    /// Asks with any body.
    pub(crate) async fn ask(&self, subject: &str, body: Vec<u8>) -> Vec<Answer> {
        self.ask_with(subject, Headers::new(), body).await
    }

    /// The same with headers.
    pub(crate) async fn ask_with(
        &self,
        subject: &str,
        headers: Headers,
        body: Vec<u8>,
    ) -> Vec<Answer> {
        let asked = self
            .connection
            .request_many(subject, headers, body.into())
            .await;
        let mut answers = asked.expect("asked");
        let mut all = Vec::new();
        loop {
            let message: Message = answers.next(PATIENCE).await.expect("an answer");
            let answer: Answer =
                serde_json::from_slice(&message.body).expect("an answer of the schema");
            let last = matches!(answer, Answer::End { .. } | Answer::Refused(_));
            all.push(answer);
            if last {
                return all;
            }
        }
    }

    /// The objects that a selection means, now.
    pub(crate) async fn get(&self, kind: KindName) -> Vec<Value> {
        let selection = select(kind);
        let answers = self.query(&Query::Get(selection)).await;
        answers
            .into_iter()
            .filter_map(|answer| match answer {
                Answer::Object { object } => Some(object),
                _ => None,
            })
            .collect()
    }

    /// One cluster, if it is there.
    pub(crate) async fn cluster(&self, name: &str) -> Option<Value> {
        self.get(KindName::ManagedCluster)
            .await
            .into_iter()
            .find(|object| object["metadata"]["name"] == name)
    }

    /// Applies a document and expects it to be recorded or unchanged.
    pub(crate) async fn apply(&self, document: Value) -> (Value, Option<u64>) {
        match self.command(apply(document)).await {
            CommandResult::Done {
                object, sequence, ..
            } => (object.expect("the object"), sequence),
            CommandResult::Refused(refusal) => panic!("refused: {refusal:?}"),
        }
    }

    /// Mints a join token; answers the key whose seed is its secret and its bus credential.
    pub(crate) async fn token(&self, name: &str, auto_accept: bool) -> (Key, String) {
        let key = Key::generate(KeyKind::User);
        let grant = TokenGrant {
            token: TokenName::new(name).unwrap(),
            public_key: key.public().to_owned(),
            expires_at: now() + jiff::SignedDuration::from_hours(1),
            uses: 10,
            cluster: None,
            clusterset: None,
            labels: std::collections::BTreeMap::new(),
            auto_accept,
        };
        match self.command(Command::CreateToken(grant)).await {
            CommandResult::Done { credential, .. } => {
                (key, credential.expect("the bootstrap credential"))
            }
            CommandResult::Refused(refusal) => panic!("no token: {refusal:?}"),
        }
    }
}

/// Everything of a kind.
pub(crate) fn select(kind: KindName) -> Selection {
    Selection {
        kind,
        workspace: None,
        name: None,
        label_selector: None,
        at: None,
    }
}

/// An apply command.
pub(crate) fn apply(resource: Value) -> Command {
    Command::Apply {
        resource,
        manager: "test".into(),
        precondition: Precondition::None,
        validation: FieldValidation::Strict,
        dry_run: false,
    }
}

/// A clusterset document.
pub(crate) fn clusterset(name: &str) -> Value {
    json!({"apiVersion": "cluster.open-cluster-management.io/v1beta2", "kind": "ManagedClusterSet",
        "metadata": {"name": name}})
}

/// A work document with one ConfigMap whose text has `bytes` characters.
pub(crate) fn work(cluster: &str, name: &str, bytes: usize) -> Value {
    json!({"apiVersion": "work.open-cluster-management.io/v1", "kind": "ManifestWork",
        "metadata": {"name": name, "namespace": cluster},
        "spec": {"workload": {"manifests": [{"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "default"}, "data": {"text": "x".repeat(bytes)}}]}}})
}

/// A cluster's name.
pub(crate) fn cluster_name(name: &str) -> ClusterName {
    ClusterName::new(name).unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test against real servers has the real time"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test against real servers makes real ids"
)]
pub(crate) fn new_id() -> Uuid {
    Uuid::now_v7()
}
