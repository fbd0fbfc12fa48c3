//! The conversation with a hub: commands and their results, questions and their answers.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use serde::de::DeserializeOwned;
use skein_nats::connect::{self, ConnectError, RequestError, Retry, Tls};
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

/// How long a hub may be silent within an answer before we call it gone.
const SILENCE: Duration = Duration::from_secs(15);
/// How long we wait for the next change of something that may never change again.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

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
    /// Connects as `context` says. `timeout` bounds connecting and each command.
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
            .map_err(|error| connect_error(context, &error))?;
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
        self.connection
            .request(&subject::command(&self.user, verb), headers, body)
            .await
            .map_err(|error| {
                request_error(&error, "the command was not stored; nothing has changed")
            })?;
        let result = tokio::time::timeout(self.timeout, results.next()).await;
        let message = match result {
            Ok(Some(message)) => message,
            Ok(None) => return Err(CliError::new(Code::Unreachable, "the connection was lost before the result came").with_hint(
                format!("`skein events --type command --since 5m` tells what became of it (command {id})"),
            )),
            Err(_) => return Err(CliError::new(
                Code::NoHub,
                format!("no hub has answered within {}s", self.timeout.as_secs()),
            )
            .with_hint(format!("the command {id} has passed its deadline and will not be carried out; `skein doctor` looks for the cause"))),
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
        let endless = matches!(query, Query::Watch(_))
            || matches!(query, Query::Events(filter) if filter.follow);
        let body = to_body(query)?;
        let headers = self.envelope(
            app::new_id(),
            &format!("skein.query.{}.v1", query.what()),
            &body,
        );
        let stream = self
            .connection
            .request_many(&subject::query(&self.user, query.what()), headers, body)
            .await
            .map_err(|error| request_error(&error, "the question was not answered"))?;
        Ok(Answers {
            stream,
            endless,
            first: true,
        })
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

/// The answers to one question.
pub(crate) struct Answers {
    stream: connect::Answers,
    endless: bool,
    first: bool,
}

impl Answers {
    /// The next answer; `None` after the last one.
    pub(crate) async fn next(&mut self) -> CliResult<Option<Answer>> {
        // A watch may be silent as long as nothing changes; its first answer may not.
        let patience = if self.endless && !self.first {
            FOREVER
        } else {
            SILENCE
        };
        self.first = false;
        let message = self
            .stream
            .next(patience)
            .await
            .map_err(|error| request_error(&error, "the hub has stopped answering"))?;
        match from_body(&message)? {
            Answer::End { .. } => Ok(None),
            Answer::Refused(refusal) => Err(refusal.into()),
            answer => Ok(Some(answer)),
        }
    }

    /// All answers until the last.
    pub(crate) async fn collect(mut self) -> CliResult<Vec<Answer>> {
        let mut answers = Vec::new();
        while let Some(answer) = self.next().await? {
            answers.push(answer);
        }
        Ok(answers)
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

fn connect_error(context: &Context, error: &ConnectError) -> CliError {
    let servers = context.servers.join(", ");
    let (code, message, hint) = match error {
        ConnectError::Refused { .. } => (
            Code::Unauthenticated,
            format!(
                "the bus does not accept the credentials of user {}",
                context.user
            ),
            "they may have expired or been revoked: ask an administrator of the hub for new ones",
        ),
        ConnectError::Credentials { .. } => (
            Code::LocalFile,
            format!(
                "cannot use the credentials {}",
                context.credentials.display()
            ),
            "`skein context show` prints which file the context names",
        ),
        _ => (
            Code::Unreachable,
            format!("cannot reach the bus at {servers}"),
            "is the hub running? `skein up` starts one; `skein context list` shows where you look",
        ),
    };
    CliError::new(code, message).because(error).with_hint(hint)
}

fn request_error(error: &RequestError, consequence: &str) -> CliError {
    match error {
        RequestError::NobodyThere { .. } => {
            CliError::new(Code::NoHub, format!("no hub is there: {consequence}"))
                .with_hint("the bus runs, but no hub is connected to it; `skein doctor` tells more")
        }
        other => CliError::new(Code::Unreachable, consequence).because(other),
    }
}
