//! The claims of the three kinds of token, as the server reads them.
//!
//! Field names and defaults are NATS' (JWT version 2). A number left out means zero
//! to the server, and zero of something means none of it: so limits are always
//! written, with -1 for "as much as you like".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the claims' form.
const VERSION: u8 = 2;

/// No limit.
pub(crate) const UNLIMITED: i64 = -1;

/// What is said of an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorClaims {
    /// Keys that sign accounts on the operator's behalf.
    pub signing_keys: Vec<String>,
    /// The account that may watch and steer the servers.
    pub system_account: String,
    /// Whether only signing keys may sign, so that root keys can stay offline.
    pub strict_signing_key_usage: bool,
    /// Always `operator`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Always 2.
    pub version: u8,
}

impl OperatorClaims {
    /// An operator that signs with `signing_key` only.
    #[must_use]
    pub fn new(signing_key: &str, system_account: &str) -> Self {
        Self {
            signing_keys: vec![signing_key.to_owned()],
            system_account: system_account.to_owned(),
            strict_signing_key_usage: true,
            kind: "operator".to_owned(),
            version: VERSION,
        }
    }
}

/// What is said of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountClaims {
    /// What the account takes from others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imports: Vec<Import>,
    /// What the account offers to others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<Export>,
    /// What the account may use.
    pub limits: AccountLimits,
    /// The keys that sign users, each bound to one template of permissions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signing_keys: Vec<ScopedKey>,
    /// Public keys of users, each with the second up to which its tokens are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub revocations: BTreeMap<String, i64>,
    /// Always `account`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Always 2.
    pub version: u8,
}

impl AccountClaims {
    /// An account with nothing but limits.
    #[must_use]
    pub fn new(limits: AccountLimits) -> Self {
        Self {
            imports: Vec::new(),
            exports: Vec::new(),
            limits,
            signing_keys: Vec::new(),
            revocations: BTreeMap::new(),
            kind: "account".to_owned(),
            version: VERSION,
        }
    }
}

/// Whether messages flow from the exporter (a stream) or to it (a service).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportKind {
    /// Messages that the exporter publishes.
    Stream,
    /// Requests that the exporter answers.
    Service,
}

/// How many answers a service gives to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnswerKind {
    /// One.
    Singleton,
    /// Any number, for as long as the requester listens.
    Stream,
}

/// What an account offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// For people.
    pub name: String,
    /// The subject in the exporting account.
    pub subject: String,
    /// The way messages flow.
    #[serde(rename = "type")]
    pub kind: ExportKind,
    /// For a service: how many answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_type: Option<AnswerKind>,
}

/// What an account takes from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// For people.
    pub name: String,
    /// The subject, the same in both accounts.
    pub subject: String,
    /// The public key of the exporting account.
    pub account: String,
    /// The way messages flow.
    #[serde(rename = "type")]
    pub kind: ExportKind,
    /// For a service: tell the exporter who asks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub share: bool,
}

/// What an account may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLimits {
    /// Subscriptions of all its clients.
    pub subs: i64,
    /// Bytes in all.
    pub data: i64,
    /// Bytes of one message.
    pub payload: i64,
    /// Imports.
    pub imports: i64,
    /// Exports.
    pub exports: i64,
    /// Whether exports may hold wildcards.
    pub wildcards: bool,
    /// Clients.
    pub conn: i64,
    /// Leaf nodes; none unless said.
    #[serde(default)]
    pub leaf: i64,
    /// JetStream; none unless said.
    #[serde(flatten)]
    pub jetstream: JetStreamLimits,
}

/// What an account may keep on the servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JetStreamLimits {
    /// Bytes in memory.
    #[serde(default)]
    pub mem_storage: i64,
    /// Bytes on disk.
    #[serde(default)]
    pub disk_storage: i64,
    /// Streams.
    #[serde(default)]
    pub streams: i64,
    /// Consumers.
    #[serde(default)]
    pub consumer: i64,
}

impl AccountLimits {
    /// An account whose clients may connect and speak, without any storage.
    #[must_use]
    pub fn messaging() -> Self {
        Self {
            subs: UNLIMITED,
            data: UNLIMITED,
            payload: UNLIMITED,
            imports: UNLIMITED,
            exports: UNLIMITED,
            wildcards: true,
            conn: UNLIMITED,
            leaf: 0,
            jetstream: JetStreamLimits::default(),
        }
    }

    /// An account that may also keep streams.
    #[must_use]
    pub fn storage() -> Self {
        let all = UNLIMITED;
        Self {
            jetstream: JetStreamLimits {
                mem_storage: all,
                disk_storage: all,
                streams: all,
                consumer: all,
            },
            ..Self::messaging()
        }
    }
}

/// A key that signs users, and the permissions that each of them gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopedKey {
    /// Always `user_scope`.
    pub kind: String,
    /// The public key.
    pub key: String,
    /// The name of the role.
    pub role: String,
    /// What its users may do.
    pub template: ScopeTemplate,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// What every user of a scoped key may do; `{{name()}}` stands for the user's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeTemplate {
    /// Subjects it may publish on.
    #[serde(rename = "pub")]
    pub publish: Permission,
    /// Subjects it may subscribe to.
    #[serde(rename = "sub")]
    pub subscribe: Permission,
    /// Subscriptions of one client.
    pub subs: i64,
    /// Bytes in all.
    pub data: i64,
    /// Bytes of one message.
    pub payload: i64,
    /// The ways in: plain clients only, so that nobody enters as a leaf node.
    pub allowed_connection_types: Vec<String>,
}

/// Subjects allowed; everything else is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// The subjects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Subjects taken out again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
}

/// What is said of a user. Permissions stand in the template of the key that signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserClaims {
    /// The account, when the signer is a signing key of it and not its own key.
    #[serde(default)]
    pub issuer_account: String,
    /// Always `user`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Always 2.
    pub version: u8,
}

impl UserClaims {
    /// A user of `account`.
    #[must_use]
    pub fn new(account: &str) -> Self {
        Self {
            issuer_account: account.to_owned(),
            kind: "user".to_owned(),
            version: VERSION,
        }
    }
}
