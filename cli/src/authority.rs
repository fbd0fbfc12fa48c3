//! The authority that signs the bus servers' certificates.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use skein_schema::code::Code;

use crate::error::{CliError, CliResult};

/// A certificate authority of our own.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    certificate: String,
}

/// A server's certificate and its key, PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    /// A new authority with a new key.
    pub(crate) fn new() -> CliResult<Self> {
        let make = || {
            let mut params = CertificateParams::default();
            params
                .distinguished_name
                .push(DnType::CommonName, "Skein bus authority");
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            CertifiedIssuer::self_signed(params, KeyPair::generate()?)
        };
        let issuer = make().map_err(|error| failed("the authority", &error))?;
        let certificate = issuer.pem();
        Ok(Self {
            issuer,
            certificate,
        })
    }

    /// The authority's own certificate, PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The authority's private key, PEM.
    pub(crate) fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A certificate for a server called `host`, also for its connections to other servers.
    pub(crate) fn issue(&self, host: &str) -> CliResult<Issued> {
        let make = || {
            let mut params = CertificateParams::new(vec![host.to_owned()])?;
            params.distinguished_name.push(DnType::CommonName, host);
            params.extended_key_usages = vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ];
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &self.issuer)?;
            Ok(Issued {
                certificate: certificate.pem(),
                key: key.serialize_pem(),
            })
        };
        make().map_err(|error: rcgen::Error| failed(&format!("the certificate of {host}"), &error))
    }
}

fn failed(what: &str, error: &rcgen::Error) -> CliError {
    CliError::new(Code::InvalidArgument, format!("cannot make {what}")).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_addresses_get_certificates_and_nonsense_does_not() {
        let authority = Authority::new().unwrap();
        for host in ["nats.example.com", "10.0.0.1", "::1"] {
            assert!(
                authority
                    .issue(host)
                    .unwrap()
                    .certificate
                    .starts_with("-----BEGIN CERTIFICATE-----")
            );
        }
        assert!(authority.issue("näts").is_err());
    }
}
