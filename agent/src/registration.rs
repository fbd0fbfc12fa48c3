//! Becoming and staying a member: joining with a token, renewing in time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use skein_schema::code::Refusal;
use skein_schema::join::{Credential, JoinAnswer, JoinRequest, JoinToken, RenewRequest};
use skein_schema::kind::managed_cluster::ManagedClusterClaim;
use skein_schema::name::{ClusterName, SetName};
use tokio::time::Instant;

use crate::credential::{CredentialStore, CredentialStoreError, Membership};
use crate::environment::{Backoff, SharedEnvironment, fraction, new_id};
use crate::keys::{Keys, KeysError};
use crate::link::{Bus, JoinLink, Link, LinkError};

/// Renewal starts with this share of the life left, at most.
const RENEW_LEFT_MAX: f64 = 0.25;
/// And at least.
const RENEW_LEFT_MIN: f64 = 0.20;

/// What a joining agent shows its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinProgress {
    /// No hub could be reached yet.
    Connecting,
    /// Somebody has yet to accept; the hub's words.
    Pending(String),
    /// The hub refuses; it is asked again, less and less often.
    Refused(Refusal),
    /// The bus does not take the token at all: it has expired or was revoked.
    TokenRefused,
}

/// Why there is no membership, for good.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// The public keys cannot be made.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The credential cannot be stored.
    #[error(transparent)]
    Store(#[from] CredentialStoreError),
    /// The connection's settings cannot work.
    #[error("the bus cannot be used with this token")]
    Link(#[source] LinkError),
    /// The hub answered for another cluster.
    #[error("the hub issued a credential for {found} instead of {wanted}")]
    OtherCluster {
        /// The cluster it is for.
        found: ClusterName,
        /// The cluster that asked.
        wanted: ClusterName,
    },
}

/// What joining and renewing need.
#[derive(Clone)]
pub struct Registration {
    /// Connects.
    pub bus: Arc<dyn Bus>,
    /// Clock and dice.
    pub environment: SharedEnvironment,
    /// The agent's keys.
    pub keys: Arc<Keys>,
    /// Where the credential goes.
    pub store: Arc<CredentialStore>,
    /// Addresses that replace the token's.
    pub servers: Vec<String>,
    /// First and longest wait between two questions.
    pub retry: (Duration, Duration),
}

/// What the agent tells of its cluster when it joins.
#[derive(Debug, Clone)]
pub struct Introduction {
    /// The name it wants.
    pub cluster: ClusterName,
    /// Labels it wants.
    pub labels: BTreeMap<String, String>,
    /// Annotations it wants.
    pub annotations: BTreeMap<String, String>,
    /// Its claims now.
    pub claims: Vec<ManagedClusterClaim>,
}

impl Registration {
    /// Asks to be let in until the hub does; tells `progress` what it waits for.
    ///
    /// # Errors
    /// Only what no repetition can heal.
    pub async fn join(
        &self,
        token: &JoinToken,
        introduction: &Introduction,
        progress: impl Fn(JoinProgress),
    ) -> Result<Membership, RegistrationError> {
        let servers = if self.servers.is_empty() {
            &token.urls
        } else {
            &self.servers
        };
        let mut backoff = Backoff::new(self.retry.0, self.retry.1);
        let mut request = self.join_request(introduction)?;
        let mut link: Option<Box<dyn JoinLink>> = None;
        progress(JoinProgress::Connecting);
        loop {
            match self.ask(&mut link, token, servers, &request).await {
                Ok(JoinAnswer::Issued(credential)) => {
                    return self.keep(&introduction.cluster, *credential, servers, token);
                }
                Ok(JoinAnswer::Pending { message }) => {
                    // Quick while a person may be looking, with the same request: it is one wish.
                    tracing::info!(cluster = %introduction.cluster, %message, "waiting to be accepted");
                    progress(JoinProgress::Pending(message));
                }
                Ok(JoinAnswer::Refused(refusal)) => {
                    tracing::warn!(cluster = %introduction.cluster, code = %refusal.code, %refusal, "the hub refuses this cluster");
                    progress(JoinProgress::Refused(refusal));
                    // The refusal is remembered by the request's id; the next question is a new wish.
                    request.request = new_id(&*self.environment);
                }
                Err(LinkError::Refused(error)) => {
                    tracing::warn!(%error, token = %token.token, "the bus refuses the join token");
                    progress(JoinProgress::TokenRefused);
                    link = None;
                }
                Err(LinkError::Settings(source)) => {
                    return Err(RegistrationError::Link(LinkError::Settings(source)));
                }
                Err(error) => {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "the hub cannot be asked yet"
                    );
                    link = None;
                }
            }
            backoff.wait(&*self.environment).await;
            request.time = self.environment.now();
        }
    }

    async fn ask(
        &self,
        link: &mut Option<Box<dyn JoinLink>>,
        token: &JoinToken,
        servers: &[String],
        request: &JoinRequest,
    ) -> Result<JoinAnswer, LinkError> {
        let connected = match link.take() {
            Some(connected) => connected,
            None => self.bus.bootstrap(token, servers).await?,
        };
        let answer = connected.join(request).await?;
        *link = Some(connected);
        Ok(answer)
    }

    fn join_request(&self, introduction: &Introduction) -> Result<JoinRequest, KeysError> {
        Ok(JoinRequest {
            request: new_id(&*self.environment),
            time: self.environment.now(),
            cluster: introduction.cluster.clone(),
            keys: self.keys.public(&introduction.cluster)?,
            labels: introduction.labels.clone(),
            annotations: introduction.annotations.clone(),
            claims: introduction.claims.clone(),
            client_configs: Vec::new(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    fn keep(
        &self,
        wanted: &ClusterName,
        credential: Credential,
        servers: &[String],
        token: &JoinToken,
    ) -> Result<Membership, RegistrationError> {
        if credential.cluster != *wanted {
            let found = credential.cluster;
            return Err(RegistrationError::OtherCluster {
                found,
                wanted: wanted.clone(),
            });
        }
        let membership = Membership {
            credential,
            received_at: self.environment.now(),
            servers: servers.to_vec(),
            bus_authority: token.certificate_authority.clone(),
        };
        self.store.store(membership.clone())?;
        tracing::info!(cluster = %wanted, expires_at = %membership.credential.expires_at, "joined");
        Ok(membership)
    }

    /// Waits until the credential is due, then renews it over `link`; repeats until that works.
    ///
    /// # Errors
    /// Only what no repetition can heal.
    pub async fn renew(
        &self,
        link: &dyn Link,
        membership: &Membership,
        set: impl Fn() -> SetName,
    ) -> Result<Membership, RegistrationError> {
        let spread = RENEW_LEFT_MAX - RENEW_LEFT_MIN;
        let due = membership.renew_at(RENEW_LEFT_MIN + spread * fraction(&*self.environment));
        let wait =
            Duration::try_from(due.duration_since(self.environment.now())).unwrap_or_default();
        tracing::debug!(%due, "the credential will be renewed");
        tokio::time::sleep_until(Instant::now() + wait).await;

        let mut backoff = Backoff::new(self.retry.0, self.retry.1);
        let mut request = RenewRequest {
            request: new_id(&*self.environment),
            time: self.environment.now(),
            keys: self.keys.public(&membership.credential.cluster)?,
        };
        loop {
            match link.renew(&set(), &request).await {
                Ok(JoinAnswer::Issued(credential)) => {
                    return self.keep_renewed(membership, *credential);
                }
                Ok(JoinAnswer::Pending { message }) => {
                    tracing::warn!(%message, "the renewal of the credential waits");
                }
                Ok(JoinAnswer::Refused(refusal)) => {
                    tracing::error!(code = %refusal.code, %refusal, "the hub refuses to renew the credential");
                    request.request = new_id(&*self.environment);
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the credential could not be renewed yet"
                    );
                }
            }
            backoff.wait(&*self.environment).await;
            request.time = self.environment.now();
        }
    }

    fn keep_renewed(
        &self,
        old: &Membership,
        credential: Credential,
    ) -> Result<Membership, RegistrationError> {
        let wanted = &old.credential.cluster;
        if credential.cluster != *wanted {
            let found = credential.cluster;
            return Err(RegistrationError::OtherCluster {
                found,
                wanted: wanted.clone(),
            });
        }
        let renewed = Membership {
            credential,
            received_at: self.environment.now(),
            ..old.clone()
        };
        self.store.store(renewed.clone())?;
        tracing::info!(expires_at = %renewed.credential.expires_at, "the credential was renewed");
        Ok(renewed)
    }
}
