//! Registration: the join token, what an agent asks with it, and what it gets.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::code::Refusal;
use crate::event::AgentKeys;
use crate::kind::managed_cluster::{ClientConfig, ManagedClusterClaim};
use crate::name::{ClusterName, TokenName};

const TOKEN_PREFIX: &str = "skein1.";

/// A join token as it is handed to the owner of a cluster. It is a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinToken {
    /// Its public name.
    pub token: TokenName,
    /// Where the bus is, most wanted first, e.g. `tls://hub.example.com:4222`.
    pub urls: Vec<String>,
    /// The bootstrap credential: a NATS user JWT that may publish on `join.<token>` only.
    pub jwt: String,
    /// The user nkey's seed.
    pub seed: String,
    /// PEM of the certificate authority of the bus, where it is not a public one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<String>,
}

impl std::fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinToken")
            .field("token", &self.token)
            .field("urls", &self.urls)
            .finish_non_exhaustive()
    }
}

/// A text that is not a join token. It says nothing of the text: that is a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinTokenError {
    /// The text does not start as a token does.
    #[error("a join token starts with \"skein1.\"")]
    Prefix,
    /// The text is cut or was changed.
    #[error("the join token is cut off or damaged")]
    Damaged,
}

impl JoinToken {
    /// The one line that is handed over.
    ///
    /// # Panics
    /// Never: a token is made of texts.
    #[must_use]
    pub fn encode(&self) -> String {
        let json = serde_json::to_vec(self).expect("a token is JSON");
        format!("{TOKEN_PREFIX}{}", BASE64URL_NOPAD.encode(&json))
    }

    /// Reads the line back; white space around it does not matter.
    ///
    /// # Errors
    /// When the text is not a token.
    pub fn decode(text: &str) -> Result<Self, JoinTokenError> {
        let encoded = text
            .trim()
            .strip_prefix(TOKEN_PREFIX)
            .ok_or(JoinTokenError::Prefix)?;
        let json = BASE64URL_NOPAD
            .decode(encoded.as_bytes())
            .map_err(|_| JoinTokenError::Damaged)?;
        serde_json::from_slice(&json).map_err(|_| JoinTokenError::Damaged)
    }
}

/// The body of a request on `join.<token>`. The agent repeats it until it is answered for good;
/// `request` makes the repetition harmless.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinRequest {
    /// Id of this wish to join; the command id of the decision about it.
    pub request: Uuid,
    /// When it was sent, by the agent's clock.
    pub time: Timestamp,
    /// The name the cluster wants.
    pub cluster: ClusterName,
    /// Its public keys.
    pub keys: AgentKeys,
    /// Labels it wants.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations it wants (OCM: prefix `agent.open-cluster-management.io`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Its claims now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ManagedClusterClaim>,
    /// How its API server is reached from inside its network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub client_configs: Vec<ClientConfig>,
    /// Version of the agent.
    pub agent_version: String,
}

/// The body of a request on `renew.<set>.<cluster>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenewRequest {
    /// Id of this wish; the command id of the decision about it.
    pub request: Uuid,
    /// When it was sent, by the agent's clock.
    pub time: Timestamp,
    /// The keys the next credential is for. A new nkey is a roll-over; the old one ends when the
    /// new one was first used.
    pub keys: AgentKeys,
}

/// The answer to a [`JoinRequest`] or a [`RenewRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "answer",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum JoinAnswer {
    /// Somebody has yet to accept. Ask again.
    Pending {
        /// What the agent's owner should be told.
        message: String,
    },
    /// Let in.
    Issued(Box<Credential>),
    /// Refused for good, or until somebody changes something.
    Refused(Refusal),
}

/// What an accepted agent needs. It holds no private key: those never leave the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// The cluster it is for.
    pub cluster: ClusterName,
    /// Id of the ledger: a hash of the operator's key. It names the hub on the cluster, as OCM's
    /// hub hash does, but does not change with the hub's address.
    pub hub_id: String,
    /// NATS user JWT.
    pub jwt: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// PEM of the tunnel's client certificate, if one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// PEM of the authority that signed it and signs the gateways' certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<String>,
    /// Ed25519 public keys that desired messages are signed with, base64url, by key id.
    pub signing_keys: BTreeMap<String, String>,
    /// The cluster's set now.
    pub clusterset: crate::name::SetName,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> JoinToken {
        JoinToken {
            token: TokenName::new("shop").unwrap(),
            urls: vec!["nats://127.0.0.1:4222".into()],
            jwt: "header.claims.signature".into(),
            seed: "SUSECRET".into(),
            certificate_authority: None,
        }
    }

    #[test]
    fn a_token_is_one_line_and_comes_back() {
        let line = token().encode();
        assert!(line.starts_with("skein1.") && !line.contains(char::is_whitespace));
        assert_eq!(JoinToken::decode(&format!(" {line}\n")), Ok(token()));
        assert_eq!(
            JoinToken::decode(&line[..line.len() - 2]),
            Err(JoinTokenError::Damaged)
        );
        assert_eq!(JoinToken::decode("eyJ"), Err(JoinTokenError::Prefix));
    }

    #[test]
    fn a_token_does_not_show_its_secret() {
        assert!(!format!("{:?}", token()).contains("SECRET"));
    }
}
