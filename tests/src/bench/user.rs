//! A user who sends commands as the command line does.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use serde_json::Value;
use skein_nats::accounts::Role;
use skein_nats::connect::Answers;
use skein_nats::{Connection, Headers};
use skein_schema::command::{
    Command, CommandMessage, CommandResult, FieldValidation, Precondition,
};
use skein_schema::digest::Digest;
use skein_schema::envelope::{Actor, Envelope, Producer, SCHEMA_VERSION};
use skein_schema::name::UserName;
use skein_schema::query::Query;
use skein_schema::subject;
use uuid::Uuid;

use super::now;
use super::raw;
use crate::sim_cluster::random::Random;
use crate::stage::{Failure, Outcome};

/// The administrator.
pub(super) struct User {
    connection: Connection,
    name: UserName,
    random: Random,
}

/// When a command was where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    /// The queue has it.
    pub(super) stored: Instant,
    /// The hub has answered.
    pub(super) answered: Instant,
    /// The ledger sequence of its record.
    pub(super) sequence: u64,
}

impl User {
    /// Connects to the bus at `url`, whose keys are in `data`.
    pub(super) async fn enter(data: &Path, url: &str) -> Outcome<Self> {
        let connection = raw::enter(data, url, Role::User, "admin").await?;
        let seed = u64::try_from(now().as_nanosecond()).unwrap_or_default();
        Ok(Self {
            connection,
            name: UserName::new("admin").expect("a label"),
            random: Random::new(seed),
        })
    }

    /// Another client on the same connection.
    pub(super) fn beside(&mut self) -> Self {
        Self {
            connection: self.connection.clone(),
            name: self.name.clone(),
            random: Random::new(self.random.next()),
        }
    }

    /// A UUIDv7 of this millisecond.
    fn id(&mut self) -> Uuid {
        let millis = u64::try_from(now().as_millisecond()).unwrap_or_default();
        let mut tail = [0; 10];
        tail[..8].copy_from_slice(&self.random.next().to_le_bytes());
        uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid()
    }

    /// Applies a document and waits for the answer.
    pub(super) async fn apply(&mut self, resource: Value) -> Outcome<Sent> {
        self.command(Command::Apply {
            resource,
            manager: "bench".to_owned(),
            precondition: Precondition::None,
            validation: FieldValidation::Strict,
            dry_run: false,
        })
        .await
    }

    async fn command(&mut self, command: Command) -> Outcome<Sent> {
        let id = self.id();
        let verb = command.verb();
        let message = CommandMessage {
            deadline_seconds: 60,
            command,
        };
        let body = Bytes::from(serde_json::to_vec(&message).expect("a command is JSON"));
        let headers = self.envelope(id, &format!("skein.command.{verb}.v1"), &body);
        let mut results = self
            .connection
            .subscribe(&subject::result(&self.name, id))
            .await
            .map_err(|error| Failure::because("listen for the result", &error))?;
        self.connection
            .request(&subject::command(&self.name, verb), headers, body)
            .await
            .map_err(|error| Failure::because("send a command", &error))?;
        let stored = Instant::now();
        let result = tokio::time::timeout(raw::PATIENCE, results.next())
            .await
            .ok()
            .flatten()
            .ok_or_else(|| Failure::new("a command was not answered"))?;
        let answered = Instant::now();
        match serde_json::from_slice(&result.body) {
            Ok(CommandResult::Done { sequence, .. }) => Ok(Sent {
                stored,
                answered,
                sequence: sequence.unwrap_or_default(),
            }),
            Ok(CommandResult::Refused(refusal)) => Err(Failure::new(format!(
                "a command was refused: {}",
                refusal.message
            ))),
            Err(error) => Err(Failure::because("read the result", &error)),
        }
    }

    /// Asks a question; the answers come one by one.
    pub(super) async fn ask(&mut self, query: &Query) -> Outcome<Answers> {
        let id = self.id();
        let body = Bytes::from(serde_json::to_vec(query).expect("a question is JSON"));
        let headers = self.envelope(id, &format!("skein.query.{}.v1", query.what()), &body);
        self.connection
            .request_many(&subject::query(&self.name, query.what()), headers, body)
            .await
            .map_err(|error| Failure::because("ask", &error))
    }

    fn envelope(&self, id: Uuid, kind: &str, body: &Bytes) -> Headers {
        let envelope = Envelope {
            id,
            kind: kind.to_owned(),
            source: "/bench".to_owned(),
            subject: "-".to_owned(),
            time: now(),
            actor: Actor::User(self.name.clone()),
            on_behalf_of: None,
            command_id: None,
            causation_id: None,
            correlation_id: id,
            traceparent: None,
            producer: Producer::this_build("bench"),
            schema_version: SCHEMA_VERSION,
            digest: Digest::of(body),
        };
        envelope.to_headers().into_iter().collect()
    }
}

/// How long the next message of a stream is waited for.
pub(super) const NEXT: Duration = raw::PATIENCE;
