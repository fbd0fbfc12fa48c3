//! `skein init`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use skein_nats::accounts::{Account, Role};
use skein_nats::operator::{OperatorKeys, OperatorStore, Revocations};
use skein_nats::server_config::{Cluster, ServerConfig, ServerTls, Sync};
use skein_schema::code::Code;
use skein_schema::name::{ADMIN, HubName, UserName};

use crate::authority::Authority;
use crate::cli::Global;
use crate::context::Context;
use crate::error::{CliError, CliResult};
use crate::output::print;
use crate::{app, private};

/// Write the configuration of a hub with a bus of its own machines
///
/// Makes the operator, the accounts, an authority with the servers' certificates, a configuration
/// file for each nats-server and one for the hub, and the credential of the user admin, who may do
/// everything. Give one server, or three for a bus that survives the loss of one. Nothing is
/// overwritten.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skein init --dir /etc/skein --server nats.example.com\n  skein init --dir /etc/skein --server nats-1.example.com --server nats-2.example.com --server nats-3.example.com"
)]
pub(crate) struct Arguments {
    /// The folder to make
    #[arg(long, value_name = "FOLDER")]
    dir: PathBuf,
    /// A server's host name or address; one, or three for a cluster
    #[arg(long = "server", required = true, value_name = "HOST")]
    servers: Vec<String>,
    /// The port for hubs, agents and users
    #[arg(long, default_value_t = 4222, value_name = "PORT")]
    client_port: u16,
    /// The port on which servers find each other
    #[arg(long, default_value_t = 6222, value_name = "PORT")]
    route_port: u16,
    /// Where servers listen [default: the server's own address if it was given as one, else all]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<IpAddr>,
    /// The hub's name
    #[arg(long, default_value = "hub-0", value_name = "HUB")]
    hub: HubName,
    /// The context to make for the user admin
    #[arg(long, default_value = "production", value_name = "NAME")]
    context_name: String,
}

impl Arguments {
    pub(crate) async fn run(self, global: &Global) -> CliResult<ExitCode> {
        if !matches!(self.servers.len(), 1 | 3) {
            return Err(CliError::argument(format!(
                "{} servers: give one, or three",
                self.servers.len()
            ))
            .with_hint("two servers lose a quorum as easily as one"));
        }
        let dir = std::path::absolute(&self.dir)
            .map_err(|e| CliError::io(&format!("resolve {}", self.dir.display()), &e))?;
        private::make_folder(&dir)?;
        let now = app::now();
        let keys_dir = dir.join("hub/keys");
        private::make_folder(&keys_dir)?;
        let store = OperatorStore::create(&keys_dir.join("operator"), now).map_err(|error| {
            CliError::new(Code::LocalFile, "cannot make the operator").because(&error)
        })?;
        let keys = store.keys();
        let authority = Authority::new()?;
        private::write(&dir.join("ca.pem"), authority.certificate())?;
        private::write(&keys_dir.join("bus-authority.key"), &authority.key())?;
        for (index, host) in self.servers.iter().enumerate() {
            self.server(&dir, index, host, keys, &authority)?;
        }
        let hub = self.hub(&dir, keys)?;
        let context = self.context(&dir, keys)?;
        let (path, mut config) = global.load()?;
        config.contexts.insert(self.context_name.clone(), context);
        config
            .current_context
            .get_or_insert_with(|| self.context_name.clone());
        config.save(&path)?;
        print(&self.next_steps(&dir, &hub))?;
        Ok(ExitCode::SUCCESS)
    }

    fn folder(dir: &Path, index: usize) -> PathBuf {
        dir.join(format!("nats-{}", index + 1))
    }

    fn server(
        &self,
        dir: &Path,
        index: usize,
        host: &str,
        keys: &OperatorKeys,
        authority: &Authority,
    ) -> CliResult<()> {
        let folder = Self::folder(dir, index);
        private::make_folder(&folder)?;
        let own = host.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let listen = self.listen.unwrap_or(own);
        let issued = authority.issue(host)?;
        private::write(&folder.join("server.pem"), &issued.certificate)?;
        private::write(&folder.join("server.key"), &issued.key)?;
        private::write(&folder.join("ca.pem"), authority.certificate())?;
        let tls = ServerTls {
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
            authority: Some(folder.join("ca.pem")),
        };
        let others = self.servers.iter().filter(|other| *other != host);
        let config = ServerConfig {
            server_name: format!("nats-{}", index + 1),
            listen: SocketAddr::new(listen, self.client_port),
            advertise: Some(format!("{host}:{}", self.client_port)),
            state: folder.join("state"),
            sync: Sync::Always,
            cluster: (self.servers.len() > 1).then(|| Cluster {
                name: "skein".to_owned(),
                listen: SocketAddr::new(listen, self.route_port),
                routes: others
                    .map(|other| format!("nats-route://{other}:{}", self.route_port))
                    .collect(),
                tls: Some(tls.clone()),
            }),
            tls: Some(ServerTls {
                authority: None,
                ..tls
            }),
        };
        // The hub tells the servers of the other accounts, but needs its own to be let in for that.
        let accounts = config.state.join("accounts");
        private::make_folder(&accounts)?;
        private::make_folder(&config.run_folder())?;
        let hub = keys.account_jwt(Account::Hub, &Revocations::new(), app::now());
        private::write(
            &accounts.join(format!("{}.jwt", keys.account(Account::Hub))),
            &hub,
        )?;
        private::write(
            &folder.join("nats-server.conf"),
            &config.render(keys, app::now()),
        )
    }

    fn hub(&self, dir: &Path, keys: &OperatorKeys) -> CliResult<PathBuf> {
        let hub = dir.join("hub");
        let name = self.hub.as_str();
        credentials(keys, Role::Hub, name, &hub.join("hub.creds"))?;
        credentials(keys, Role::System, name, &hub.join("system.creds"))?;
        let quote = |path: &Path| toml_text(&path.display().to_string());
        let servers: Vec<String> = self.urls().iter().map(|url| toml_text(url)).collect();
        let text = format!(
            "name = {}\ndata-dir = {}\nkeys = {}\n\n[bus]\nservers = [{}]\ncredentials = {}\nsystem-credentials = {}\ncertificate-authority = {}\nreplicas = {}\n",
            toml_text(name),
            quote(&hub.join("data")),
            quote(&hub.join("keys")),
            servers.join(", "),
            quote(&hub.join("hub.creds")),
            quote(&hub.join("system.creds")),
            quote(&dir.join("ca.pem")),
            self.servers.len(),
        );
        let path = hub.join("hub.toml");
        private::write(&path, &text)?;
        Ok(path)
    }

    fn context(&self, dir: &Path, keys: &OperatorKeys) -> CliResult<Context> {
        let user = UserName::new(ADMIN)
            .map_err(|error| CliError::new(Code::Internal, ADMIN).because(&error))?;
        let path = dir.join(format!("{user}.creds"));
        credentials(keys, Role::User, user.as_str(), &path)?;
        Ok(Context {
            servers: self.urls(),
            user,
            credentials: path,
            certificate_authority: Some(dir.join("ca.pem")),
            workspace: None,
        })
    }

    fn urls(&self) -> Vec<String> {
        self.servers
            .iter()
            .map(|host| format!("tls://{host}:{}", self.client_port))
            .collect()
    }

    fn next_steps(&self, dir: &Path, hub: &Path) -> String {
        let mut text = format!("configuration written to {}\n\nnext:\n", dir.display());
        for (index, host) in self.servers.iter().enumerate() {
            let folder = Self::folder(dir, index);
            text.push_str(&format!(
                "  on {host}: copy {0} there, to the same path, and run nats-server -c {0}/nats-server.conf\n",
                folder.display()
            ));
        }
        text.push_str(&format!(
            "  on the hub's machine: skein-hub --config {}\n  here: skein --context {} doctor\n",
            hub.display(),
            self.context_name
        ));
        text
    }
}

fn credentials(keys: &OperatorKeys, role: Role, name: &str, path: &Path) -> CliResult<()> {
    let failed = || CliError::new(Code::LocalFile, format!("cannot make {}", path.display()));
    let made = keys
        .credentials(role, name, app::now(), None)
        .map_err(|error| failed().because(&error))?;
    made.write(path).map_err(|error| failed().because(&error))
}

/// A TOML basic string.
fn toml_text(text: &str) -> String {
    // JSON's escapes are a subset of TOML's.
    serde_json::Value::from(text).to_string()
}
