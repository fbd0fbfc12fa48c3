//! What travels: headers, and a message as it was received.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use skein_schema::digest::Digest;

/// Header names and values, in the order of the names. A name that was sent twice keeps its
/// first value, so that nobody can show two readers two values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    /// No headers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more; a value that was there is replaced.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.insert(name, value);
        self
    }

    /// Sets a header; a value that was there is replaced.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// A header's value. Names are compared with their case, as NATS does.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All headers, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn from_nats(map: Option<&async_nats::HeaderMap>) -> Self {
        let Some(map) = map else { return Self::new() };
        map.iter()
            .filter_map(|(name, values)| {
                Some((name.to_string(), values.first()?.as_str().to_owned()))
            })
            .collect()
    }

    pub(crate) fn to_nats(&self) -> async_nats::HeaderMap {
        let mut map = async_nats::HeaderMap::new();
        for (name, value) in &self.0 {
            map.insert(name.as_str(), value.as_str());
        }
        map
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

impl<N: Into<String>, V: Into<String>> From<Vec<(N, V)>> for Headers {
    fn from(pairs: Vec<(N, V)>) -> Self {
        pairs.into_iter().collect()
    }
}

/// A message as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub subject: String,
    /// Where an answer is wanted.
    pub reply: Option<String>,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: Bytes,
}

impl Message {
    pub(crate) fn from_nats(message: async_nats::Message) -> Self {
        Self {
            subject: message.subject.to_string(),
            reply: message.reply.map(|reply| reply.to_string()),
            headers: Headers::from_nats(message.headers.as_ref()),
            body: message.payload,
        }
    }
}

/// The header by which JetStream knows a message; readers see it, and no other of JetStream's.
pub(crate) const MESSAGE_ID: &str = "Nats-Msg-Id";

/// A message as a stream keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its number in the stream, from 1.
    pub sequence: u64,
    /// Where it was published.
    pub subject: String,
    /// Its headers, without those that only told JetStream how to store it.
    pub headers: Headers,
    /// Its body.
    pub body: Bytes,
    /// When it was stored, by the server's clock.
    pub time: Timestamp,
}

impl StoredMessage {
    /// The id its writer gave it, if any.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.headers.get(MESSAGE_ID)
    }

    /// The digest of what its writer wrote.
    #[must_use]
    pub fn digest(&self) -> Digest {
        content_digest(&self.subject, self.id().unwrap_or_default(), &self.body)
    }

    pub(crate) fn from_delivery(message: &async_nats::jetstream::Message) -> Option<Self> {
        let info = message.info().ok()?;
        Some(Self {
            sequence: info.stream_sequence,
            subject: message.subject.to_string(),
            headers: stored_headers(message.headers.as_ref()),
            body: message.payload.clone(),
            time: Timestamp::from_nanosecond(info.published.unix_timestamp_nanos()).ok()?,
        })
    }

    pub(crate) fn from_get(message: async_nats::jetstream::message::StreamMessage) -> Option<Self> {
        Some(Self {
            sequence: message.sequence,
            subject: message.subject.to_string(),
            headers: stored_headers(Some(&message.headers)),
            body: message.payload,
            time: Timestamp::from_nanosecond(message.time.unix_timestamp_nanos()).ok()?,
        })
    }
}

/// A digest of what a writer wrote: where, by which id, and the body.
#[must_use]
pub(crate) fn content_digest(subject: &str, id: &str, body: &[u8]) -> Digest {
    let mut bytes = format!("{subject}\n{id}\n").into_bytes();
    bytes.extend_from_slice(body);
    Digest::of(&bytes)
}

fn stored_headers(map: Option<&async_nats::HeaderMap>) -> Headers {
    let mut headers = Headers::from_nats(map);
    headers
        .0
        .retain(|name, _| name == MESSAGE_ID || !name.starts_with("Nats-"));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_the_first_of_two_values_and_the_order_of_names() {
        let mut map = async_nats::HeaderMap::new();
        map.append("ce-id", "first");
        map.append("ce-id", "second");
        map.append("ce-actor", "user:alice");
        let headers = Headers::from_nats(Some(&map));
        assert_eq!(headers.get("ce-id"), Some("first"));
        assert_eq!(
            headers.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            ["ce-actor", "ce-id"]
        );
        assert_eq!(Headers::from_nats(Some(&headers.to_nats())), headers);
    }
}
