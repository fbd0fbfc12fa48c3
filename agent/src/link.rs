//! The way to the hub, as the agent sees it: a few questions and answers, and no NATS.
//!
//! [`nats`] is the real one. Tests that are about the agent and not about the bus bring one without a
//! server.

pub mod nats;

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use skein_nats::connect::CredentialSource;
use skein_nats::{Headers, Message};
use skein_schema::join::{JoinAnswer, JoinRequest, JoinToken, RenewRequest};
use skein_schema::name::{ClusterName, SetName};
use skein_schema::status::Heartbeat;
use skein_schema::sync::{SyncEnd, SyncRequest};
use tokio::sync::watch;

/// Whether the bus can be used now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// Messages flow. `times` counts the connections made, so that a reconnection is seen even by
    /// a reader that slept through the disconnection.
    Connected {
        /// Connections made so far, from 1.
        times: u64,
    },
    /// No server can be reached; it is tried again and again.
    Disconnected,
    /// The server does not accept the credential: it ended or was revoked.
    Refused(RefusalReason),
}

/// Why the server does not accept the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
    /// The server does not say. It may only just have been started, and not know its accounts yet.
    Unclear,
}

/// Why something did not get through.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The bus refuses the credential.
    #[error("the bus refuses the credential")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The bus cannot be reached, or answered late or not at all. Trying again can help.
    #[error("the hub cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The bus does not take the message, and will not however often it is sent.
    #[error("the bus does not take the message")]
    Rejected(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An answer came and cannot be read.
    #[error("the hub's answer cannot be read")]
    Answer(#[source] serde_json::Error),
    /// The settings cannot work, whatever the network does.
    #[error("the connection's settings cannot be used")]
    Settings(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// One answer to a catch-up request.
#[derive(Debug, Clone, PartialEq)]
pub enum SyncAnswer {
    /// A desired message, as it would have come live.
    Desired(Message),
    /// A content's bytes; nobody has checked them yet.
    Content(Bytes),
    /// The last answer.
    End(SyncEnd),
}

/// How to reach the bus with a credential.
#[derive(Clone)]
pub struct LinkSettings {
    /// The cluster; it names the inbox.
    pub cluster: ClusterName,
    /// Addresses of the bus.
    pub servers: Vec<String>,
    /// PEM of the bus's certificate authority, if it is not a public one.
    pub certificate_authority: Option<String>,
    /// The credential, asked for anew at each connection.
    pub credentials: Arc<dyn CredentialSource>,
}

/// What connects: the composition root is given one.
pub trait Bus: Send + Sync + 'static {
    /// A connection with the right to ask for admission and nothing else.
    fn bootstrap<'a>(
        &'a self,
        token: &'a JoinToken,
        servers: &'a [String],
    ) -> BoxFuture<'a, Result<Box<dyn JoinLink>, LinkError>>;

    /// The connection of an admitted agent. Waits for a server to appear; only a refused
    /// credential and unusable settings end it.
    fn connect(&self, settings: LinkSettings) -> BoxFuture<'_, Result<Arc<dyn Link>, LinkError>>;
}

/// A connection that can ask for admission.
pub trait JoinLink: Send + Sync {
    /// Asks once.
    fn join<'a>(&'a self, request: &'a JoinRequest)
    -> BoxFuture<'a, Result<JoinAnswer, LinkError>>;
}

/// An admitted agent's connection.
pub trait Link: Send + Sync + 'static {
    /// How it is.
    fn state(&self) -> watch::Receiver<LinkState>;

    /// Desired messages as they are published, for whatever set the cluster is in. Anybody may
    /// have planted one: each has to be checked.
    fn desired(&self) -> BoxFuture<'_, Result<BoxStream<'static, Message>, LinkError>>;

    /// Asks for what was missed, or for a content. The stream ends after [`SyncAnswer::End`] or an
    /// error.
    fn sync<'a>(
        &'a self,
        set: &'a SetName,
        request: &'a SyncRequest,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<SyncAnswer, LinkError>>, LinkError>>;

    /// Sends a status and waits until it is stored.
    fn status<'a>(
        &'a self,
        set: &'a SetName,
        headers: Headers,
        body: Bytes,
    ) -> BoxFuture<'a, Result<(), LinkError>>;

    /// Sends a heartbeat; nobody confirms it.
    fn beat<'a>(
        &'a self,
        set: &'a SetName,
        beat: &'a Heartbeat,
    ) -> BoxFuture<'a, Result<(), LinkError>>;

    /// Asks for a fresh credential.
    fn renew<'a>(
        &'a self,
        set: &'a SetName,
        request: &'a RenewRequest,
    ) -> BoxFuture<'a, Result<JoinAnswer, LinkError>>;

    /// Connects anew, to use a fresh credential.
    fn reconnect(&self) -> BoxFuture<'_, ()>;
}
