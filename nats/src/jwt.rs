//! NATS' JSON Web Tokens, version 2: what an operator says of an account, and an
//! account of a user.
//!
//! The form is that of RFC 7519 with two of NATS' own rules: the algorithm is
//! `ed25519-nkey` (the signer's public key is the issuer), and the id is the base32
//! SHA-512/256 digest of the claims. Time is an argument everywhere, in seconds
//! since 1970, so that a token is a function of what goes into it.

mod claims;

pub use claims::{
    AccountClaims, AccountLimits, AnswerKind, Export, ExportKind, Import, JetStreamLimits,
    OperatorClaims, Permission, ScopeTemplate, ScopedKey, UserClaims,
};

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha512_256};

use crate::nkey::{self, Key};

/// The header of every token, byte for byte as the server compares it.
const HEADER: &str = r#"{"typ":"JWT","alg":"ed25519-nkey"}"#;

/// What all tokens say, around what one kind of token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token<C> {
    /// The digest of the claims; empty until the token is signed.
    #[serde(default)]
    pub jti: String,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// When it ends, in seconds since 1970; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// The public key of the signer.
    #[serde(default)]
    pub iss: String,
    /// A name for people, and for a user's permission template.
    #[serde(default)]
    pub name: String,
    /// The public key the token speaks of.
    pub sub: String,
    /// The claims themselves.
    pub nats: C,
}

/// Why a text is no token to be believed.
#[derive(Debug, thiserror::Error)]
pub enum JwtError {
    /// Not three base64url parts divided by dots.
    #[error("the token is not of the form header.claims.signature")]
    Form,
    /// A header other than NATS' version 2.
    #[error("the token is not signed by the ed25519-nkey algorithm")]
    Algorithm,
    /// Claims that are no JSON, or of another kind of token.
    #[error("the token's claims cannot be read")]
    Claims(#[source] serde_json::Error),
    /// The signature is not that of the issuer it names.
    #[error("the token's signature is not that of its issuer {issuer}")]
    Signature {
        /// The public key that was named as the signer.
        issuer: String,
    },
}

impl<C: Serialize> Token<C> {
    /// Signs the claims; sets the issuer and the id.
    #[must_use]
    pub fn sign(mut self, signer: &Key) -> String {
        signer.public().clone_into(&mut self.iss);
        self.jti.clear();
        let unnamed = self.json();
        self.jti = BASE32_NOPAD.encode(&Sha512_256::digest(&unnamed));
        let signed = format!(
            "{}.{}",
            BASE64URL_NOPAD.encode(HEADER.as_bytes()),
            BASE64URL_NOPAD.encode(&self.json())
        );
        let signature = BASE64URL_NOPAD.encode(&signer.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("claims are plain data with text keys")
    }
}

impl<C: DeserializeOwned> Token<C> {
    /// Reads a token and checks its signature. Whether its issuer may be believed,
    /// and whether it has ended, is for the caller to say.
    ///
    /// # Errors
    /// [`JwtError`] when the text is no token of this kind, or not signed by its issuer.
    pub fn read(text: &str) -> Result<Self, JwtError> {
        let (signed, signature) = text.trim().rsplit_once('.').ok_or(JwtError::Form)?;
        let (header, claims) = signed.split_once('.').ok_or(JwtError::Form)?;
        let header = part(header)?;
        let header: Header = serde_json::from_slice(&header).map_err(JwtError::Claims)?;
        if header.alg != "ed25519-nkey" {
            return Err(JwtError::Algorithm);
        }
        let token: Self = serde_json::from_slice(&part(claims)?).map_err(JwtError::Claims)?;
        if !nkey::verify(&token.iss, signed.as_bytes(), &part(signature)?) {
            return Err(JwtError::Signature { issuer: token.iss });
        }
        Ok(token)
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

fn part(text: &str) -> Result<Vec<u8>, JwtError> {
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .map_err(|_| JwtError::Form)
}

#[cfg(test)]
mod tests;
