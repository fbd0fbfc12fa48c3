//! A command becomes a decision or a refusal. One command, one file.

use std::error::Error as _;
use std::fmt;

use jiff::Timestamp;
use skein_schema::code::{Code, Refusal, excerpt};
use skein_schema::command::{Change, Command, Precondition};
use skein_schema::digest::Digest;
use skein_schema::envelope::Actor;
use skein_schema::event::{CommandRefused, Event};
use skein_schema::kind::admission::Review;
use skein_schema::name::TokenName;
use skein_schema::object::ObjectKey;
use skein_schema::record::Record;
use skein_schema::resource::Resource;
use skein_schema::subject;
use uuid::Uuid;

use crate::access::{self, Access};
use crate::observed::Observed;
use crate::world::{Outcome, World};

mod accept;
mod apply;
mod create_token;
mod delete;
mod deny;
mod patch;
mod protect;
mod revoke_token;
mod store;

pub(crate) use accept::HUB_MANAGER;
pub(crate) use accept::acceptance;
pub(crate) use delete::{finish_cluster, gone};
pub(crate) use protect::always_there;
pub(crate) use store::{add_hub_taints, complete};

/// Largest record of a decision, in bytes: what the ledger takes, less room for headers.
pub const RECORD_MAX: usize = 600 * 1024;

/// Longest text of a command that a refusal repeats, in characters.
const EXCERPT: usize = 200;

/// What a decision depends on beside the world.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The hub's clock.
    pub now: Timestamp,
    /// Who wants it, as the bus proved it.
    pub actor: &'a Actor,
    /// The command's id. What a command makes gets its uid from it.
    pub command: Uuid,
}

/// What a record is about: it is appended under its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An object.
    Object(ObjectKey),
    /// A join token.
    Token(TokenName),
    /// A command about nothing that could be told.
    Command(Uuid),
}

impl Subject {
    /// The subject of its records in the ledger.
    #[must_use]
    pub fn ledger_subject(&self) -> String {
        match self {
            Self::Object(key) => key.ledger_subject(),
            Self::Token(token) => subject::ledger("tokens", None, token.as_str()),
            Self::Command(id) => subject::ledger("commands", None, &id.to_string()),
        }
    }

    /// The object, if it is one.
    #[must_use]
    pub fn object(&self) -> Option<&ObjectKey> {
        match self {
            Self::Object(key) => Some(key),
            Self::Token(_) | Self::Command(_) => None,
        }
    }
}

impl fmt::Display for Subject {
    /// `managedclusters/c1`, `tokens/shop`, `commands/<id>`: the envelope's subject.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(key) => key.fmt(f),
            Self::Token(token) => write!(f, "tokens/{token}"),
            Self::Command(id) => write!(f, "commands/{id}"),
        }
    }
}

/// What is to be recorded, and what to answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What it is about.
    pub subject: Subject,
    /// What is to be recorded; without events, nothing is.
    pub record: Record,
    /// What becomes of the object.
    pub change: Change,
    /// The object as it will be, packed; its resourceVersion is the record's sequence, which is not
    /// known here.
    pub object: Option<Resource>,
    /// What the sender should know.
    pub warnings: Vec<String>,
    /// Manifests that the record names by digest. They are to be stored before it.
    pub contents: Vec<(Digest, Vec<u8>)>,
    /// The permissions that were asked for, in order.
    pub asked: Vec<Review>,
    /// The sequence of the record that decided this command already, if it was delivered again.
    pub decided_at: Option<u64>,
}

impl Decision {
    /// A decision about `subject`.
    pub(crate) fn new(subject: Subject, change: Change, events: Vec<Event>) -> Self {
        Self {
            subject,
            record: Record { events },
            change,
            object: None,
            warnings: Vec::new(),
            contents: Vec::new(),
            asked: Vec::new(),
            decided_at: None,
        }
    }

    /// Nothing is to be done about `subject`.
    pub(crate) fn unchanged(subject: Subject) -> Self {
        Self::new(subject, Change::Unchanged, Vec::new())
    }

    /// The record that a command was refused. The refusal is bounded, so that the ledger takes every
    /// such record.
    #[must_use]
    pub fn refused(
        command: Uuid,
        verb: &str,
        about: Option<&Command>,
        body: Digest,
        refusal: Refusal,
    ) -> Self {
        let key = about.and_then(access::object_of);
        let subject = match (about, &key) {
            (_, Some(key)) => Subject::Object(key.clone()),
            (Some(Command::CreateToken(grant)), None) => Subject::Token(grant.token.clone()),
            (Some(Command::RevokeToken { token }), None) => Subject::Token(token.clone()),
            _ => Subject::Command(command),
        };
        let refused = CommandRefused {
            verb: verb.to_owned(),
            key,
            refusal: refusal.bounded(),
            body,
        };
        Self::new(
            subject,
            Change::Unchanged,
            vec![Event::CommandRefused(refused)],
        )
    }

    /// True if nothing is to be recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.record.events.is_empty()
    }
}

/// Decides a command. Its answer is the same each time it is delivered.
///
/// Permission is asked first, so that a refusal tells nobody what exists.
///
/// # Errors
/// Why it is refused; also if it was refused before, or if its id was used by somebody else.
pub fn decide(
    world: &World,
    observed: &Observed,
    command: &Command,
    context: &Context<'_>,
) -> Result<Decision, Refusal> {
    if let Some(answer) = answered(world, command, context) {
        return answer;
    }
    let mut gate = Gate::new(world, context);
    let decision = match command {
        Command::Apply {
            resource,
            manager,
            precondition,
            validation,
            dry_run: _,
        } => apply::decide(
            world,
            &apply::Apply {
                document: resource,
                manager,
                precondition: *precondition,
                validation: *validation,
            },
            context,
            &mut gate,
        ),
        Command::Patch {
            key,
            patch,
            manager,
            precondition,
            dry_run: _,
        } => patch::decide(
            world,
            &patch::Patch {
                key,
                patch,
                manager,
                precondition: *precondition,
            },
            context,
            &mut gate,
        ),
        Command::Delete {
            key,
            precondition,
            force,
            dry_run: _,
        } => delete::decide(world, observed, key, *precondition, *force, &mut gate),
        Command::Accept { cluster } => accept::decide(world, cluster, context, &mut gate),
        Command::Deny { cluster } => deny::decide(world, cluster, &mut gate),
        Command::CreateToken(grant) => create_token::decide(world, grant, context, &mut gate),
        Command::RevokeToken { token } => revoke_token::decide(world, token, &mut gate),
    };
    let asked = gate.asked;
    let decision = decision?;
    check_record(&decision)?;
    Ok(Decision { asked, ..decision })
}

/// Refuses what the ledger could not take, and what no hub could read back: the record would stand
/// in the way of all behind it.
fn check_record(decision: &Decision) -> Result<(), Refusal> {
    let subject = &decision.subject;
    if decision.is_empty() {
        return Ok(());
    }
    let body = decision.record.encode();
    if body.len() > RECORD_MAX {
        let message = format!(
            "the change of {subject} makes a record of {} bytes; the ledger takes {RECORD_MAX}",
            body.len()
        );
        return Err(Refusal::new(Code::TooLarge, message).with_hint(
            "split the object, shorten its annotations, or delete a cluster's works first",
        ));
    }
    Record::decode(&body).map(drop).map_err(|error| {
        let message = format!("the change of {subject} makes a record that cannot be read back");
        let why = error.source().unwrap_or(&error).to_string();
        Refusal::new(Code::InvalidField, message)
            .with_cause("", excerpt(&why, EXCERPT))
            .with_hint("nest its fields less deeply, and leave out times of other ages")
    })
}

/// Refuses to carry out late what somebody has changed their mind about.
///
/// For a command that is delivered again and has no outcome. Most likely no hub has decided it yet.
/// But it may also have been answered before, and found to need no change, which leaves no record:
/// what was decided since then, say that the cluster is denied, must not be undone by it.
///
/// # Errors
/// [`Code::Conflict`], if the decision would change an object that was changed since `stored_at`,
/// when the bus stored the command.
pub fn check_not_overtaken(
    world: &World,
    decision: &Decision,
    stored_at: Timestamp,
) -> Result<(), Refusal> {
    let Some(key) = decision.subject.object().filter(|_| !decision.is_empty()) else {
        // A token is made once and never changes, but for its end.
        return Ok(());
    };
    match world.changed_at(key) {
        Some(changed_at) if changed_at >= stored_at => Err(Refusal::new(
            Code::Conflict,
            format!("{key} was changed at {changed_at}, after the command was sent at {stored_at}"),
        )
        .with_hint(
            "the command came late; read the object again, and send it anew if still meant",
        )),
        _ => Ok(()),
    }
}

/// The answer to a command that was decided already.
fn answered(
    world: &World,
    command: &Command,
    context: &Context<'_>,
) -> Option<Result<Decision, Refusal>> {
    let known = world.outcome(context.command)?;
    if known.actor != *context.actor {
        let message = format!("command id {} was used by somebody else", context.command);
        let refusal = Refusal::new(Code::Conflict, message).with_hint("send it under a new id");
        return Some(Err(refusal));
    }
    match &known.outcome {
        Outcome::Refused(refusal) => Some(Err((**refusal).clone())),
        Outcome::Done(change) => {
            let key = access::object_of(command);
            let subject = match command {
                Command::CreateToken(grant) => Subject::Token(grant.token.clone()),
                Command::RevokeToken { token } => Subject::Token(token.clone()),
                _ => key
                    .clone()
                    .map_or(Subject::Command(context.command), Subject::Object),
            };
            // The id is the sender's choice, and the command may be another one than the one it was
            // first used for: what it names is shown only to those who may see it.
            let may_see = |key: &ObjectKey| {
                access::authorize(world, context.actor, &access::on_object("get", key)).is_ok()
            };
            let object = key
                .filter(may_see)
                .and_then(|key| world.get(&key))
                .map(|object| (**object).clone());
            Some(Ok(Decision {
                object,
                change: *change,
                decided_at: Some(known.sequence),
                ..Decision::unchanged(subject)
            }))
        }
    }
}

/// Asks for permissions and remembers which.
#[derive(Debug)]
pub(crate) struct Gate<'a> {
    access: Access<'a>,
    asked: Vec<Review>,
}

impl<'a> Gate<'a> {
    pub(crate) fn new(world: &'a World, context: &Context<'a>) -> Self {
        Self {
            access: Access::new(world, context.actor),
            asked: Vec::new(),
        }
    }

    /// Refuses if the actor lacks the permission.
    pub(crate) fn ask(&mut self, review: Review) -> Result<(), Refusal> {
        let verdict = self.access.check(&review);
        self.asked.push(review);
        verdict
    }

    /// Refuses a role or binding that gives what the actor does not have.
    pub(crate) fn check_grant(
        &self,
        new: &Resource,
        old: Option<&Resource>,
    ) -> Result<(), Refusal> {
        self.access.check_grant(new, old)
    }
}

/// Refuses if the object is not as the sender thinks.
fn check_precondition(
    precondition: Precondition,
    key: &ObjectKey,
    found: Option<&Resource>,
) -> Result<(), Refusal> {
    match (precondition, found) {
        (Precondition::None, _)
        | (Precondition::MustNotExist, None)
        | (Precondition::MustExist, Some(_)) => Ok(()),
        (Precondition::MustNotExist, Some(_)) => Err(Refusal::new(
            Code::AlreadyExists,
            format!("{key} exists already"),
        )),
        (Precondition::MustExist | Precondition::ResourceVersion(_), None) => Err(not_found(key)),
        (Precondition::ResourceVersion(wanted), Some(found)) => {
            let version = found.metadata().resource_version.as_deref();
            let version = version.and_then(|version| version.parse::<u64>().ok());
            if version == Some(wanted) {
                return Ok(());
            }
            let version = version.unwrap_or_default();
            Err(Refusal::new(
                Code::Conflict,
                format!("{key} has changed: it is at {version}, not at {wanted}"),
            )
            .with_hint("read it again, then decide"))
        }
    }
}

/// The refusal of a command about something that does not exist.
fn not_found(key: &ObjectKey) -> Refusal {
    let refusal = Refusal::new(Code::NotFound, format!("{key} does not exist"));
    match &key.workspace {
        Some(workspace) => refusal.with_hint(format!(
            "skein get {} -n {workspace}",
            key.kind.info().plural
        )),
        None => refusal.with_hint(format!("skein get {}", key.kind.info().plural)),
    }
}

/// The refusal to change something that is on its way out.
fn being_deleted(key: &ObjectKey) -> Refusal {
    Refusal::new(Code::BeingDeleted, format!("{key} is being deleted"))
        .with_hint("wait until it is gone, then make it anew")
}

#[cfg(test)]
mod tests;
