//! Configuration: flags and environment by clap, a TOML file for what rarely changes.
//!
//! A flag wins over the environment, the environment over the file, the file over the defaults
//! that stand here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use serde::Deserialize;
use skein_schema::name::HubName;

/// The Skein hub: decides commands, keeps the ledger, tells agents what is wanted.
#[derive(Debug, Clone, Parser)]
#[command(name = "skein-hub", version, max_term_width = 100)]
pub struct Arguments {
    /// Configuration file (TOML) of a hub on an external bus, as `skein init` writes it
    #[arg(long, env = "SKEIN_HUB_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to log: a level, or targets with levels, e.g. `info,skein_hub=debug`
    #[arg(
        long,
        env = "SKEIN_HUB_LOG",
        default_value = "info",
        global = true,
        value_name = "FILTER"
    )]
    pub log: String,
    /// How to log
    #[arg(
        long,
        env = "SKEIN_HUB_LOG_FORMAT",
        default_value = "text",
        global = true
    )]
    pub log_format: LogFormat,
    /// Run a whole control plane instead
    #[command(subcommand)]
    pub mode: Option<Mode>,
}

/// Other ways to run than `--config`.
#[derive(Debug, Clone, Subcommand)]
pub enum Mode {
    /// A control plane on one machine: a supervised nats-server and the hub
    Embedded(EmbeddedArguments),
}

/// Arguments of `skein-hub embedded`.
#[derive(Debug, Clone, clap::Args)]
pub struct EmbeddedArguments {
    /// Where everything is kept: keys, streams, the administrator's credential and context
    #[arg(long, env = "SKEIN_DATA_DIR", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Where the bus listens; port 0 takes a free one
    #[arg(
        long,
        env = "SKEIN_LISTEN",
        default_value = "127.0.0.1:4222",
        value_name = "ADDRESS"
    )]
    pub listen: SocketAddr,
    /// Where health and metrics are served; port 0 takes a free one
    #[arg(
        long,
        env = "SKEIN_HTTP",
        default_value = "127.0.0.1:9480",
        value_name = "ADDRESS"
    )]
    pub http: SocketAddr,
    /// The nats-server program (2.15.1 or newer) [default: PATH, then .tools/bin]
    #[arg(long, env = "SKEIN_NATS_SERVER", value_name = "FILE")]
    pub nats_server: Option<PathBuf>,
    /// When the bus writes to disk: with each message, or as nats-server does by default (every two
    /// minutes; a power cut then loses acknowledged commands)
    #[arg(long, env = "SKEIN_SYNC", default_value = "always")]
    pub sync: Sync,
}

/// When the embedded bus writes to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sync {
    /// Before each acknowledgement.
    Always,
    /// nats-server's default interval.
    Interval,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What a hub needs to know. The TOML file has these names in kebab-case.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// Name of this replica; must differ between replicas.
    #[serde(default = "default_name")]
    pub name: HubName,
    /// This replica's own folder: the witness of what it has seen acknowledged.
    pub data_dir: PathBuf,
    /// Folder of keys that all replicas share: `operator/`, `signing.seed`, `authority.key`,
    /// `authority.pem`. What is missing, except the operator, is made.
    pub keys: PathBuf,
    /// Where health and metrics are served. Default `127.0.0.1:9480`.
    #[serde(default = "default_http")]
    pub http: SocketAddr,
    /// The bus.
    pub bus: Bus,
    /// Who leads.
    #[serde(default)]
    pub lead: Lead,
    /// Folded state on the bus.
    #[serde(default)]
    pub snapshots: Snapshots,
}

/// Where the bus is and how to enter it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Bus {
    /// Servers, e.g. `tls://nats-0.example.com:4222`.
    pub servers: Vec<String>,
    /// Credentials file in the HUB account.
    pub credentials: PathBuf,
    /// Credentials file in the SYS account.
    pub system_credentials: PathBuf,
    /// PEM file of the authority that signed the servers' certificates.
    #[serde(default)]
    pub certificate_authority: Option<PathBuf>,
    /// On how many servers each stream is kept. Default 1; 3 in a cluster.
    #[serde(default = "default_replicas")]
    pub replicas: usize,
}

/// The lead's lease. Safety does not rest on it: it only decides who tries.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Lead {
    /// How long, in seconds, a silent lead is waited for. Default 10; renewed thrice as often.
    pub lease_seconds: u64,
}

/// When folded state is stored, so that a start need not fold the whole ledger.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Snapshots {
    /// After so many records. Default 10,000.
    pub records: u64,
    /// After so many seconds, if there was any record. Default 600.
    pub seconds: u64,
    /// How many are kept. Default 3.
    pub keep: usize,
}

impl Default for Lead {
    fn default() -> Self {
        Self { lease_seconds: 10 }
    }
}

impl Default for Snapshots {
    fn default() -> Self {
        Self {
            records: 10_000,
            seconds: 600,
            keep: 3,
        }
    }
}

impl Lead {
    /// The lease as a duration.
    #[must_use]
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }
}

fn default_name() -> HubName {
    HubName::new("hub-0").expect("a label")
}

fn default_http() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9480))
}

fn default_replicas() -> usize {
    1
}

/// The configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not TOML, or has a field that is missing, unknown or of the wrong type.
    #[error("{} is not a hub's configuration", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A value is outside its limits.
    #[error("{field} must be {rule}")]
    Limit {
        /// Which field.
        field: &'static str,
        /// What is allowed.
        rule: &'static str,
    },
}

impl Config {
    /// Reads a file. Relative paths in it are relative to its folder.
    ///
    /// # Errors
    /// When it cannot be read or understood, or a value is outside its limits.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let mut config: Self = toml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        let base = path.parent().unwrap_or(Path::new("."));
        for relative in [
            &mut config.data_dir,
            &mut config.keys,
            &mut config.bus.credentials,
            &mut config.bus.system_credentials,
        ] {
            *relative = base.join(&*relative);
        }
        config.bus.certificate_authority =
            config.bus.certificate_authority.map(|file| base.join(file));
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let limit = |field, rule| Err(ConfigError::Limit { field, rule });
        if self.bus.servers.is_empty() {
            return limit("bus.servers", "at least one address");
        }
        if !matches!(self.bus.replicas, 1 | 3 | 5) {
            return limit("bus.replicas", "1, 3 or 5");
        }
        if !(3..=300).contains(&self.lead.lease_seconds) {
            return limit("lead.lease-seconds", "between 3 and 300");
        }
        if self.snapshots.records == 0 || self.snapshots.seconds == 0 {
            return limit("snapshots.records and snapshots.seconds", "at least 1");
        }
        if self.snapshots.keep < 2 {
            return limit(
                "snapshots.keep",
                "at least 2, so that a damaged snapshot has a predecessor",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hub.toml");
        std::fs::write(&path, text).unwrap();
        let mut config = Config::load(&path)?;
        config.data_dir = config
            .data_dir
            .strip_prefix(folder.path())
            .unwrap()
            .to_owned();
        Ok(config)
    }

    const SMALLEST: &str = r#"
        data-dir = "state"
        keys = "keys"
        [bus]
        servers = ["nats://127.0.0.1:4222"]
        credentials = "hub.creds"
        system-credentials = "system.creds"
    "#;

    #[test]
    fn the_smallest_file_has_the_documented_defaults() {
        let config = load(SMALLEST).unwrap();
        assert_eq!(config.name.as_str(), "hub-0");
        assert_eq!(config.http.to_string(), "127.0.0.1:9480");
        assert_eq!((config.bus.replicas, config.lead.lease_seconds), (1, 10));
        assert_eq!(
            (
                config.snapshots.records,
                config.snapshots.seconds,
                config.snapshots.keep
            ),
            (10_000, 600, 3)
        );
        assert_eq!(config.data_dir, Path::new("state"));
        assert_eq!(config.bus.servers, ["nats://127.0.0.1:4222"]);
    }

    #[test]
    fn what_the_file_may_not_say_is_refused() {
        let unknown = format!("nmae = \"x\"\n{SMALLEST}");
        assert!(matches!(load(&unknown), Err(ConfigError::Parse { .. })));
        for (line, field) in [
            ("replicas = 2", "bus.replicas"),
            ("[lead]\nlease-seconds = 1", "lead.lease-seconds"),
            ("[snapshots]\nkeep = 1", "snapshots.keep"),
        ] {
            match load(&format!("{SMALLEST}\n{line}")) {
                Err(ConfigError::Limit { field: found, .. }) => assert_eq!(found, field),
                other => panic!("{line}: {other:?}"),
            }
        }
        let path = Path::new("/nowhere/hub.toml");
        assert!(matches!(Config::load(path), Err(ConfigError::Read { .. })));
    }

    #[test]
    fn the_command_line_holds_together() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
        let arguments =
            Arguments::try_parse_from(["skein-hub", "embedded", "--data-dir", "d"]).unwrap();
        let Some(Mode::Embedded(embedded)) = arguments.mode else {
            panic!("embedded")
        };
        assert_eq!((embedded.listen.port(), embedded.http.port()), (4222, 9480));
        assert_eq!(embedded.sync, Sync::Always);
    }
}
