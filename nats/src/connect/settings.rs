//! How to connect.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::{AuthError, ConnectOptions};
use rand::Rng as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::Credentials;

/// What to do when no server answers the first time. Later, a connection is always made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Wait for a server: for programs that stay.
    Forever,
    /// Say so: for a command line.
    No,
}

/// How a connection is secured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM of the authorities to believe; the system's when absent.
    pub authority: Option<String>,
    /// PEM files of a client certificate and its key, where the server wants one.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// How to connect.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where servers are, e.g. `tls://hub.example.com:4222`.
    pub servers: Vec<String>,
    /// What the servers call us in their lists; not an identity.
    pub name: String,
    /// What to show them.
    pub credentials: Credentials,
    /// The prefix of the inboxes we may listen on, see [`crate::accounts::Role::inbox_prefix`].
    pub inbox_prefix: String,
    /// TLS; without it, a connection is secure only where the address or the server says so.
    pub tls: Option<Tls>,
    /// How long one attempt may take. Default 5 s.
    pub connect_timeout: Duration,
    /// How long an answer to a request may take. Default 5 s.
    pub request_timeout: Duration,
    /// What to do when no server answers the first time. Default [`Retry::Forever`].
    pub retry: Retry,
}

impl Settings {
    /// Settings with the defaults.
    #[must_use]
    pub fn new(
        servers: Vec<String>,
        name: impl Into<String>,
        credentials: Credentials,
        inbox_prefix: impl Into<String>,
    ) -> Self {
        Self {
            servers,
            name: name.into(),
            credentials,
            inbox_prefix: inbox_prefix.into(),
            tls: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
            retry: Retry::Forever,
        }
    }

    /// The client library's options. `connected` tells whether there ever was a connection.
    pub(super) fn to_options(
        &self,
        connected: Arc<AtomicBool>,
    ) -> Result<ConnectOptions, Box<dyn std::error::Error + Send + Sync>> {
        let credentials = self.credentials.clone();
        let options = match &self.credentials {
            Credentials::None => ConnectOptions::new(),
            _ => ConnectOptions::with_auth_callback(move |nonce| {
                let auth = credentials
                    .current()
                    .and_then(|current| {
                        current.map_or_else(
                            || Ok(async_nats::Auth::new()),
                            |user| user.to_auth(&nonce),
                        )
                    })
                    .map_err(AuthError::new);
                std::future::ready(auth)
            }),
        };
        let mut options = options
            .name(&self.name)
            .custom_inbox_prefix(&self.inbox_prefix)
            .connection_timeout(self.connect_timeout)
            .request_timeout(Some(self.request_timeout))
            .ping_interval(Duration::from_secs(20))
            .max_reconnects(None)
            .reconnect_delay_callback(move |attempt| {
                if connected.load(Ordering::Relaxed) {
                    delay(attempt, LONGEST_DELAY)
                } else {
                    Duration::ZERO
                }
            })
            // Room for a catch-up of many pages; a slow reader is told, not blocked.
            .subscription_capacity(64 * 1024)
            .client_capacity(4096);
        if let Some(tls) = &self.tls {
            options = options.require_tls(true);
            if let Some(authority) = &tls.authority {
                options = options.tls_client_config(client_config(authority, tls)?);
            } else if let Some((certificate, key)) = &tls.client {
                options = options.add_client_certificate(certificate.clone(), key.clone());
            }
        }
        Ok(options)
    }
}

const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// A wait that doubles with each attempt, from 50 ms up to `longest`, and is drawn at random from
/// its upper half: thousands of clients that lost a server together do not come back together.
pub(super) fn delay(attempt: usize, longest: Duration) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1))
        .unwrap_or(u32::MAX)
        .min(16);
    let full = Duration::from_millis(100)
        .saturating_mul(1 << doublings)
        .min(longest);
    full.mul_f64(rand::rng().random_range(0.5..=1.0))
}

fn client_config(
    authority: &str,
    tls: &Tls,
) -> Result<rustls::ClientConfig, Box<dyn std::error::Error + Send + Sync>> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority.as_bytes()) {
        roots.add(certificate?)?;
    }
    if roots.is_empty() {
        return Err("the authority's PEM holds no certificate".into());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let Some((certificate, key)) = &tls.client else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = rustls::pki_types::PrivateKeyDer::from_pem_file(key)?;
    Ok(builder.with_client_auth_cert(chain, key)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_are_bounded_and_never_in_step() {
        let longest = Duration::from_secs(5);
        for attempt in 0..1_000 {
            let wait = delay(attempt, longest);
            assert!(
                wait >= Duration::from_millis(50) && wait <= longest,
                "{attempt}: {wait:?}"
            );
        }
        let waits: std::collections::BTreeSet<Duration> =
            (0..20).map(|_| delay(9, longest)).collect();
        assert!(waits.len() > 1);
    }

    #[test]
    fn an_authority_without_a_certificate_is_refused() {
        assert!(client_config("", &Tls::default()).is_err());
    }
}
