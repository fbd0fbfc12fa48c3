//! The certificates of one test cluster: a CA, the API server's, a key for service accounts, and the admin's token.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData};

/// All of it in PEM.
pub(super) struct Certificates {
    /// The CA that clients trust.
    pub(super) authority: String,
    /// The API server's certificate.
    pub(super) server: String,
    /// Its key.
    pub(super) server_key: String,
    /// The key that signs service account tokens.
    pub(super) account_key: String,
    /// The key that they are checked with.
    pub(super) account_public_key: String,
    /// The bearer token of the one user, who may do everything.
    pub(super) token: String,
}

impl Certificates {
    /// Makes everything new.
    pub(super) fn make() -> Result<Certificates, rcgen::Error> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority
            .distinguished_name
            .push(rcgen::DnType::CommonName, "skein test cluster");
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let server_key = KeyPair::generate()?;
        let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"].map(str::to_owned);
        let server = CertificateParams::new(names.to_vec())?.signed_by(&server_key, &authority)?;
        // A fresh public key is 32 bytes and more that nobody can guess: as good as any other random token.
        let token = KeyPair::generate()?
            .der_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let accounts = KeyPair::generate()?;
        Ok(Certificates {
            authority: authority.pem(),
            server: server.pem(),
            server_key: server_key.serialize_pem(),
            account_key: accounts.serialize_pem(),
            account_public_key: accounts.public_key_pem(),
            token,
        })
    }
}
