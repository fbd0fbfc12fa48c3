//! The operator's keys on disk.
//!
//! ```text
//! <folder>/                  0700
//!   operator.jwt             the operator's token
//!   operator-root.seed       signs operator.jwt; may be taken away and kept offline
//!   operator-signing.seed    signs accounts
//!   accounts.json            each account's public key
//!   role-<role>.seed         signs the users of a role
//! ```
//! Every file is 0600; one that others may read is refused. The folder appears whole:
//! it is written beside its place and then renamed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::{Inner, OperatorKeys};
use crate::accounts::{Account, Role};
use crate::jwt::{JwtError, OperatorClaims, Token};
use crate::nkey::{self, Key, KeyError, KeyKind};
use crate::private_file::{self, FileError};

const OPERATOR_JWT: &str = "operator.jwt";
const ROOT_SEED: &str = "operator-root.seed";
const SIGNING_SEED: &str = "operator-signing.seed";
const ACCOUNTS: &str = "accounts.json";

/// A folder of operator keys.
#[derive(Clone, Debug)]
pub struct OperatorStore {
    folder: PathBuf,
    keys: OperatorKeys,
}

/// Why a folder of keys could not be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is one already; keys are never overwritten.
    #[error("{} already holds keys", folder.display())]
    Exists {
        /// The folder.
        folder: PathBuf,
    },
    /// There is none.
    #[error("{} holds no keys", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// A file could not be read, written or trusted.
    #[error(transparent)]
    File(#[from] FileError),
    /// A seed is damaged or of the wrong kind.
    #[error("{} holds no usable seed", path.display())]
    Seed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: KeyError,
    },
    /// The operator's token is damaged.
    #[error("{} holds no operator's token", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: JwtError,
    },
    /// The list of accounts is damaged.
    #[error("{} does not name the public key of each account", path.display())]
    Accounts {
        /// The file.
        path: PathBuf,
    },
    /// The files are of different buses.
    #[error("{}: the signing key is not one of the operator's", folder.display())]
    Mixed {
        /// The folder.
        folder: PathBuf,
    },
}

impl OperatorStore {
    /// Makes the keys of a new bus in `folder`, which must not exist or be empty.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when there are keys; [`StoreError::File`] when it cannot be written.
    pub fn create(folder: &Path, issued_at: Timestamp) -> Result<Self, StoreError> {
        if folder.join(OPERATOR_JWT).exists() {
            return Err(StoreError::Exists {
                folder: folder.to_owned(),
            });
        }
        let (keys, root) = OperatorKeys::generate(issued_at);
        let mut name = folder.file_name().unwrap_or_default().to_owned();
        name.push(format!(".new-{}", std::process::id()));
        let unfinished = folder.with_file_name(name);
        private_file::create_folder(&unfinished)?;
        write_all(&unfinished, &keys.0, &root)?;
        private_file::publish_folder(&unfinished, folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            keys,
        })
    }

    /// Reads the keys in `folder`.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there are none, any other when they cannot be used.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        if !folder.join(OPERATOR_JWT).exists() {
            return Err(StoreError::Missing {
                folder: folder.to_owned(),
            });
        }
        let keys = OperatorKeys(Arc::new(read_all(folder)?));
        Ok(Self {
            folder: folder.to_owned(),
            keys,
        })
    }

    /// Reads the keys in `folder`, or makes them when there are none.
    ///
    /// # Errors
    /// As [`Self::open`] and [`Self::create`].
    pub fn open_or_create(folder: &Path, now: Timestamp) -> Result<Self, StoreError> {
        match Self::open(folder) {
            Err(StoreError::Missing { .. }) => Self::create(folder, now),
            opened => opened,
        }
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &OperatorKeys {
        &self.keys
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

fn role_file(role: Role) -> String {
    format!("role-{}.seed", role.name())
}

fn write_all(folder: &Path, keys: &Inner, root: &Key) -> Result<(), FileError> {
    let write = |name: &str, text: &str| {
        private_file::write(&folder.join(name), format!("{text}\n").as_bytes())
    };
    write(ROOT_SEED, root.seed())?;
    write(SIGNING_SEED, keys.signing.seed())?;
    for (role, key) in &keys.roles {
        write(&role_file(*role), key.seed())?;
    }
    let accounts: BTreeMap<&str, &str> = keys
        .accounts
        .iter()
        .map(|(account, key)| (account.name(), key.as_str()))
        .collect();
    write(
        ACCOUNTS,
        &serde_json::to_string_pretty(&accounts).expect("texts are JSON"),
    )?;
    write(OPERATOR_JWT, &keys.operator_jwt)
}

fn read_all(folder: &Path) -> Result<Inner, StoreError> {
    let path = folder.join(OPERATOR_JWT);
    let operator_jwt = private_file::read(&path)?.trim().to_owned();
    let operator = Token::<OperatorClaims>::read(&operator_jwt)
        .map_err(|source| StoreError::Token { path, source })?;
    let signing = read_seed(&folder.join(SIGNING_SEED), KeyKind::Operator)?;
    if !operator
        .nats
        .signing_keys
        .iter()
        .any(|key| key == signing.public())
    {
        return Err(StoreError::Mixed {
            folder: folder.to_owned(),
        });
    }
    let mut roles = BTreeMap::new();
    for role in Role::ALL {
        roles.insert(
            role,
            read_seed(&folder.join(role_file(role)), KeyKind::Account)?,
        );
    }
    let accounts = read_accounts(&folder.join(ACCOUNTS))?;
    if accounts[&Account::Sys] != operator.nats.system_account {
        return Err(StoreError::Mixed {
            folder: folder.to_owned(),
        });
    }
    Ok(Inner {
        operator_jwt,
        operator: operator.sub,
        signing,
        accounts,
        roles,
    })
}

fn read_seed(path: &Path, kind: KeyKind) -> Result<Key, StoreError> {
    let text = private_file::read(path)?;
    Key::from_seed(kind, &text).map_err(|source| StoreError::Seed {
        path: path.to_owned(),
        source,
    })
}

fn read_accounts(path: &Path) -> Result<BTreeMap<Account, String>, StoreError> {
    let damaged = || StoreError::Accounts {
        path: path.to_owned(),
    };
    let text = private_file::read(path)?;
    let mut named: BTreeMap<String, String> = serde_json::from_str(&text).map_err(|_| damaged())?;
    let mut accounts = BTreeMap::new();
    for account in Account::ALL {
        let key = named.remove(account.name()).ok_or_else(damaged)?;
        nkey::check_public(KeyKind::Account, &key).map_err(|_| damaged())?;
        accounts.insert(account, key);
    }
    Ok(accounts)
}
