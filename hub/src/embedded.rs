//! A whole control plane on one machine: keys, a supervised nats-server, streams, and an
//! administrator.
//!
//! ```text
//! <data-dir>/
//!   keys/operator/…     the bus's operator            keys/authority.{key,pem}  agents' certificates
//!   keys/signing.seed   signs desired messages        nats/                     what nats-server keeps
//!   hub/witness.json    what was acknowledged         admin.creds, context.json for the command line
//! ```

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use skein_nats::accounts::{Account, Role};
use skein_nats::connect::{Connection, Credentials, Settings, UserCredentials, connect};
use skein_nats::embedded::{EmbeddedServer, Options};
use skein_nats::operator::{OperatorKeys, OperatorStore};
use skein_nats::resolver::{AccountResolver, AccountRevocations};
use skein_nats::server_config::Sync;
use skein_schema::name::{ADMIN, HubName, UserName};

use crate::config::{self, EmbeddedArguments};
use crate::private_file;

/// The context file of the command line: where the hub is and who we are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    servers: Vec<String>,
    user: UserName,
    credentials: PathBuf,
}

/// The bus of an embedded control plane.
#[derive(Debug)]
pub struct EmbeddedBus {
    /// The server.
    pub server: EmbeddedServer,
    /// The keys of the bus.
    pub operator: OperatorKeys,
    /// The hub's connection.
    pub hub: Connection,
    /// The connection to the system account.
    pub system: Connection,
}

/// Where an embedded control plane keeps what.
#[derive(Debug, Clone)]
pub struct Folders {
    /// The whole.
    pub data: PathBuf,
    /// Keys.
    pub keys: PathBuf,
    /// The hub's own.
    pub hub: PathBuf,
    /// The server's own.
    pub nats: PathBuf,
}

impl Folders {
    /// The folders below `data`, made when missing, for their owner alone.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn create(data: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(data)?;
        let data = data.canonicalize()?;
        let (keys, hub, nats) = (data.join("keys"), data.join("hub"), data.join("nats"));
        for folder in [&data, &keys, &hub] {
            private_file::create_folder(folder)?;
        }
        Ok(Self {
            data,
            keys,
            hub,
            nats,
        })
    }
}

/// Starts the bus and connects to it.
///
/// # Errors
/// When the server does not start, or keys or folders cannot be used.
pub async fn start(
    arguments: &EmbeddedArguments,
    folders: &Folders,
    name: &HubName,
    now: Timestamp,
) -> anyhow::Result<EmbeddedBus> {
    let operator = OperatorStore::open_or_create(&folders.keys.join("operator"), now)?
        .keys()
        .clone();
    let mut options = Options::new(&folders.nats, operator.clone(), now);
    options.listen = arguments.listen;
    options.binary.clone_from(&arguments.nats_server);
    options.sync = match arguments.sync {
        config::Sync::Always => Sync::Always,
        config::Sync::Interval => Sync::Default,
    };
    let server = EmbeddedServer::start(options).await?;
    let enter = async |role: Role| {
        let credentials = operator.credentials(role, name.as_str(), now, None)?;
        let settings = Settings::new(
            vec![server.url().to_owned()],
            format!("skein-hub {name} {}", role.name()),
            Credentials::Fixed(credentials),
            role.inbox_prefix(name.as_str()),
        );
        anyhow::Ok(connect(&settings).await?)
    };
    let system = enter(Role::System).await?;
    // The server is born with the system account alone. Agents and users follow when the ledger
    // has told who of them is revoked.
    let resolver = AccountResolver::new(system.clone(), operator.clone());
    resolver
        .push(Account::Hub, &AccountRevocations::default(), now)
        .await?;
    let hub = enter(Role::Hub).await?;
    Ok(EmbeddedBus {
        server,
        operator,
        hub,
        system,
    })
}

/// The file with the administrator's credential, which is made unless there is one.
///
/// # Errors
/// When the file cannot be written.
pub fn administrator(
    folders: &Folders,
    operator: &OperatorKeys,
    now: Timestamp,
) -> anyhow::Result<PathBuf> {
    let credentials = folders.data.join("admin.creds");
    if private_file::read(&credentials)?.is_none() {
        let made: UserCredentials = operator.credentials(Role::User, ADMIN, now, None)?;
        private_file::write(&credentials, &made.to_text())?;
    }
    Ok(credentials)
}

/// Writes the context that names the administrator's credential. Whoever starts the hub takes it
/// for a sign that users can enter.
///
/// # Errors
/// When the file cannot be written.
pub fn write_context(
    folders: &Folders,
    credentials: PathBuf,
    url: &str,
) -> anyhow::Result<PathBuf> {
    let context = Context {
        servers: vec![url.to_owned()],
        user: UserName::new(ADMIN)?,
        credentials,
    };
    let path = folders.data.join("context.json");
    private_file::write(
        &path,
        &format!("{}\n", serde_json::to_string_pretty(&context)?),
    )?;
    Ok(path)
}
