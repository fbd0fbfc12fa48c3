//! What the hub tells an agent: numbered, signed, one subject per clusterset and cluster.
//!
//! An agent obeys only what the hub signed, in the order of `rev`, whatever the bus may carry: a
//! forged or replayed message has no valid signature or not the next `rev`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::digest::Digest;
use crate::kind::manifest_work::ManifestWorkSpec;
use crate::name::{ClusterName, ObjectName, SetName};

/// What a message is besides its body. It travels in headers, so that the signature covers the
/// body's exact bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredHeader {
    /// The cluster it is for.
    pub cluster: ClusterName,
    /// Revision of this cluster's desired state; rises by one with each message.
    pub rev: u64,
    /// The revision before it. A snapshot has 0: it needs no predecessor.
    pub previous: u64,
    /// The ledger sequence that this state includes.
    pub sequence: u64,
    /// Which of the hub's keys signed it.
    pub key_id: String,
}

/// The bytes that the hub signs for a message with this header and body.
#[must_use]
pub fn signed_bytes(header: &DesiredHeader, body: &[u8]) -> Vec<u8> {
    let DesiredHeader {
        cluster,
        rev,
        previous,
        sequence,
        key_id,
    } = header;
    let digest = Digest::of(body);
    format!("skein-desired/1\n{cluster}\n{rev}\n{previous}\n{sequence}\n{key_id}\n{digest}")
        .into_bytes()
}

/// Header names of a desired message.
pub mod headers {
    /// [`super::DesiredHeader::rev`].
    pub const REV: &str = "Skein-Rev";
    /// [`super::DesiredHeader::previous`].
    pub const PREVIOUS: &str = "Skein-Previous-Rev";
    /// [`super::DesiredHeader::sequence`].
    pub const SEQUENCE: &str = "Skein-Sequence";
    /// [`super::DesiredHeader::key_id`].
    pub const KEY_ID: &str = "Skein-Key-Id";
    /// Ed25519 signature over [`super::signed_bytes`], base64url without padding.
    pub const SIGNATURE: &str = "Skein-Signature";
}

/// A desired message whose headers cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header {header} is missing or not valid")]
pub struct DesiredHeaderError {
    /// The header's name.
    pub header: &'static str,
}

impl DesiredHeader {
    /// The headers, without the signature.
    #[must_use]
    pub fn to_headers(&self) -> Vec<(&'static str, String)> {
        vec![
            (headers::REV, self.rev.to_string()),
            (headers::PREVIOUS, self.previous.to_string()),
            (headers::SEQUENCE, self.sequence.to_string()),
            (headers::KEY_ID, self.key_id.clone()),
        ]
    }

    /// Reads the headers of a message that came for `cluster`.
    ///
    /// # Errors
    /// When one is missing or not a number.
    pub fn from_headers<'a>(
        cluster: ClusterName,
        get: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Self, DesiredHeaderError> {
        let number = |header: &'static str| {
            get(header)
                .and_then(|v| v.parse().ok())
                .ok_or(DesiredHeaderError { header })
        };
        Ok(Self {
            cluster,
            rev: number(headers::REV)?,
            previous: number(headers::PREVIOUS)?,
            sequence: number(headers::SEQUENCE)?,
            key_id: get(headers::KEY_ID)
                .ok_or(DesiredHeaderError {
                    header: headers::KEY_ID,
                })?
                .to_owned(),
        })
    }
}

/// The body of a desired message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DesiredMessage {
    /// W3C trace context of the command that led here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// What to do, in order.
    pub changes: Vec<DesiredChange>,
}

/// One change of a cluster's desired state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum DesiredChange {
    /// This work is to be as given.
    Work(Box<DesiredWork>),
    /// This work is to go, with what it owns as its delete option says.
    RemoveWork {
        /// The work's name.
        name: ObjectName,
        /// Its uid.
        uid: Uuid,
    },
    /// The hub has forgotten this work (it saw its removal, or was forced): drop it from memory.
    ForgetWork {
        /// The work's name.
        name: ObjectName,
        /// Its uid.
        uid: Uuid,
    },
    /// How the agent is to behave.
    Settings(ClusterSettings),
    /// From here on the cluster's subject is that of another set; a snapshot follows there.
    Moved {
        /// The new set.
        clusterset: SetName,
    },
    /// The whole desired state, in one or several parts. The state changes when the last part is
    /// there.
    Snapshot(SnapshotPart),
    /// The hub's next signing key. It is signed by the one before, so trust is handed on.
    SigningKey {
        /// Its id.
        key_id: String,
        /// Ed25519 public key, base64url without padding.
        public_key: String,
    },
}

/// A work as an agent needs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DesiredWork {
    /// The work's name.
    pub name: ObjectName,
    /// Its uid.
    pub uid: Uuid,
    /// Its generation; conditions are about this one.
    pub generation: i64,
    /// The ledger sequence that last touched it.
    pub resource_version: u64,
    /// The spec; large manifests stand as content by digest.
    pub spec: ManifestWorkSpec,
    /// When somebody asked for its deletion: it is to be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<Timestamp>,
}

/// How an agent is to behave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSettings {
    /// The cluster's set: the first token of the subjects the agent uses.
    pub clusterset: SetName,
    /// OCM's lease duration in seconds; the hub calls the cluster lost after five of them.
    pub lease_duration_seconds: u32,
    /// Namespaces that the cluster's sets want on it (OCM's managedNamespaces), by name, each with
    /// its set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub managed_namespaces: BTreeMap<String, SetName>,
}

/// One part of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotPart {
    /// This part's number, from 0.
    pub part: u32,
    /// How many parts there are.
    pub parts: u32,
    /// The ledger sequence that the revision stands for. The state may be of a later moment, that of
    /// the header's sequence: then it includes what the next revisions say, as far as they are not
    /// of a later moment still.
    pub rev_sequence: u64,
    /// How the agent is to behave.
    pub settings: ClusterSettings,
    /// Works in this part, in the order of their names over all parts.
    pub works: Vec<DesiredWork>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> DesiredHeader {
        DesiredHeader {
            cluster: ClusterName::new("c1").unwrap(),
            rev: 8,
            previous: 7,
            sequence: 41,
            key_id: "k1".into(),
        }
    }

    #[test]
    fn the_signed_bytes_are_golden() {
        assert_eq!(
            String::from_utf8(signed_bytes(&header(), b"{}")).unwrap(),
            "skein-desired/1\nc1\n8\n7\n41\nk1\n44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
    }

    #[test]
    fn headers_are_read_back() {
        let pairs = header().to_headers();
        let get = |name: &str| {
            pairs
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| v.as_str())
        };
        assert_eq!(
            DesiredHeader::from_headers(header().cluster, get),
            Ok(header())
        );
        let broken = |name: &str| {
            if name == headers::REV {
                Some("x")
            } else {
                get(name)
            }
        };
        assert_eq!(
            DesiredHeader::from_headers(header().cluster, broken),
            Err(DesiredHeaderError {
                header: "Skein-Rev"
            })
        );
    }

    #[test]
    fn changes_have_their_golden_form() {
        let message = DesiredMessage {
            traceparent: None,
            changes: vec![
                DesiredChange::RemoveWork {
                    name: ObjectName::new("web").unwrap(),
                    uid: Uuid::nil(),
                },
                DesiredChange::Moved {
                    clusterset: SetName::new("eu").unwrap(),
                },
                DesiredChange::Settings(ClusterSettings {
                    clusterset: SetName::new("eu").unwrap(),
                    lease_duration_seconds: 60,
                    managed_namespaces: BTreeMap::new(),
                }),
            ],
        };
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(
            text,
            r#"{"changes":[{"type":"removeWork","name":"web","uid":"00000000-0000-0000-0000-000000000000"},{"type":"moved","clusterset":"eu"},{"type":"settings","clusterset":"eu","leaseDurationSeconds":60}]}"#
        );
        assert_eq!(
            serde_json::from_str::<DesiredMessage>(&text).unwrap(),
            message
        );
    }
}
