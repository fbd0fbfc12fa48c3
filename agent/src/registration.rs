//! Becoming and staying a member: joining with a token, renewing in time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use skein_nats::join_token;
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
    /// The hub refuses, or the bus does not take the token; it is asked again, less and less often.
    Refused(Refusal),
}

/// What came of asking to be let in once.
#[derive(Debug)]
pub enum Asked {
    /// Let in; the credential is stored.
    Joined(Box<Membership>),
    /// Not yet, and why.
    Waits(JoinProgress),
    /// Nobody answered.
    Unanswered,
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

/// A wish to be let in, which stays the same one until it is refused.
pub struct Joining {
    registration: Registration,
    token: JoinToken,
    request: JoinRequest,
    link: Option<Box<dyn JoinLink>>,
}

impl Joining {
    /// Asks once.
    ///
    /// # Errors
    /// Only what no repetition can heal.
    pub async fn ask(&mut self) -> Result<Asked, RegistrationError> {
        let environment = Arc::clone(&self.registration.environment);
        self.request.time = environment.now();
        let cluster = self.request.cluster.clone();
        let waits = match self.exchange().await {
            Ok(JoinAnswer::Issued(credential)) => {
                let servers = self.servers().to_vec();
                let membership =
                    self.registration
                        .keep(&cluster, *credential, servers, &self.token)?;
                return Ok(Asked::Joined(Box::new(membership)));
            }
            Ok(JoinAnswer::Pending { message }) => {
                // Quick while a person may be looking, with the same request: it is one wish.
                tracing::info!(%cluster, %message, "waiting to be accepted");
                JoinProgress::Pending(message)
            }
            Ok(JoinAnswer::Refused(refusal)) => {
                tracing::warn!(%cluster, code = %refusal.code, %refusal, hint = refusal.hint, "the hub refuses this cluster");
                // The refusal is remembered by the request's id; the next question is a new wish.
                self.request.request = new_id(&*environment);
                JoinProgress::Refused(refusal)
            }
            Err(LinkError::Refused(error)) => {
                let refusal = join_token::refused(&self.token, environment.now());
                tracing::warn!(%cluster, code = %refusal.code, %error, hint = refusal.hint, "{refusal}");
                JoinProgress::Refused(refusal)
            }
            Err(error @ LinkError::Settings(_)) => return Err(RegistrationError::Link(error)),
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "the hub cannot be asked yet"
                );
                return Ok(match self.expired() {
                    Some(refusal) => Asked::Waits(JoinProgress::Refused(refusal)),
                    None => Asked::Unanswered,
                });
            }
        };
        Ok(Asked::Waits(waits))
    }

    /// The refusal of a token that has ended by this machine's clock. That may be wrong: the bus is
    /// asked all the same.
    #[must_use]
    pub fn expired(&self) -> Option<Refusal> {
        join_token::expired(&self.token, self.registration.environment.now())
    }

    /// A question and its answer. The connection is kept as long as it works.
    async fn exchange(&mut self) -> Result<JoinAnswer, LinkError> {
        let connected = match self.link.take() {
            Some(connected) => connected,
            None => {
                let bus = Arc::clone(&self.registration.bus);
                bus.bootstrap(&self.token, self.servers()).await?
            }
        };
        let answer = connected.join(&self.request).await?;
        self.link = Some(connected);
        Ok(answer)
    }

    fn servers(&self) -> &[String] {
        if self.registration.servers.is_empty() {
            &self.token.urls
        } else {
            &self.registration.servers
        }
    }
}

impl Registration {
    /// A wish to be let in.
    ///
    /// # Errors
    /// When the public keys cannot be made.
    pub fn joining(
        &self,
        token: &JoinToken,
        introduction: &Introduction,
    ) -> Result<Joining, RegistrationError> {
        Ok(Joining {
            request: self.join_request(introduction)?,
            registration: self.clone(),
            token: token.clone(),
            link: None,
        })
    }

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
        let mut backoff = Backoff::new(self.retry.0, self.retry.1);
        let mut joining = self.joining(token, introduction)?;
        progress(match joining.expired() {
            Some(refusal) => JoinProgress::Refused(refusal),
            None => JoinProgress::Connecting,
        });
        loop {
            match joining.ask().await? {
                Asked::Joined(membership) => return Ok(*membership),
                Asked::Waits(why) => progress(why),
                Asked::Unanswered => {}
            }
            backoff.wait(&*self.environment).await;
        }
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
        servers: Vec<String>,
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
            servers,
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
