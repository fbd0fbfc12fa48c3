//! Who comes and goes, as servers tell it.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{SelectAll, select_all};
use futures::{Stream, StreamExt as _};
use serde::Deserialize;

use crate::accounts::{Account, Role};
use crate::connect::{Connection, PublishError, Subscription};
use crate::jwt::{Token, UserClaims};
use crate::operator::OperatorKeys;

/// Whether a client came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientChange {
    /// It connected.
    Connected,
    /// It went.
    Disconnected {
        /// Why, in the server's words, e.g. `Client Closed` or `Credentials Revoked`.
        reason: String,
    },
}

/// A client of agents or users that came or went. A hint: one can be lost, so it shortens a wait
/// and never replaces one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAdvisory {
    /// What it is.
    pub role: Role,
    /// The name in its token: the cluster, the join token, or the user. Checked by the server.
    pub name: String,
    /// The public key in its token.
    pub user_key: String,
    /// The number of the connection on its server: a client that was replaced by a newer one of
    /// the same name has another.
    pub connection: u64,
    /// The server it was on.
    pub server: String,
    /// What it did.
    pub change: ClientChange,
}

/// Advisories as they come.
#[derive(Debug)]
pub struct Advisories {
    subscriptions: SelectAll<Subscription>,
    keys: OperatorKeys,
}

impl Advisories {
    pub(super) async fn subscribe(
        connection: &Connection,
        keys: &OperatorKeys,
    ) -> Result<Self, PublishError> {
        let mut subscriptions = Vec::new();
        for account in [Account::Agents, Account::Users] {
            for what in ["CONNECT", "DISCONNECT"] {
                let subject = format!("$SYS.ACCOUNT.{}.{what}", keys.account(account));
                subscriptions.push(connection.subscribe(&subject).await?);
            }
        }
        connection.round_trip().await?;
        Ok(Self {
            subscriptions: select_all(subscriptions),
            keys: keys.clone(),
        })
    }
}

impl Stream for Advisories {
    type Item = ClientAdvisory;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<ClientAdvisory>> {
        loop {
            match self.subscriptions.poll_next_unpin(context) {
                Poll::Ready(Some(message)) => match read(&self.keys, &message.body) {
                    Some(advisory) => return Poll::Ready(Some(advisory)),
                    None => tracing::debug!(subject = message.subject, "an advisory of no use"),
                },
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

#[derive(Deserialize)]
struct Advisory {
    #[serde(rename = "type")]
    kind: String,
    client: Client,
    server: Server,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct Client {
    id: u64,
    /// The token it connected with.
    #[serde(default)]
    jwt: String,
}

#[derive(Deserialize)]
struct Server {
    id: String,
}

fn read(keys: &OperatorKeys, body: &[u8]) -> Option<ClientAdvisory> {
    let advisory: Advisory = serde_json::from_slice(body).ok()?;
    let change = match advisory.kind.as_str() {
        "io.nats.server.advisory.v1.client_connect" => ClientChange::Connected,
        "io.nats.server.advisory.v1.client_disconnect" => ClientChange::Disconnected {
            reason: advisory.reason,
        },
        _ => return None,
    };
    let token = Token::<UserClaims>::read(&advisory.client.jwt).ok()?;
    Some(ClientAdvisory {
        role: keys.role_of(&token.iss)?,
        name: token.name,
        user_key: token.sub,
        connection: advisory.client.id,
        server: advisory.server.id,
        change,
    })
}
