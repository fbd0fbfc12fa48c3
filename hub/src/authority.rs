//! The hub's certificate authority: it signs the client certificates of agents and the server
//! certificates of tunnel gateways.
//!
//! What a request asks for is not what it gets: of a request only the public key and the proof
//! that its holder made it are used. Name, purpose and life time are the hub's to say.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};
use skein_schema::name::ClusterName;

use crate::private_file::{self, FileError};

/// File name of the private key in the keys folder.
pub const KEY_FILE: &str = "authority.key";
/// File name of the certificate in the keys folder.
pub const CERTIFICATE_FILE: &str = "authority.pem";
/// How long the authority's own certificate is good.
const LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How far clocks may be apart: certificates begin this long before they are made.
const CLOCK_LEEWAY: Duration = Duration::from_secs(300);

/// The authority cannot be had, or a certificate not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The key or certificate on disk is damaged, or one is missing.
    #[error("{} does not hold the authority's key and certificate", folder.display())]
    Damaged {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        #[source]
        source: Option<rcgen::Error>,
    },
    /// The authority's own certificate could not be made.
    #[error("cannot make the authority's certificate")]
    Make(#[source] rcgen::Error),
    /// The request is damaged, or not signed by its key's holder.
    #[error("the certificate request of cluster {cluster} is not valid")]
    Request {
        /// Whose it is.
        cluster: ClusterName,
        /// What is wrong with it.
        #[source]
        source: rcgen::Error,
    },
}

/// The authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// The authority in `folder`, made there when there is none.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the files are damaged.
    pub fn open_or_create(folder: &Path, now: Timestamp) -> Result<Self, AuthorityError> {
        let damaged = |source| AuthorityError::Damaged {
            folder: folder.to_owned(),
            source,
        };
        let (key_path, certificate_path) = (folder.join(KEY_FILE), folder.join(CERTIFICATE_FILE));
        let (key, certificate) = match (
            private_file::read(&key_path)?,
            private_file::read(&certificate_path)?,
        ) {
            (Some(key), Some(certificate)) => (key, certificate),
            // The key is written first: a certificate without a key was not made here.
            (None, Some(_)) => return Err(damaged(None)),
            (_, None) => {
                let (key, certificate) = generate(now).map_err(AuthorityError::Make)?;
                private_file::write(&key_path, &key)?;
                private_file::write(&certificate_path, &certificate)?;
                (key, certificate)
            }
        };
        let pair = KeyPair::from_pem(&key).map_err(|error| damaged(Some(error)))?;
        let issuer =
            Issuer::from_ca_cert_pem(&certificate, pair).map_err(|error| damaged(Some(error)))?;
        Ok(Self {
            issuer,
            certificate,
        })
    }

    /// PEM of the authority's certificate.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Signs a client certificate for `cluster`, good until `expires_at`. `request` is the PEM of
    /// its PKCS #10 request.
    ///
    /// # Errors
    /// [`AuthorityError::Request`] when the request is damaged or its signature is not its key's.
    pub fn issue(
        &self,
        cluster: &ClusterName,
        request: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<String, AuthorityError> {
        let error = |source| AuthorityError::Request {
            cluster: cluster.clone(),
            source,
        };
        let mut request = CertificateSigningRequestParams::from_pem(request).map_err(error)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name(cluster.as_str());
        params.subject_alt_names = vec![SanType::URI(
            format!("skein://cluster/{cluster}")
                .try_into()
                .map_err(error)?,
        )];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = date_time_ymd(1970, 1, 1) + since_epoch(now) - CLOCK_LEEWAY;
        params.not_after = date_time_ymd(1970, 1, 1) + since_epoch(expires_at);
        params.use_authority_key_identifier_extension = true;
        request.params = params;
        Ok(request.signed_by(&self.issuer).map_err(error)?.pem())
    }
}

fn generate(now: Timestamp) -> Result<(String, String), rcgen::Error> {
    let pair = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = name("Skein hub");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(1970, 1, 1) + since_epoch(now) - CLOCK_LEEWAY;
    params.not_after = date_time_ymd(1970, 1, 1) + since_epoch(now) + LIFETIME;
    let certificate = params.self_signed(&pair)?.pem();
    Ok((pair.serialize_pem(), certificate))
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

/// X.509 counts whole seconds; times before 1970 do not occur here.
fn since_epoch(at: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(at.as_second()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::{FromDer as _, X509Certificate, parse_x509_pem};

    fn now() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    fn request(common: &str) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = name(common);
        params.is_ca = IsCa::NoCa;
        params
            .serialize_request(&KeyPair::generate().unwrap())
            .unwrap()
            .pem()
            .unwrap()
    }

    #[test]
    fn a_certificate_names_the_cluster_whatever_the_request_says() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open_or_create(folder.path(), now()).unwrap();
        let cluster = ClusterName::new("c1").unwrap();
        let end = now() + jiff::SignedDuration::from_hours(24);
        let pem = authority
            .issue(&cluster, &request("root of all"), now(), end)
            .unwrap();
        let (_, parsed) = parse_x509_pem(pem.as_bytes()).unwrap();
        let (_, certificate) = X509Certificate::from_der(&parsed.contents).unwrap();
        assert_eq!(certificate.subject().to_string(), "CN=c1");
        assert_eq!(
            certificate.validity().not_after.timestamp(),
            end.as_second()
        );
        let usage = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.client_auth && !usage.server_auth && !certificate.is_ca());
        let (_, authority) = parse_x509_pem(authority.certificate().as_bytes()).unwrap();
        let (_, authority) = X509Certificate::from_der(&authority.contents).unwrap();
        certificate
            .verify_signature(Some(authority.public_key()))
            .unwrap();
    }

    #[test]
    fn a_request_that_is_none_or_was_changed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open_or_create(folder.path(), now()).unwrap();
        let cluster = ClusterName::new("c1").unwrap();
        let end = now() + jiff::SignedDuration::from_hours(1);
        for bad in [
            "",
            "hello",
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        ] {
            let error = authority.issue(&cluster, bad, now(), end).unwrap_err();
            assert!(matches!(error, AuthorityError::Request { .. }), "{bad:?}");
        }
    }

    #[test]
    fn the_authority_stays_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let made = Authority::open_or_create(folder.path(), now()).unwrap();
        assert_eq!(
            Authority::open_or_create(folder.path(), now())
                .unwrap()
                .certificate(),
            made.certificate()
        );
        std::fs::remove_file(folder.path().join(KEY_FILE)).unwrap();
        assert!(matches!(
            Authority::open_or_create(folder.path(), now()),
            Err(AuthorityError::Damaged { .. })
        ));
    }
}
