//! A join token and who came by it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use skein_schema::command::TokenGrant;
use skein_schema::envelope::Actor;
use skein_schema::name::ClusterName;
use skein_schema::query::TokenView;

/// A join token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRecord {
    /// What it allows.
    pub grant: TokenGrant,
    /// When it was minted.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: Actor,
    /// Somebody made it useless.
    pub revoked: bool,
    /// The clusters that asked to join by it. Each is one use, however often it asks.
    pub clusters: BTreeSet<ClusterName>,
}

impl TokenRecord {
    /// How many clusters have asked to join by it.
    #[must_use]
    pub fn used(&self) -> u32 {
        u32::try_from(self.clusters.len()).unwrap_or(u32::MAX)
    }

    /// The token as people look at it.
    #[must_use]
    pub fn view(&self) -> TokenView {
        TokenView {
            grant: self.grant.clone(),
            used: self.used(),
            revoked: self.revoked,
            created_at: self.created_at,
            created_by: self.created_by.clone(),
        }
    }
}
