//! The streams, declared as data, and what to do when the servers have others.
//!
//! A stream that is missing is made. One that differs from its declaration is left
//! alone, and the difference is printed field by field: only a person can know whether
//! the stream or the program is the one to change. Nothing here deletes anything.

mod difference;
mod spec;

pub use difference::{Difference, StreamDifference};
pub use spec::{StreamSpec, streams};

use std::fmt;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::Config;

use crate::connect::Connection;
use crate::embedded::{MINIMUM_VERSION, Version};

/// Why the streams are not as declared.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// The server is too old to be trusted with a ledger.
    #[error("the server is version {found}; {MINIMUM_VERSION} or newer is needed")]
    ServerTooOld {
        /// What it says it is.
        found: String,
    },
    /// Streams exist and are other than declared. They were left as they are.
    #[error(
        "streams differ from their declaration and were left as they are:\n{}",
        Lines(differences)
    )]
    Differs {
        /// Each stream, with its differing fields.
        differences: Vec<StreamDifference>,
    },
    /// A declared stream is missing, and none was to be made.
    #[error("the stream {stream} does not exist")]
    Missing {
        /// Its name.
        stream: String,
    },
    /// JetStream did not answer, or refused.
    #[error("JetStream cannot {action} the stream {stream}")]
    JetStream {
        /// What was asked.
        action: &'static str,
        /// Of which stream.
        stream: String,
        /// Its answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

struct Lines<'a>(&'a [StreamDifference]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, stream) in self.0.iter().enumerate() {
            if index > 0 {
                out.write_str("\n")?;
            }
            write!(out, "{stream}")?;
        }
        Ok(())
    }
}

/// Makes the streams that are missing, and checks those that are there. Answers the names of
/// those it made.
///
/// Safe to call by several hubs at once.
///
/// # Errors
/// [`TopologyError`]; nothing that existed was changed.
pub async fn ensure(
    connection: &Connection,
    replicas: usize,
) -> Result<Vec<String>, TopologyError> {
    check_version(connection)?;
    let mut made = Vec::new();
    let mut differences = Vec::new();
    for spec in streams(replicas) {
        let have = match get(connection, spec.name()).await? {
            Some(have) => have,
            None => {
                made.push(spec.name().to_owned());
                create(connection, &spec).await?
            }
        };
        differences.extend(spec.compare(&have));
    }
    if differences.is_empty() {
        Ok(made)
    } else {
        Err(TopologyError::Differs { differences })
    }
}

/// Checks that all streams are there, as declared; makes nothing.
///
/// # Errors
/// [`TopologyError`].
pub async fn check(connection: &Connection, replicas: usize) -> Result<(), TopologyError> {
    check_version(connection)?;
    let mut differences = Vec::new();
    for spec in streams(replicas) {
        let have = get(connection, spec.name()).await?;
        let have = have.ok_or_else(|| TopologyError::Missing {
            stream: spec.name().to_owned(),
        })?;
        differences.extend(spec.compare(&have));
    }
    if differences.is_empty() {
        Ok(())
    } else {
        Err(TopologyError::Differs { differences })
    }
}

fn check_version(connection: &Connection) -> Result<(), TopologyError> {
    let found = connection.server_version();
    match Version::parse(&found) {
        Some(version) if version >= MINIMUM_VERSION => Ok(()),
        _ => Err(TopologyError::ServerTooOld { found }),
    }
}

async fn get(connection: &Connection, name: &str) -> Result<Option<Config>, TopologyError> {
    match connection.jetstream().get_stream(name).await {
        Ok(stream) => Ok(Some(stream.cached_info().config.clone())),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(ref answer)
                if answer.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            _ => Err(TopologyError::JetStream {
                action: "show",
                stream: name.to_owned(),
                source: Box::new(error),
            }),
        },
    }
}

async fn create(connection: &Connection, spec: &StreamSpec) -> Result<Config, TopologyError> {
    match connection
        .jetstream()
        .create_stream(spec.config().clone())
        .await
    {
        Ok(stream) => {
            tracing::info!(stream = spec.name(), "stream made");
            Ok(stream.cached_info().config.clone())
        }
        Err(source) => {
            // Another hub may have made it in this moment.
            if let Ok(Some(have)) = get(connection, spec.name()).await {
                return Ok(have);
            }
            let stream = spec.name().to_owned();
            Err(TopologyError::JetStream {
                action: "make",
                stream,
                source: Box::new(source),
            })
        }
    }
}
/// How a stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// Its name.
    pub name: String,
    /// How many messages it holds.
    pub messages: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Its last sequence.
    pub last_sequence: u64,
    /// What differs from its declaration, one line each; empty when all is well.
    pub differences: Vec<String>,
}

/// How the declared streams are, in their order, with what differs; makes and refuses nothing.
///
/// # Errors
/// [`TopologyError::JetStream`] when the server does not answer.
pub async fn inspect(
    connection: &Connection,
    replicas: usize,
) -> Result<Vec<StreamState>, TopologyError> {
    let mut states = Vec::new();
    for spec in streams(replicas) {
        let name = spec.name().to_owned();
        let state = match connection.jetstream().get_stream(&name).await {
            Ok(stream) => {
                let info = stream.cached_info();
                let differs = spec.compare(&info.config);
                StreamState {
                    name,
                    messages: info.state.messages,
                    bytes: info.state.bytes,
                    last_sequence: info.state.last_sequence,
                    differences: differs.iter().map(ToString::to_string).collect(),
                }
            }
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(ref answer)
                    if answer.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    let differences = vec!["it does not exist".to_owned()];
                    StreamState {
                        name,
                        messages: 0,
                        bytes: 0,
                        last_sequence: 0,
                        differences,
                    }
                }
                _ => {
                    return Err(TopologyError::JetStream {
                        action: "show",
                        stream: name,
                        source: Box::new(error),
                    });
                }
            },
        };
        states.push(state);
    }
    Ok(states)
}
