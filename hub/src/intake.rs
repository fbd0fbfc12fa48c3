//! Commands as they come from the bus, made into requests for the driver.
//!
//! Whoever sends a command is told by the subject alone, which the bus has checked. Whatever is
//! wrong with a message becomes a refusal with a code and a path: nothing is thrown away, and
//! nothing a user can send stops the hub.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use skein_nats::commands::{CommandQueue, QueuedCommand};
use skein_nats::{Connection, Headers};
use skein_schema::code::{Code, Refusal, excerpt};
use skein_schema::command::{
    self, CLOCK_SKEW_MAX_SECONDS, Command, CommandMessage, DEADLINE_MAX_SECONDS,
};
use skein_schema::digest::Digest;
use skein_schema::envelope::{Actor, Envelope, EnvelopeError};
use skein_schema::name::UserName;
use skein_schema::subject;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::metrics::Metrics;
use crate::state::{Standing, State};
use crate::task::Stop;
use crate::trace::is_traceparent;

/// Commands taken at a time.
const BATCH: usize = 256;

/// Longest text of a message that a refusal repeats, in characters. Such a refusal goes into the
/// ledger before anybody's permission was asked.
pub(crate) const EXCERPT: usize = 200;

/// What to do about a command that has more to it than this hub knows.
const NEWER_SENDER: &str = "the sender may be newer than this hub: upgrade the hub first";

/// A message of the COMMANDS stream.
#[derive(Debug, Clone)]
pub struct RawCommand {
    /// Who sent it, as the bus says.
    pub user: UserName,
    /// The last token of its subject.
    pub verb: String,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: bytes::Bytes,
    /// Its sequence in the COMMANDS stream; it is acknowledged by it.
    pub sequence: u64,
    /// When the bus stored it.
    pub stored_at: Timestamp,
    /// How often the bus has handed it out.
    pub deliveries: u32,
}

impl RawCommand {
    fn of(queued: &QueuedCommand) -> Option<Self> {
        let (user, verb) = subject::parse_command(&queued.subject).ok()?;
        Some(Self {
            user,
            verb,
            headers: queued.headers.clone(),
            body: queued.body.clone(),
            sequence: queued.sequence,
            stored_at: queued.time,
            deliveries: queued.deliveries,
        })
    }
}

/// A command that waits for its decision.
#[derive(Debug, Clone)]
pub struct CommandRequest {
    /// Its id; the same message has the same id each time it is delivered.
    pub id: Uuid,
    /// Who wants it.
    pub user: UserName,
    /// The verb as the subject says it, for the record and for counting.
    pub verb: String,
    /// What is wanted, or why the message cannot be one.
    pub wish: Result<Command, Refusal>,
    /// Until when it may be decided.
    pub deadline: Timestamp,
    /// One id for all that follows.
    pub correlation_id: Uuid,
    /// W3C trace context of the sender.
    pub traceparent: Option<String>,
    /// For whom it was sent, if for somebody else.
    pub on_behalf_of: Option<Actor>,
    /// Digest of the body.
    pub body: Digest,
    /// Its sequence in the COMMANDS stream.
    pub sequence: u64,
    /// When the bus stored it.
    pub stored_at: Timestamp,
    /// How often the bus has handed it out. If more than once, it may have been answered before,
    /// also where no outcome is recorded: one that changes nothing leaves no record.
    pub deliveries: u32,
}

impl CommandRequest {
    /// Reads a message.
    #[must_use]
    pub fn read(raw: &RawCommand) -> Self {
        let envelope = Envelope::from_headers(|name| raw.headers.get(name));
        let id = message_id(raw);
        let body = Digest::of(&raw.body);
        let correlation_id = envelope.as_ref().map_or(id, |e| e.correlation_id);
        let traceparent = raw
            .headers
            .get("traceparent")
            .filter(|text| is_traceparent(text))
            .map(str::to_owned);
        let on_behalf_of = envelope.as_ref().ok().and_then(|e| e.on_behalf_of.clone());
        let read = read(raw, envelope);
        let seconds = read
            .as_ref()
            .map_or(DEADLINE_MAX_SECONDS, |message| message.deadline_seconds);
        Self {
            id,
            user: raw.user.clone(),
            verb: if verb_is_known(&raw.verb) {
                raw.verb.clone()
            } else {
                "unknown".to_owned()
            },
            wish: read.map(|message| message.command),
            deadline: raw.stored_at + SignedDuration::from_secs(i64::from(seconds)),
            correlation_id,
            traceparent,
            on_behalf_of,
            body,
            sequence: raw.sequence,
            stored_at: raw.stored_at,
            deliveries: raw.deliveries,
        }
    }

    /// Who caused what follows.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::User(self.user.clone())
    }

    /// Whether the command wants to be decided, but not recorded.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        matches!(
            self.wish,
            Ok(Command::Apply { dry_run: true, .. }
                | Command::Patch { dry_run: true, .. }
                | Command::Delete { dry_run: true, .. })
        )
    }
}

/// The id that the sender gave, or one made of the message's place in the stream: a message
/// without an id is refused under the same id each time it is delivered.
fn message_id(raw: &RawCommand) -> Uuid {
    let given = raw.headers.get("ce-id").and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| {
        let digest =
            Digest::of(format!("skein command {} {}", raw.sequence, raw.stored_at).as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.as_bytes()[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    })
}

fn read(
    raw: &RawCommand,
    envelope: Result<Envelope, EnvelopeError>,
) -> Result<CommandMessage, Refusal> {
    let envelope = envelope.map_err(|error| envelope_refusal(&error))?;
    if envelope.actor != Actor::User(raw.user.clone()) {
        return Err(Refusal::new(
            Code::InvalidField,
            "the message names another sender than its subject",
        )
        .with_cause("ce-actor", format!("must be user:{}", raw.user)));
    }
    envelope
        .check_body(&raw.body)
        .map_err(|error| envelope_refusal(&error))?;
    let apart = raw.stored_at.duration_since(envelope.time).abs();
    if apart > SignedDuration::from_secs(CLOCK_SKEW_MAX_SECONDS) {
        return Err(Refusal::new(
            Code::ClockSkew,
            format!(
                "the sender's clock is {} s away from the bus's",
                apart.as_secs()
            ),
        )
        .with_cause(
            "ce-time",
            format!(
                "must be within {CLOCK_SKEW_MAX_SECONDS} s of {}",
                raw.stored_at
            ),
        )
        .with_hint("set the clock of the machine that sends, e.g. by NTP, and try again"));
    }
    parse(&raw.verb, &raw.body)
}

/// Reads a command's body. It must be what its subject says it is.
fn parse(verb: &str, body: &[u8]) -> Result<CommandMessage, Refusal> {
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        Refusal::new(Code::MalformedDocument, "the command's body is not JSON").with_cause(
            "",
            format!("line {}, column {}", error.line(), error.column()),
        )
    })?;
    let named = value.get("verb").and_then(Value::as_str);
    if !named.is_some_and(|named| command::verbs().any(|known| known == named)) {
        let verbs: Vec<&str> = command::verbs().collect();
        return Err(
            Refusal::new(Code::InvalidArgument, "the command's verb is not known")
                .with_cause("verb", format!("must be one of {}", verbs.join(", ")))
                .with_hint(NEWER_SENDER),
        );
    }
    let unknown = command::unknown_members(&value);
    if !unknown.is_empty() {
        return Err(Refusal::of_fields("the command's body", &unknown).with_hint(NEWER_SENDER));
    }
    let message: CommandMessage = serde_json::from_value(value).map_err(|error| {
        Refusal::new(
            Code::InvalidArgument,
            "the command's body does not fit its verb",
        )
        .with_cause("", excerpt(&error.to_string(), EXCERPT))
    })?;
    if message.command.verb() != verb {
        return Err(Refusal::new(
            Code::InvalidArgument,
            "the command's verb is not that of its subject",
        )
        .with_cause(
            "verb",
            format!("must be that of {:?}", excerpt(verb, EXCERPT)),
        ));
    }
    if message.deadline_seconds == 0 || message.deadline_seconds > DEADLINE_MAX_SECONDS {
        return Err(Refusal::new(
            Code::InvalidArgument,
            "the command's deadline is out of range",
        )
        .with_cause(
            "deadlineSeconds",
            format!("must be between 1 and {DEADLINE_MAX_SECONDS}"),
        ));
    }
    Ok(message)
}

/// The refusal for an envelope that cannot be read.
pub(crate) fn envelope_refusal(error: &EnvelopeError) -> Refusal {
    let (code, path) = match error {
        EnvelopeError::FromTheFuture { .. } => (Code::UnsupportedVersion, "ce-schemaversion"),
        EnvelopeError::Missing { header } | EnvelopeError::Invalid { header, .. } => {
            (Code::InvalidField, *header)
        }
        EnvelopeError::Digest => (Code::MalformedDocument, "ce-digest"),
    };
    let refusal = Refusal::new(code, "the message's envelope is not valid")
        .with_cause(path, excerpt(&error.to_string(), EXCERPT));
    match code {
        Code::UnsupportedVersion => refusal.with_hint("upgrade the hub before its clients"),
        _ => refusal,
    }
}

fn verb_is_known(verb: &str) -> bool {
    matches!(
        verb,
        "apply" | "patch" | "delete" | "accept" | "deny" | "create-token" | "revoke-token"
    )
}

/// Commands that were handed out and are not done: they are taken off the queue when their answer
/// was sent. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Undone(Arc<Mutex<BTreeMap<u64, QueuedCommand>>>);

impl Undone {
    fn add(&self, command: QueuedCommand) {
        self.lock().insert(command.sequence, command);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, QueuedCommand>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a command off the queue. One that is not known was given back meanwhile.
    pub async fn done(&self, sequence: u64) {
        let command = self.lock().remove(&sequence);
        if let Some(command) = command {
            command.done().await;
        }
    }

    /// Gives all back, for the hub that leads now.
    async fn give_back(&self) {
        let commands = std::mem::take(&mut *self.lock());
        for command in commands.into_values() {
            command.give_back().await;
        }
    }
}

/// Takes commands off the bus while this hub decides, until told to stop. A hub that is `alone` and
/// fenced takes them to refuse them; where there are others, they are for the one that leads.
///
/// # Errors
/// When nobody leads or follows any more.
pub async fn run(
    connection: Connection,
    state: Arc<State>,
    undone: Undone,
    commands: mpsc::Sender<CommandRequest>,
    metrics: Arc<Metrics>,
    alone: bool,
    stop: Stop,
) -> anyhow::Result<()> {
    let mut standing = state.standing();
    let takes = |standing: &Standing| match standing {
        Standing::Leading => true,
        Standing::Fenced(_) => alone,
        Standing::CatchingUp | Standing::Following => false,
    };
    let gives_back = |standing: &Standing| match standing {
        Standing::Following => true,
        Standing::Fenced(_) => !alone,
        // A short catching-up after a conflict does not give commands away.
        Standing::CatchingUp | Standing::Leading => false,
    };
    loop {
        tokio::select! {
            () = stop.wait() => return Ok(()),
            leads = standing.wait_for(takes) => drop(leads?),
        }
        // Opened anew each time: what a queue has fetched is the hub's that leads.
        let mut queue = CommandQueue::new(&connection);
        loop {
            let batch = tokio::select! {
                () = stop.wait() => return Ok(()),
                changed = standing.wait_for(gives_back) => {
                    drop(changed?);
                    break;
                }
                batch = queue.next_batch(BATCH) => batch,
            };
            for queued in batch {
                let Some(raw) = RawCommand::of(&queued) else {
                    // The bus lets nobody publish there.
                    metrics.count(&metrics.malformed, "command");
                    tracing::error!(subject = %queued.subject, "a command came on a subject that is none");
                    queued.done().await;
                    continue;
                };
                let request = CommandRequest::read(&raw);
                undone.add(queued);
                if request.wish.is_err() {
                    metrics.count(&metrics.malformed, "command");
                }
                if commands.send(request).await.is_err() {
                    return Ok(());
                }
            }
        }
        drop(queue);
        undone.give_back().await;
    }
}

#[cfg(test)]
mod tests;
