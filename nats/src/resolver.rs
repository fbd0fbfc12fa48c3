//! Telling running servers which accounts there are and who is revoked, and hearing from
//! them who comes and goes.
//!
//! It needs a connection as [`crate::accounts::Role::System`]. A revocation takes effect
//! at once: the servers drop the connections it concerns.

mod advisory;

pub use advisory::{Advisories, ClientAdvisory, ClientChange};

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;

use crate::accounts::Account;
use crate::connect::{Connection, PublishError, RequestError};
use crate::message::Headers;
use crate::operator::{OperatorKeys, Revocations};

const UPDATE: &str = "$SYS.REQ.CLAIMS.UPDATE";

/// Why an account's token was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// No server answered. It may have been taken.
    #[error("no server took the account {account}")]
    Request {
        /// The account's name.
        account: &'static str,
        /// What went wrong.
        #[source]
        source: RequestError,
    },
    /// A server refused it.
    #[error("a server refused the account {account}: {reason}")]
    Refused {
        /// The account's name.
        account: &'static str,
        /// The server's words.
        reason: String,
    },
}

/// A server's list of accounts that can be changed while it runs.
#[derive(Clone, Debug)]
pub struct AccountResolver {
    connection: Connection,
    keys: OperatorKeys,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    error: Option<AnswerError>,
}

#[derive(Deserialize)]
struct AnswerError {
    description: String,
}

impl AccountResolver {
    /// Speaks through `connection`, which must be one of the system account.
    #[must_use]
    pub fn new(connection: Connection, keys: OperatorKeys) -> Self {
        Self { connection, keys }
    }

    /// Makes the accounts known: all but the system account, which servers are born with. To be
    /// done at each start of a hub, with all revocations known to the ledger; doing it twice is
    /// harmless.
    ///
    /// # Errors
    /// [`PushError`] for the first account that was not taken.
    pub async fn push_all(
        &self,
        revocations: &AccountRevocations,
        now: Timestamp,
    ) -> Result<(), PushError> {
        for account in [Account::Hub, Account::Agents, Account::Users] {
            self.push(account, revocations, now).await?;
        }
        Ok(())
    }

    /// Makes one account known as it is now. Users in its revocations are dropped at once, and
    /// refused from then on, by every server of a cluster.
    ///
    /// `revocations` must be complete: who is no longer in them is welcome again.
    ///
    /// # Errors
    /// [`PushError`] when no server took it.
    pub async fn push(
        &self,
        account: Account,
        revocations: &AccountRevocations,
        now: Timestamp,
    ) -> Result<(), PushError> {
        let jwt = self.keys.account_jwt(account, revocations.of(account), now);
        let name = account.name();
        let asked = self
            .connection
            .request(UPDATE, Headers::new(), Bytes::from(jwt))
            .await;
        let answer = asked.map_err(|source| PushError::Request {
            account: name,
            source,
        })?;
        let read: Result<Answer, _> = serde_json::from_slice(&answer.body);
        let refused = |reason| {
            Err(PushError::Refused {
                account: name,
                reason,
            })
        };
        match read {
            Ok(Answer { error: None }) => Ok(()),
            Ok(Answer { error: Some(error) }) => refused(error.description),
            Err(error) => refused(format!("it answered something else than JSON ({error})")),
        }
    }

    /// Hears of each client of agents and users that connects or disconnects, from now on.
    ///
    /// # Errors
    /// [`PublishError`] when the connection is closed.
    pub async fn advisories(&self) -> Result<Advisories, PublishError> {
        Advisories::subscribe(&self.connection, &self.keys).await
    }
}

/// The revocations of the accounts that have users to revoke.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountRevocations {
    /// Agents, and the holders of join tokens.
    pub agents: Revocations,
    /// People and programs.
    pub users: Revocations,
}

impl AccountRevocations {
    fn of(&self, account: Account) -> &Revocations {
        static NONE: Revocations = Revocations::new();
        match account {
            Account::Agents => &self.agents,
            Account::Users => &self.users,
            Account::Hub | Account::Sys => &NONE,
        }
    }
}
