//! What a user may ask the hub to do. One command is one message on `cmd.<user>.<verb>`.

mod members;

pub use members::{unknown_members, verbs};

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::code::Refusal;
use crate::name::{ClusterName, SetName, TokenName};
use crate::object::ObjectKey;

/// Longest time between sending and deciding, in seconds, that a command may ask for.
pub const DEADLINE_MAX_SECONDS: u32 = 7 * 24 * 3600;
/// Largest difference between a sender's clock and the bus's, in seconds, before a command is
/// refused: its `time` would be untrue in the history.
pub const CLOCK_SKEW_MAX_SECONDS: i64 = 300;

/// A command with its deadline: the body of a message on `cmd.<user>.<verb>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandMessage {
    /// Seconds after the bus stored the message until which it may still be decided. Measured by
    /// the bus's clock, so that the sender's does not matter.
    pub deadline_seconds: u32,
    /// What to do.
    #[serde(flatten)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "verb",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Command {
    /// Make the object be as the document says, field by field (three-way: what this manager
    /// applied before and no longer lists is removed, what others set stays).
    Apply {
        /// The document as the user wrote it.
        resource: Value,
        /// Who owns the fields, e.g. `skein`.
        manager: String,
        /// What must hold for the command to be carried out.
        #[serde(default)]
        precondition: Precondition,
        /// What to do with fields that the kind does not have.
        #[serde(default)]
        validation: FieldValidation,
        /// Decide and answer, but record nothing.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        dry_run: bool,
    },
    /// Change some fields (RFC 7386 merge patch).
    Patch {
        /// Which object.
        key: ObjectKey,
        /// The merge patch; may touch metadata.labels, metadata.annotations and spec.
        patch: Value,
        /// Who owns the fields.
        manager: String,
        /// What must hold for the command to be carried out.
        #[serde(default)]
        precondition: Precondition,
        /// Decide and answer, but record nothing.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        dry_run: bool,
    },
    /// Delete an object. Works and clusters stay, marked, until their agent has cleaned up.
    Delete {
        /// Which object.
        key: ObjectKey,
        /// What must hold for the command to be carried out.
        #[serde(default)]
        precondition: Precondition,
        /// Do not wait for the agent: forget the object at once.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
        /// Decide and answer, but record nothing.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        dry_run: bool,
    },
    /// Let a cluster in (OCM's `hubAcceptsClient: true`) and issue its credential.
    Accept {
        /// Which cluster.
        cluster: ClusterName,
    },
    /// Refuse a cluster, or shut out one that was let in, and revoke its credential.
    Deny {
        /// Which cluster.
        cluster: ClusterName,
    },
    /// Mint a join token. The secret half is made by the caller and never leaves it.
    CreateToken(TokenGrant),
    /// Make a join token useless.
    RevokeToken {
        /// Which token.
        token: TokenName,
    },
}

impl Command {
    /// The verb: the last token of the command's subject.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Apply { .. } => "apply",
            Self::Patch { .. } => "patch",
            Self::Delete { .. } => "delete",
            Self::Accept { .. } => "accept",
            Self::Deny { .. } => "deny",
            Self::CreateToken(_) => "create-token",
            Self::RevokeToken { .. } => "revoke-token",
        }
    }
}

/// What a join token allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenGrant {
    /// Its public name.
    pub token: TokenName,
    /// The public user nkey whose seed is the secret half.
    pub public_key: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// How many clusters may join by it.
    pub uses: u32,
    /// The only cluster that may join by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterName>,
    /// The set that joiners get; otherwise `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusterset: Option<SetName>,
    /// Labels that joiners get; they win over the agent's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Joiners are let in without a second person.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub auto_accept: bool,
}

/// What must hold of an object before a command changes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// There is no such object.
    MustNotExist,
    /// There is such an object.
    MustExist,
    /// The object was last touched by this ledger sequence.
    ResourceVersion(u64),
}

/// What to do with fields that a kind does not have (kubectl's `--validate`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FieldValidation {
    /// Refuse the document.
    #[default]
    Strict,
    /// Drop them and say so.
    Warn,
    /// Drop them.
    Ignore,
}

/// The answer to a command: the body of the message on `result.<user>.<command id>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "outcome",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum CommandResult {
    /// Decided and recorded, or found to need no change.
    Done {
        /// What became of the object.
        change: Change,
        /// The record's ledger sequence; absent for a dry run or where nothing changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sequence: Option<u64>,
        /// The object as it now is (or would be), where the command has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        object: Option<Value>,
        /// What the command makes besides: for a token, its bootstrap credential.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credential: Option<String>,
        /// What the user should know, e.g. dropped fields.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    },
    /// Refused; nothing changed.
    Refused(Refusal),
}

/// What became of an object, in kubectl's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// It was made.
    Created,
    /// It was changed.
    Configured,
    /// It was as asked already.
    Unchanged,
    /// It is gone.
    Deleted,
    /// It is marked and goes when its agent has cleaned up.
    Deleting,
    /// The cluster was let in.
    Accepted,
    /// The cluster was refused.
    Denied,
    /// The token was revoked.
    Revoked,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn round_trip(message: &CommandMessage, golden: &Value) {
        assert_eq!(&serde_json::to_value(message).unwrap(), golden);
        assert_eq!(
            &serde_json::from_value::<CommandMessage>(golden.clone()).unwrap(),
            message
        );
    }

    #[test]
    fn commands_have_their_golden_form() {
        round_trip(
            &CommandMessage {
                deadline_seconds: 30,
                command: Command::Apply {
                    resource: json!({"kind": "Namespace"}),
                    manager: "skein".into(),
                    precondition: Precondition::ResourceVersion(7),
                    validation: FieldValidation::Warn,
                    dry_run: true,
                },
            },
            &json!({
                "deadlineSeconds": 30, "verb": "apply", "resource": {"kind": "Namespace"}, "manager": "skein",
                "precondition": {"resourceVersion": 7}, "validation": "warn", "dryRun": true,
            }),
        );
        round_trip(
            &CommandMessage {
                deadline_seconds: 5,
                command: Command::CreateToken(TokenGrant {
                    token: TokenName::new("shop").unwrap(),
                    public_key: "UABC".into(),
                    expires_at: "2026-11-24T00:00:00Z".parse().unwrap(),
                    uses: 2,
                    cluster: None,
                    clusterset: Some(SetName::new("eu").unwrap()),
                    labels: BTreeMap::from([("a".into(), "b".into())]),
                    auto_accept: true,
                }),
            },
            &json!({
                "deadlineSeconds": 5, "verb": "createToken", "token": "shop", "publicKey": "UABC",
                "expiresAt": "2026-11-24T00:00:00Z", "uses": 2, "clusterset": "eu", "labels": {"a": "b"}, "autoAccept": true,
            }),
        );
    }

    #[test]
    fn a_refusal_travels_as_a_result() {
        let result =
            CommandResult::Refused(Refusal::new(crate::code::Code::NotFound, "no such cluster"));
        assert_eq!(
            serde_json::to_value(&result).unwrap(),
            json!({"outcome": "refused", "code": "SK2001", "message": "no such cluster"})
        );
    }
}
