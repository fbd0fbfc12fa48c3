//! Requests to join and to renew, to the driver; and the credentials that answer them.
//!
//! Only the lead listens: a request that reaches nobody is sent again by its agent.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use skein_hub_core::Grant;
use skein_nats::accounts::Role;
use skein_nats::operator::{MintError, OperatorKeys};
use skein_nats::{Connection, Headers, Message};
use skein_schema::code::{Code, Refusal, excerpt};
use skein_schema::command::{CLOCK_SKEW_MAX_SECONDS, TokenGrant};
use skein_schema::digest::Digest;
use skein_schema::envelope;
use skein_schema::join::{Credential, JoinAnswer, JoinRequest, RenewRequest};
use skein_schema::subject;
use tokio::sync::mpsc;

use crate::authority::{Authority, AuthorityError};
use crate::driver::effect::JoinVerdict;
use crate::driver::input::{Input, JoinCall, RenewCall};
use crate::intake::{self, EXCERPT};
use crate::metrics::Metrics;
use crate::signing::SigningKey;
use crate::state::{Standing, State};
use crate::task::Stop;

/// Mints credentials.
#[derive(Debug, Clone)]
pub struct Mint(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    operator: OperatorKeys,
    authority: Authority,
    key: Arc<SigningKey>,
    hub_id: String,
}

/// Why a credential was not minted.
#[derive(Debug, thiserror::Error)]
pub enum MintFailure {
    /// The bus's token could not be made.
    #[error("the token for the bus could not be made")]
    Token(#[from] MintError),
    /// The client certificate could not be made.
    #[error("the client certificate could not be made")]
    Certificate(#[from] AuthorityError),
}

impl Mint {
    /// A mint with these keys.
    #[must_use]
    pub fn new(operator: OperatorKeys, authority: Authority, key: Arc<SigningKey>) -> Self {
        let hub_id = Digest::of(operator.operator().as_bytes()).to_string();
        Self(Arc::new(Inner {
            operator,
            authority,
            key,
            hub_id,
        }))
    }

    /// The credential of a cluster. Minting it again gives one as good.
    ///
    /// # Errors
    /// When the keys in the request are not usable.
    pub fn agent(&self, grant: &Grant) -> Result<Credential, MintFailure> {
        let inner = &*self.0;
        let jwt = inner.operator.mint_user(
            Role::Agent,
            grant.cluster.as_str(),
            &grant.keys.nkey,
            grant.issued_at,
            Some(grant.expires_at),
        )?;
        let certificate = match &grant.keys.certificate_request {
            Some(request) => Some(inner.authority.issue(
                &grant.cluster,
                request,
                grant.issued_at,
                grant.expires_at,
            )?),
            None => None,
        };
        Ok(Credential {
            cluster: grant.cluster.clone(),
            hub_id: inner.hub_id.clone(),
            jwt,
            expires_at: grant.expires_at,
            certificate_authority: certificate
                .is_some()
                .then(|| inner.authority.certificate().to_owned()),
            certificate,
            signing_keys: BTreeMap::from([(inner.key.id().to_owned(), inner.key.public())]),
            clusterset: grant.clusterset.clone(),
        })
    }

    /// The bootstrap credential of a join token: a token for the bus; the seed is with whoever made
    /// the key.
    ///
    /// # Errors
    /// When the grant's key is not usable.
    pub fn token(&self, grant: &TokenGrant, now: Timestamp) -> Result<String, MintError> {
        self.0.operator.mint_user(
            Role::Bootstrap,
            grant.token.as_str(),
            &grant.public_key,
            now,
            Some(grant.expires_at),
        )
    }

    /// The answer to a request to join or renew.
    #[must_use]
    pub fn answer(&self, verdict: JoinVerdict) -> JoinAnswer {
        match verdict {
            JoinVerdict::Pending { message } => JoinAnswer::Pending { message },
            JoinVerdict::Refused(refusal) => JoinAnswer::Refused(refusal),
            JoinVerdict::Issue(grant) => match self.agent(&grant) {
                Ok(credential) => JoinAnswer::Issued(Box::new(credential)),
                Err(error) => {
                    tracing::warn!(cluster = %grant.cluster, error = %crate::report(&error), "no credential was minted");
                    JoinAnswer::Refused(unusable_keys(&error))
                }
            },
        }
    }
}

/// The mint's failures are the requester's: its keys are not what they should be.
fn unusable_keys(error: &MintFailure) -> Refusal {
    let path = match error {
        MintFailure::Token(_) => "keys.nkey",
        MintFailure::Certificate(_) => "keys.certificateRequest",
    };
    Refusal::new(Code::InvalidField, "the keys in the request cannot be used")
        .with_cause(path, excerpt(&error.to_string(), EXCERPT))
        .with_hint("let the agent make new keys: remove its state folder and join again")
}

/// Takes requests to join and to renew while this hub leads, until told to stop.
///
/// # Errors
/// When the connection is closed.
pub async fn run(
    connection: Connection,
    state: Arc<State>,
    inputs: mpsc::Sender<Input>,
    metrics: Arc<Metrics>,
    now: fn() -> Timestamp,
    stop: Stop,
) -> anyhow::Result<()> {
    let mut standing = state.standing();
    loop {
        tokio::select! {
            () = stop.wait() => return Ok(()),
            leads = standing.wait_for(|s| *s == Standing::Leading) => drop(leads?),
        }
        let mut joins = connection
            .queue_subscribe(subject::JOIN_ALL, subject::HUB_QUEUE)
            .await?;
        let mut renewals = connection
            .queue_subscribe(subject::RENEW_ALL, subject::HUB_QUEUE)
            .await?;
        loop {
            let message = tokio::select! {
                () = stop.wait() => return Ok(()),
                changed = standing.wait_for(|s| *s != Standing::Leading) => { drop(changed?); break }
                message = joins.next() => message,
                message = renewals.next() => message,
            };
            let Some(message) = message else {
                anyhow::ensure!(stop.is_set(), "the connection to the bus was closed");
                return Ok(());
            };
            match read(&message, now()) {
                Ok(input) => {
                    if inputs.send(input).await.is_err() {
                        return Ok(());
                    }
                }
                Err(refusal) => {
                    metrics.count(&metrics.malformed, "join");
                    refuse(&connection, &message, refusal).await;
                }
            }
        }
    }
}

async fn refuse(connection: &Connection, to: &Message, refusal: Refusal) {
    let answer = JoinAnswer::Refused(refusal);
    let body = serde_json::to_vec(&answer).expect("answers of the schema are JSON");
    if let Err(error) = connection.respond(to, Headers::new(), body.into()).await {
        tracing::debug!(%error, "an agent was not told why its request was refused");
    }
}

/// Reads a request. Who asks stands in the subject, which the bus has checked.
fn read(message: &Message, now: Timestamp) -> Result<Input, Refusal> {
    envelope::check_version(|name| message.headers.get(name))
        .map_err(|error| intake::envelope_refusal(&error))?;
    let wrong = |error: subject::SubjectError| {
        Refusal::new(Code::InvalidArgument, excerpt(&error.to_string(), EXCERPT))
    };
    if message.subject.starts_with("join.") {
        let token = subject::parse_join(&message.subject).map_err(wrong)?;
        let request: JoinRequest = body(message)?;
        check_clock(request.time, now)?;
        return Ok(Input::Join(Box::new(JoinCall {
            token,
            request,
            message: message.clone(),
        })));
    }
    let (_, cluster) = subject::parse_of_cluster(&message.subject).map_err(wrong)?;
    let request: RenewRequest = body(message)?;
    check_clock(request.time, now)?;
    Ok(Input::Renew(Box::new(RenewCall {
        cluster,
        request,
        message: message.clone(),
    })))
}

fn body<T: DeserializeOwned>(message: &Message) -> Result<T, Refusal> {
    serde_json::from_slice(&message.body).map_err(|error| {
        Refusal::new(Code::MalformedDocument, "the request cannot be read")
            .with_cause("", excerpt(&error.to_string(), EXCERPT))
    })
}

/// A credential of an agent whose clock is off would seem to have ended, or not to have begun.
fn check_clock(time: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    let apart = now.duration_since(time).abs().as_secs();
    if apart <= CLOCK_SKEW_MAX_SECONDS {
        return Ok(());
    }
    Err(Refusal::new(
        Code::ClockSkew,
        format!("the agent's clock is {apart} s away from the hub's"),
    )
    .with_cause(
        "time",
        format!("must be within {CLOCK_SKEW_MAX_SECONDS} s of {now}"),
    )
    .with_hint("set the clock of the cluster's machines, e.g. by NTP"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(subject: &str, body: &serde_json::Value) -> Message {
        Message {
            subject: subject.into(),
            reply: None,
            headers: Headers::new(),
            body: body.to_string().into(),
        }
    }

    fn now() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn who_asks_stands_in_the_subject() {
        let id = "00000000-0000-0000-0000-000000000001";
        let renew = json!({"request": id, "time": "2026-11-23T12:00:10Z", "keys": {"nkey": "U"}});
        let Ok(Input::Renew(call)) = read(&message("renew.default.c1", &renew), now()) else {
            panic!("a renewal")
        };
        assert_eq!(call.cluster.as_str(), "c1");
        let join = json!({"request": id, "time": "2026-11-23T12:00:10Z", "cluster": "c1", "keys": {"nkey": "U"},
            "agentVersion": "0.1.0"});
        let Ok(Input::Join(call)) = read(&message("join.shop", &join), now()) else {
            panic!("a join")
        };
        assert_eq!(call.token.as_str(), "shop");
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_code() {
        let id = "00000000-0000-0000-0000-000000000001";
        let late = json!({"request": id, "time": "2026-11-23T13:00:00Z", "keys": {"nkey": "U"}});
        for (subject, body, code) in [
            ("join.shop", json!([]), Code::MalformedDocument),
            ("renew.default.c1", json!("x"), Code::MalformedDocument),
            ("renew.default.c1", late, Code::ClockSkew),
            ("renew.c1", json!({}), Code::InvalidArgument),
        ] {
            let refusal = read(&message(subject, &body), now()).expect_err("refused");
            assert_eq!(refusal.code, code, "{subject} {body}");
        }
        let mut future = message("renew.default.c1", &json!({}));
        future.headers = Headers::new().with("ce-schemaversion", "99");
        let refusal = read(&future, now()).expect_err("refused");
        assert_eq!(refusal.code, Code::UnsupportedVersion);
    }
}
