//! The envelope of every message: CloudEvents 1.0 attributes as NATS headers, JSON body.
//!
//! This file knows header names and texts, not the NATS client: it turns an envelope into pairs of
//! strings and back.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::digest::Digest;
use crate::name::{ClusterName, HubName, NameError, TokenName, UserName};

/// Newest envelope version that this build writes and reads.
pub const SCHEMA_VERSION: u32 = 1;

/// Who did something, as the bus proved it. Its text form is `user:alice`, `cluster:c1`,
/// `token:shop-42` or `hub:hub-0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Actor {
    /// A person or program with a user credential.
    User(UserName),
    /// A managed cluster's agent.
    Cluster(ClusterName),
    /// The holder of a join token.
    Token(TokenName),
    /// A hub replica, of its own accord.
    Hub(HubName),
}

/// A text that is not an [`Actor`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActorError {
    /// No known prefix.
    #[error("must start with user:, cluster:, token: or hub:")]
    Prefix,
    /// A known prefix and something that is not a name.
    #[error("has no valid name behind the colon")]
    Name(#[source] NameError),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user:{name}"),
            Self::Cluster(name) => write!(f, "cluster:{name}"),
            Self::Token(name) => write!(f, "token:{name}"),
            Self::Hub(name) => write!(f, "hub:{name}"),
        }
    }
}

impl FromStr for Actor {
    type Err = ActorError;
    fn from_str(text: &str) -> Result<Self, ActorError> {
        let (prefix, name) = text.split_once(':').ok_or(ActorError::Prefix)?;
        match prefix {
            "user" => UserName::new(name).map(Self::User),
            "cluster" => ClusterName::new(name).map(Self::Cluster),
            "token" => TokenName::new(name).map(Self::Token),
            "hub" => HubName::new(name).map(Self::Hub),
            _ => return Err(ActorError::Prefix),
        }
        .map_err(ActorError::Name)
    }
}

impl TryFrom<String> for Actor {
    type Error = ActorError;
    fn try_from(text: String) -> Result<Self, ActorError> {
        text.parse()
    }
}

impl From<Actor> for String {
    fn from(actor: Actor) -> Self {
        actor.to_string()
    }
}

/// Which program wrote a message, e.g. `skein-hub/0.1.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// Program name without a slash.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Producer {
    /// A producer of this workspace's version.
    #[must_use]
    pub fn this_build(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// What is known about a message besides its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `id`: UUIDv7 of this message. For a command it is the command's id.
    pub id: Uuid,
    /// `type`: e.g. `skein.cluster.accepted.v1`; for a ledger record the first event's type.
    pub kind: String,
    /// `source`: a URI reference that names the writer, e.g. `/hub/hub-0`.
    pub source: String,
    /// `subject`: the object it is about, e.g. `managedclusters/c1`.
    pub subject: String,
    /// `time`: when the writer wrote it, by its clock.
    pub time: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// For whom the actor acted, if for somebody else.
    pub on_behalf_of: Option<Actor>,
    /// The command that this follows from.
    pub command_id: Option<Uuid>,
    /// The event that caused this, as `<sequence>.<index>`.
    pub causation_id: Option<EventId>,
    /// One id for everything that follows from one command.
    pub correlation_id: Uuid,
    /// W3C trace context of the work that wrote it.
    pub traceparent: Option<String>,
    /// The program that wrote it.
    pub producer: Producer,
    /// Version of the body's schema; see [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// SHA-256 of the body's bytes.
    pub digest: Digest,
}

/// The address of an event: its record's ledger sequence and its place in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventId {
    /// Ledger sequence of the record, from 1.
    pub sequence: u64,
    /// Place of the event in its record, from 0.
    pub index: u32,
}

/// A text that is not an [`EventId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be <sequence>.<index>")]
pub struct EventIdError;

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.sequence, self.index)
    }
}

impl FromStr for EventId {
    type Err = EventIdError;
    fn from_str(text: &str) -> Result<Self, EventIdError> {
        let (sequence, index) = text.split_once('.').ok_or(EventIdError)?;
        Ok(Self {
            sequence: sequence.parse().map_err(|_| EventIdError)?,
            index: index.parse().map_err(|_| EventIdError)?,
        })
    }
}

impl TryFrom<String> for EventId {
    type Error = EventIdError;
    fn try_from(text: String) -> Result<Self, EventIdError> {
        text.parse()
    }
}

impl From<EventId> for String {
    fn from(id: EventId) -> Self {
        id.to_string()
    }
}

/// A message whose headers are not an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// A required header is absent.
    #[error("header {header} is missing")]
    Missing {
        /// The header's name.
        header: &'static str,
    },
    /// A header's value cannot be read.
    #[error("header {header} is not valid: {value:?}")]
    Invalid {
        /// The header's name.
        header: &'static str,
        /// Its value, cut at 64 characters.
        value: String,
    },
    /// The message was written by a newer Skein.
    #[error("the message has schema version {found}; this build reads up to {SCHEMA_VERSION}")]
    FromTheFuture {
        /// The version found.
        found: u32,
    },
    /// The body is not what the writer sent.
    #[error("the body does not have the digest its header says")]
    Digest,
}

const SPEC_VERSION: &str = "ce-specversion";
const ID: &str = "ce-id";
const TYPE: &str = "ce-type";
const SOURCE: &str = "ce-source";
const SUBJECT: &str = "ce-subject";
const TIME: &str = "ce-time";
const ACTOR: &str = "ce-actor";
const ON_BEHALF_OF: &str = "ce-onbehalfof";
const COMMAND_ID: &str = "ce-commandid";
const CAUSATION_ID: &str = "ce-causationid";
const CORRELATION_ID: &str = "ce-correlationid";
const TRACEPARENT: &str = "traceparent";
const PRODUCER: &str = "ce-producer";
const SCHEMA: &str = "ce-schemaversion";
const DIGEST: &str = "ce-digest";

/// Checks that a message is not of a newer schema than ours. One that does not say its version, as
/// those without an envelope do, is taken for one of ours; `get` answers a header's value by its
/// name.
///
/// # Errors
/// [`EnvelopeError::FromTheFuture`], or [`EnvelopeError::Invalid`] for what is no version.
pub fn check_version<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<(), EnvelopeError> {
    match optional::<u32>(&get, SCHEMA)? {
        Some(found) if found > SCHEMA_VERSION => Err(EnvelopeError::FromTheFuture { found }),
        _ => Ok(()),
    }
}

impl Envelope {
    /// The headers, in a fixed order.
    #[must_use]
    pub fn to_headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            (SPEC_VERSION, "1.0".to_owned()),
            (ID, self.id.to_string()),
            (TYPE, self.kind.clone()),
            (SOURCE, self.source.clone()),
            (SUBJECT, self.subject.clone()),
            (TIME, self.time.to_string()),
            (ACTOR, self.actor.to_string()),
            (CORRELATION_ID, self.correlation_id.to_string()),
            (
                PRODUCER,
                format!("{}/{}", self.producer.name, self.producer.version),
            ),
            (SCHEMA, self.schema_version.to_string()),
            (DIGEST, self.digest.to_string()),
        ];
        let optional = [
            (
                ON_BEHALF_OF,
                self.on_behalf_of.as_ref().map(ToString::to_string),
            ),
            (COMMAND_ID, self.command_id.map(|id| id.to_string())),
            (CAUSATION_ID, self.causation_id.map(|id| id.to_string())),
            (TRACEPARENT, self.traceparent.clone()),
        ];
        headers.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        headers
    }

    /// Reads the headers; `get` answers a header's value by its name.
    ///
    /// # Errors
    /// When a required header is missing, one cannot be read, or the schema is newer than ours.
    pub fn from_headers<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Self, EnvelopeError> {
        // The version comes first: a future envelope may mean other things by the other headers.
        check_version(&get)?;
        let producer: String = required(&get, PRODUCER)?;
        let (name, version) = producer
            .split_once('/')
            .ok_or_else(|| invalid(PRODUCER, &producer))?;
        Ok(Self {
            id: required(&get, ID)?,
            kind: required(&get, TYPE)?,
            source: required(&get, SOURCE)?,
            subject: required(&get, SUBJECT)?,
            time: required(&get, TIME)?,
            actor: required(&get, ACTOR)?,
            on_behalf_of: optional(&get, ON_BEHALF_OF)?,
            command_id: optional(&get, COMMAND_ID)?,
            causation_id: optional(&get, CAUSATION_ID)?,
            correlation_id: required(&get, CORRELATION_ID)?,
            traceparent: optional(&get, TRACEPARENT)?,
            producer: Producer {
                name: name.to_owned(),
                version: version.to_owned(),
            },
            schema_version: required(&get, SCHEMA)?,
            digest: required(&get, DIGEST)?,
        })
    }

    /// Checks that `body` is what the writer sent.
    ///
    /// # Errors
    /// When its digest differs from the header's.
    pub fn check_body(&self, body: &[u8]) -> Result<(), EnvelopeError> {
        if Digest::of(body) == self.digest {
            Ok(())
        } else {
            Err(EnvelopeError::Digest)
        }
    }
}

fn required<'a, T: FromStr>(
    get: &impl Fn(&str) -> Option<&'a str>,
    header: &'static str,
) -> Result<T, EnvelopeError> {
    optional(get, header)?.ok_or(EnvelopeError::Missing { header })
}

fn optional<'a, T: FromStr>(
    get: &impl Fn(&str) -> Option<&'a str>,
    header: &'static str,
) -> Result<Option<T>, EnvelopeError> {
    get(header)
        .map(|value| value.parse().map_err(|_| invalid(header, value)))
        .transpose()
}

fn invalid(header: &'static str, value: &str) -> EnvelopeError {
    EnvelopeError::Invalid {
        header,
        value: value.chars().take(64).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Envelope {
        Envelope {
            id: Uuid::from_u128(1),
            kind: "skein.cluster.accepted.v1".into(),
            source: "/hub/hub-0".into(),
            subject: "managedclusters/c1".into(),
            time: "2026-11-23T14:05:00.25Z".parse().unwrap(),
            actor: "user:alice".parse().unwrap(),
            on_behalf_of: None,
            command_id: Some(Uuid::from_u128(2)),
            causation_id: Some(EventId {
                sequence: 41,
                index: 0,
            }),
            correlation_id: Uuid::from_u128(2),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
            producer: Producer {
                name: "skein-hub".into(),
                version: "0.1.0".into(),
            },
            schema_version: 1,
            digest: Digest::of(b"{}"),
        }
    }

    fn read(headers: &[(&'static str, String)]) -> Result<Envelope, EnvelopeError> {
        Envelope::from_headers(|name| {
            headers
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| v.as_str())
        })
    }

    #[test]
    fn the_headers_are_golden() {
        let text: Vec<String> = sample()
            .to_headers()
            .iter()
            .map(|(n, v)| format!("{n}: {v}"))
            .collect();
        assert_eq!(
            text.join("\n"),
            "ce-specversion: 1.0\n\
             ce-id: 00000000-0000-0000-0000-000000000001\n\
             ce-type: skein.cluster.accepted.v1\n\
             ce-source: /hub/hub-0\n\
             ce-subject: managedclusters/c1\n\
             ce-time: 2026-11-23T14:05:00.25Z\n\
             ce-actor: user:alice\n\
             ce-correlationid: 00000000-0000-0000-0000-000000000002\n\
             ce-producer: skein-hub/0.1.0\n\
             ce-schemaversion: 1\n\
             ce-digest: 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\n\
             ce-commandid: 00000000-0000-0000-0000-000000000002\n\
             ce-causationid: 41.0\n\
             traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        );
    }

    #[test]
    fn headers_are_read_back() {
        assert_eq!(read(&sample().to_headers()), Ok(sample()));
        assert!(sample().check_body(b"{}").is_ok());
        assert_eq!(sample().check_body(b"{ }"), Err(EnvelopeError::Digest));
    }

    #[test]
    fn a_missing_a_broken_and_a_future_header_are_told_apart() {
        let without: Vec<_> = sample()
            .to_headers()
            .into_iter()
            .filter(|(n, _)| *n != "ce-actor")
            .collect();
        assert_eq!(
            read(&without),
            Err(EnvelopeError::Missing { header: "ce-actor" })
        );
        let with = |name: &'static str, value: &str| {
            let mut headers = sample().to_headers();
            headers.retain(|(n, _)| *n != name);
            headers.push((name, value.to_owned()));
            read(&headers)
        };
        assert_eq!(
            with("ce-actor", "root"),
            Err(EnvelopeError::Invalid {
                header: "ce-actor",
                value: "root".into()
            })
        );
        assert_eq!(
            with("ce-schemaversion", "2"),
            Err(EnvelopeError::FromTheFuture { found: 2 })
        );
    }

    #[test]
    fn actors_are_checked_names() {
        assert_eq!(
            "cluster:c1".parse::<Actor>().unwrap().to_string(),
            "cluster:c1"
        );
        for bad in ["alice", "user:", "user:*", "root:x", "cluster:C"] {
            assert!(bad.parse::<Actor>().is_err(), "{bad}");
        }
    }
}
