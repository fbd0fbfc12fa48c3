//! The keys that a bus hangs on: who they are, what they sign, where they are kept.
//!
//! The operator's root key signs once, when the store is made, and may then be taken
//! away; a signing key speaks for it. Users are signed by one scoped key per role, so
//! a user's token holds a name and nothing else, and what a role may do changes for
//! all its holders at once when the account's token does.

mod store;

pub use crate::private_file::FileError;
pub use store::{OperatorStore, StoreError};

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::accounts::{self, Account, Role};
use crate::connect::{Credentials, Settings, UserCredentials};
use crate::jwt::{
    AccountClaims, AccountLimits, Export, Import, OperatorClaims, Permission, ScopeTemplate,
    ScopedKey, Token, UserClaims,
};
use crate::nkey::{self, Key, KeyError, KeyKind};

/// Users that are no longer welcome: each user's public key, and the moment up to which its
/// tokens are refused. A token issued in the same second or before is refused, a later one is not.
pub type Revocations = BTreeMap<String, Timestamp>;

/// The keys that a running hub signs with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OperatorKeys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The operator's own token, signed by its root key.
    operator_jwt: String,
    operator: String,
    signing: Key,
    accounts: BTreeMap<Account, String>,
    roles: BTreeMap<Role, Key>,
}

/// Why a user's token was not made.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The name would not be one token of a subject. A user called `*` would be a wildcard.
    #[error("{name:?} cannot be a user of the bus: names are RFC 1123 labels")]
    Name {
        /// The name as it came.
        name: String,
    },
    /// The key is no user's public key.
    #[error("the public key of {name:?} is not a user's")]
    PublicKey {
        /// Whose key it is.
        name: String,
        /// What is wrong with it.
        #[source]
        source: KeyError,
    },
    /// It would end before it began.
    #[error("the credential of {name:?} would end ({expires_at}) before it begins ({issued_at})")]
    Lifetime {
        /// Whose it is.
        name: String,
        /// The begin.
        issued_at: Timestamp,
        /// The end.
        expires_at: Timestamp,
    },
}

impl OperatorKeys {
    /// Makes all keys of a new bus. The second value is the seed of the operator's root key.
    pub(crate) fn generate(issued_at: Timestamp) -> (Self, Key) {
        let mut accounts = BTreeMap::new();
        for account in Account::ALL {
            // An account's own key never signs (`strict_signing_key_usage`), so only its public
            // half, the account's identity, is kept.
            accounts.insert(account, Key::generate(KeyKind::Account).public().to_owned());
        }
        let roles = Role::ALL
            .into_iter()
            .map(|role| (role, Key::generate(KeyKind::Account)))
            .collect();
        let root = Key::generate(KeyKind::Operator);
        let keys = Self::assemble(
            &root,
            Key::generate(KeyKind::Operator),
            accounts,
            roles,
            issued_at,
        );
        (keys, root)
    }

    fn assemble(
        root: &Key,
        signing: Key,
        accounts: BTreeMap<Account, String>,
        roles: BTreeMap<Role, Key>,
        issued_at: Timestamp,
    ) -> Self {
        let operator = root.public().to_owned();
        let claims = OperatorClaims::new(signing.public(), &accounts[&Account::Sys]);
        let operator_jwt = token("skein", &operator, issued_at, claims).sign(root);
        Self(Arc::new(Inner {
            operator_jwt,
            operator,
            signing,
            accounts,
            roles,
        }))
    }

    /// The operator's public key. It names the bus, and does not change with its address.
    #[must_use]
    pub fn operator(&self) -> &str {
        &self.0.operator
    }

    /// The operator's token, as a server's configuration needs it.
    #[must_use]
    pub fn operator_jwt(&self) -> &str {
        &self.0.operator_jwt
    }

    /// An account's public key.
    #[must_use]
    pub fn account(&self, account: Account) -> &str {
        &self.0.accounts[&account]
    }

    /// The role whose users are signed by this public key.
    #[must_use]
    pub fn role_of(&self, signing_key: &str) -> Option<Role> {
        self.0
            .roles
            .iter()
            .find(|(_, key)| key.public() == signing_key)
            .map(|(role, _)| *role)
    }

    /// An account's token: its limits, what it offers and takes, its roles, and who is revoked.
    ///
    /// All of it follows from the model and the arguments, so pushing it twice changes nothing.
    #[must_use]
    pub fn account_jwt(
        &self,
        account: Account,
        revocations: &Revocations,
        issued_at: Timestamp,
    ) -> String {
        let limits = if account == Account::Hub {
            AccountLimits::storage()
        } else {
            AccountLimits::messaging()
        };
        let mut claims = AccountClaims::new(limits);
        for crossing in accounts::crossings() {
            if crossing.from == account {
                claims.exports.push(Export {
                    name: crossing.purpose.to_owned(),
                    subject: crossing.subject.to_owned(),
                    kind: crossing.kind,
                    response_type: crossing.answers,
                });
            }
            if crossing.to == account {
                claims.imports.push(Import {
                    name: crossing.purpose.to_owned(),
                    subject: crossing.subject.to_owned(),
                    account: self.account(crossing.from).to_owned(),
                    kind: crossing.kind,
                    share: crossing.share,
                });
            }
        }
        claims.signing_keys = self.scoped_keys(account);
        claims.revocations = revocations
            .iter()
            .map(|(key, until)| (key.clone(), until.as_second()))
            .collect();
        token(account.name(), self.account(account), issued_at, claims).sign(&self.0.signing)
    }

    fn scoped_keys(&self, account: Account) -> Vec<ScopedKey> {
        let rules = accounts::roles()
            .into_iter()
            .filter(|rule| rule.role.account() == account);
        rules
            .map(|rule| ScopedKey {
                kind: "user_scope".to_owned(),
                key: self.0.roles[&rule.role].public().to_owned(),
                role: rule.role.name().to_owned(),
                description: String::new(),
                template: ScopeTemplate {
                    publish: Permission {
                        allow: rule.publish,
                        deny: Vec::new(),
                    },
                    subscribe: Permission {
                        allow: rule.subscribe,
                        deny: Vec::new(),
                    },
                    subs: rule.subscriptions,
                    data: -1,
                    payload: rule.payload,
                    allowed_connection_types: vec!["STANDARD".to_owned()],
                },
            })
            .collect()
    }

    /// Makes the token that lets the holder of `user_key`'s private half in, as `role`, by `name`.
    ///
    /// # Errors
    /// [`MintError`] when the name is no RFC 1123 label, the key no user's, or the end before the
    /// begin.
    pub fn mint_user(
        &self,
        role: Role,
        name: &str,
        user_key: &str,
        issued_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<String, MintError> {
        if !is_label(name) {
            return Err(MintError::Name {
                name: name.to_owned(),
            });
        }
        nkey::check_public(KeyKind::User, user_key).map_err(|source| MintError::PublicKey {
            name: name.to_owned(),
            source,
        })?;
        if let Some(expires_at) = expires_at.filter(|end| end.as_second() <= issued_at.as_second())
        {
            return Err(MintError::Lifetime {
                name: name.to_owned(),
                issued_at,
                expires_at,
            });
        }
        let claims = UserClaims::new(self.account(role.account()));
        let mut token = token(name, user_key, issued_at, claims);
        token.exp = expires_at.map(Timestamp::as_second);
        Ok(token.sign(&self.0.roles[&role]))
    }

    /// A new user key and the token for it: for hubs, for join tokens, and for people who do not
    /// bring a key of their own.
    ///
    /// # Errors
    /// As [`Self::mint_user`].
    pub fn credentials(
        &self,
        role: Role,
        name: &str,
        issued_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<UserCredentials, MintError> {
        let key = Key::generate(KeyKind::User);
        let jwt = self.mint_user(role, name, key.public(), issued_at, expires_at)?;
        Ok(UserCredentials {
            jwt,
            seed: key.seed().to_owned(),
        })
    }

    /// How a hub or the system's own program, which hold the keys, connect: as `role`, with a
    /// credential made for this run.
    ///
    /// # Errors
    /// As [`Self::mint_user`].
    pub fn settings(
        &self,
        role: Role,
        name: &str,
        servers: Vec<String>,
        issued_at: Timestamp,
    ) -> Result<Settings, MintError> {
        let credentials = self.credentials(role, name, issued_at, None)?;
        Ok(Settings::new(
            servers,
            name,
            Credentials::Fixed(credentials),
            role.inbox_prefix(name),
        ))
    }
}

fn token<C>(name: &str, subject: &str, issued_at: Timestamp, nats: C) -> Token<C> {
    Token {
        jti: String::new(),
        iat: issued_at.as_second(),
        exp: None,
        iss: String::new(),
        name: name.to_owned(),
        sub: subject.to_owned(),
        nats,
    }
}

/// RFC 1123: at most 63 lower-case letters, digits and hyphens, none of them at an end.
fn is_label(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests;
