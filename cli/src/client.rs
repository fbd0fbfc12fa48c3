//! The conversation with a hub: commands and their results, questions and their answers.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use serde::de::DeserializeOwned;
use skein_nats::connect::{self, Retry, Tls};
use skein_nats::{Connection, Credentials, Headers, Message, Settings};
use skein_schema::code::{Code, Refusal};
use skein_schema::command::{Change, Command, CommandMessage, CommandResult};
use skein_schema::digest::Digest;
use skein_schema::envelope::{Actor, Envelope, Producer, SCHEMA_VERSION};
use skein_schema::name::UserName;
use skein_schema::query::{Answer, Query};
use skein_schema::subject;
use uuid::Uuid;

use crate::app;
use crate::context::Context;
use crate::error::{CliError, CliResult};

mod answers;
mod failure;

pub(crate) use answers::{Answers, Unheard};

/// A connection to a hub as one user.
pub(crate) struct Client {
    connection: Connection,
    user: UserName,
    timeout: Duration,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) change: Change,
    pub(crate) object: Option<serde_json::Value>,
    pub(crate) credential: Option<String>,
    pub(crate) warnings: Vec<String>,
}

impl Client {
    /// Connects as `context` says. `timeout` bounds connecting, each command, and each silence of a
    /// hub that answers.
    pub(crate) async fn connect(context: &Context, timeout: Duration) -> CliResult<Self> {
        let credentials = &context.credentials;
        if let Err(error) = std::fs::metadata(credentials) {
            return Err(CliError::io(
                &format!("read the credentials {}", credentials.display()),
                &error,
            )
            .with_hint("the context names this file; `skein context show` prints it"));
        }
        let mut settings = Settings::new(
            context.servers.clone(),
            format!("skein {}", context.user),
            Credentials::File(credentials.clone()),
            subject::inbox_prefix(context.user.as_str()),
        );
        settings.connect_timeout = timeout;
        settings.request_timeout = timeout;
        settings.retry = Retry::No;
        settings.tls = authority(context)?.map(|pem| Tls {
            authority: Some(pem),
            client: None,
        });
        let connection = connect::connect(&settings)
            .await
            .map_err(|error| failure::of_connection(context, &error))?;
        Ok(Self {
            connection,
            user: context.user.clone(),
            timeout,
        })
    }

    /// Sends `command` and waits for its result.
    pub(crate) async fn command(&self, command: Command) -> CliResult<Done> {
        let id = app::new_id();
        let verb = command.verb();
        let message = CommandMessage {
            deadline_seconds: u32::try_from(self.timeout.as_secs())
                .unwrap_or(u32::MAX)
                .max(1),
            command,
        };
        let body = to_body(&message)?;
        let headers = self.envelope(id, &format!("skein.command.{verb}.v1"), &body);
        let mut results = self
            .connection
            .subscribe(&subject::result(&self.user, id))
            .await
            .map_err(|error| {
                CliError::new(Code::Unreachable, "cannot listen for the result").because(&error)
            })?;
        // The first answer is the bus's: the command is stored and cannot be lost any more.
        let answer = self
            .connection
            .request(&subject::command(&self.user, verb), headers, body)
            .await;
        failure::check_stored(answer, id)?;
        let message = match tokio::time::timeout(self.timeout, results.next()).await {
            Ok(Some(message)) => message,
            Ok(None) => return Err(failure::lost(id)),
            Err(_) => return Err(failure::no_result(id, self.timeout)),
        };
        match from_body(&message)? {
            CommandResult::Done {
                change,
                object,
                credential,
                warnings,
                ..
            } => Ok(Done {
                change,
                object,
                credential,
                warnings,
            }),
            CommandResult::Refused(refusal) => Err(refusal.into()),
        }
    }

    /// Asks `query`; the answers come through [`Answers::next`].
    pub(crate) async fn query(&self, query: &Query) -> CliResult<Answers> {
        let body = to_body(query)?;
        let headers = self.envelope(
            app::new_id(),
            &format!("skein.query.{}.v1", query.what()),
            &body,
        );
        let events = self.connection.events();
        let stream = self
            .connection
            .request_many(&subject::query(&self.user, query.what()), headers, body)
            .await
            .map_err(|error| failure::of_question(&error, "the question was not sent"))?;
        Ok(Answers::new(stream, self.timeout, events))
    }

    /// How long the bus and the hub may take to answer.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How long the bus takes for one round trip, and nothing else.
    pub(crate) async fn round_trip(&self) -> CliResult<()> {
        let silent = || CliError::new(Code::Unreachable, "the bus does not answer");
        match tokio::time::timeout(self.timeout, self.connection.round_trip()).await {
            Ok(answered) => answered.map_err(|error| silent().because(&error)),
            Err(_) => Err(silent()),
        }
    }

    fn envelope(&self, id: Uuid, kind: &str, body: &Bytes) -> Headers {
        let envelope = Envelope {
            id,
            kind: kind.to_owned(),
            source: format!("/cli/{}", self.user),
            subject: String::from("-"),
            time: app::now(),
            actor: Actor::User(self.user.clone()),
            on_behalf_of: None,
            command_id: None,
            causation_id: None,
            correlation_id: id,
            traceparent: Some(app::new_traceparent()),
            producer: Producer::this_build("skein"),
            schema_version: SCHEMA_VERSION,
            digest: Digest::of(body),
        };
        let mut headers = Headers::new();
        for (name, value) in envelope.to_headers() {
            headers = headers.with(name, value);
        }
        headers
    }
}

/// PEM of the authority that the context names, if it does.
pub(crate) fn authority(context: &Context) -> CliResult<Option<String>> {
    let read = |path: &std::path::PathBuf| {
        std::fs::read_to_string(path)
            .map_err(|error| CliError::io(&format!("read {}", path.display()), &error))
    };
    context.certificate_authority.as_ref().map(read).transpose()
}

/// An answer of another kind than the question asks for: a hub of another version.
pub(crate) fn unexpected(answer: &Answer) -> CliError {
    CliError::from(Refusal::new(
        Code::Internal,
        format!("the hub answered with something else: {answer:?}"),
    ))
}

fn to_body(value: &impl serde::Serialize) -> CliResult<Bytes> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| CliError::new(Code::Internal, "cannot write the message").because(&error))
}

fn from_body<T: DeserializeOwned>(message: &Message) -> CliResult<T> {
    serde_json::from_slice(&message.body).map_err(|error| {
        CliError::new(Code::UnsupportedVersion, "the hub's answer cannot be read")
            .because(&error)
            .with_hint("compare `skein version` with the hub's: one of them is too old")
    })
}
