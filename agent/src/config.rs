//! Settings of the program: command line, environment and file, in this order of weight. A secret
//! is never an argument: other users of the machine can read those.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use serde::Deserialize;
use skein_schema::join::{JoinToken, JoinTokenError};
use skein_schema::name::ClusterName;

/// Where the state goes if nobody says.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/skein-agent";
/// Time between heartbeats if nobody says.
pub const DEFAULT_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);
/// Variable that may hold the join token itself.
pub const TOKEN_VARIABLE: &str = "SKEIN_TOKEN";

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file, or `-` for standard input.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The configuration file is not valid.
    #[error("{path} is not a valid configuration")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_yaml_ng::Error,
    },
    /// The token is not one.
    #[error("the text from {place} is not a join token")]
    Token {
        /// Where it came from; never the text.
        place: String,
        /// Why.
        #[source]
        source: JoinTokenError,
    },
}

/// Skein's agent on a managed cluster.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "skein-agent", version, about, max_term_width = 100)]
pub struct Arguments {
    /// YAML file with settings, named like these options; options and variables win over it
    #[arg(long, value_name = "FILE", env = "SKEIN_AGENT_CONFIG")]
    pub config: Option<PathBuf>,
    /// File with the join token, or `-` for standard input; SKEIN_TOKEN may hold the token itself
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Name of the cluster in the fleet [default: kept from before, else a random one]
    #[arg(long, value_name = "NAME", env = "SKEIN_AGENT_CLUSTER_NAME")]
    pub cluster_name: Option<ClusterName>,
    /// Folder for keys, credential and journal [default: /var/lib/skein-agent]
    #[arg(long, value_name = "DIR", env = "SKEIN_AGENT_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// Kubeconfig of the cluster [default: the pod's service account, else KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context in the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME", env = "SKEIN_AGENT_KUBE_CONTEXT")]
    pub context: Option<String>,
    /// Address of the bus, in place of the token's; can be repeated
    #[arg(
        long = "server",
        value_name = "URL",
        env = "SKEIN_AGENT_SERVERS",
        value_delimiter = ','
    )]
    pub servers: Vec<String>,
    /// Label that the cluster asks for when it joins; can be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    pub labels: Vec<(String, String)>,
    /// Annotation that the cluster asks for when it joins; can be repeated
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = pair)]
    pub annotations: Vec<(String, String)>,
    /// Address for /healthz, /readyz and /metrics [default: none]
    #[arg(long, value_name = "ADDRESS", env = "SKEIN_AGENT_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Seconds between heartbeats, before a jitter of a quarter [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub heartbeat_interval: Option<u64>,
    /// How logs are written [default: text]
    #[arg(long, value_enum, env = "SKEIN_AGENT_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object per line.
    Json,
}

/// The file: the same names as the options.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
struct ConfigFile {
    token_file: Option<PathBuf>,
    cluster_name: Option<ClusterName>,
    state_dir: Option<PathBuf>,
    kubeconfig: Option<PathBuf>,
    context: Option<String>,
    servers: Vec<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    listen: Option<SocketAddr>,
    heartbeat_interval: Option<u64>,
    log_format: Option<LogFormat>,
}

/// All settings, decided.
#[derive(Debug, Clone)]
pub struct Config {
    /// The join token, if there is one.
    pub token: Option<JoinToken>,
    /// The cluster's name, if the operator gives one.
    pub cluster_name: Option<ClusterName>,
    /// Folder for keys, credential and journal.
    pub state_dir: PathBuf,
    /// Kubeconfig file.
    pub kubeconfig: Option<PathBuf>,
    /// Context in it.
    pub context: Option<String>,
    /// Addresses of the bus in place of the token's.
    pub servers: Vec<String>,
    /// Labels asked for at joining.
    pub labels: BTreeMap<String, String>,
    /// Annotations asked for at joining.
    pub annotations: BTreeMap<String, String>,
    /// Where health and metrics are served.
    pub listen: Option<SocketAddr>,
    /// Time between heartbeats.
    pub heartbeat_interval: Duration,
    /// How logs are written.
    pub log_format: LogFormat,
}

impl Config {
    /// Puts the options over the file. `variable` answers environment variables.
    ///
    /// # Errors
    /// When a file cannot be read or holds something else.
    pub fn load(
        arguments: Arguments,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let file = match &arguments.config {
            Some(path) => {
                serde_yaml_ng::from_slice(&read(path)?).map_err(|source| ConfigError::Parse {
                    path: path.clone(),
                    source,
                })?
            }
            None => ConfigFile::default(),
        };
        let token_file = arguments.token_file.or(file.token_file);
        let mut labels = file.labels;
        labels.extend(arguments.labels);
        let mut annotations = file.annotations;
        annotations.extend(arguments.annotations);
        Ok(Self {
            token: token(token_file.as_deref(), variable(TOKEN_VARIABLE))?,
            cluster_name: arguments.cluster_name.or(file.cluster_name),
            state_dir: arguments
                .state_dir
                .or(file.state_dir)
                .unwrap_or_else(|| DEFAULT_STATE_DIR.into()),
            kubeconfig: arguments.kubeconfig.or(file.kubeconfig),
            context: arguments.context.or(file.context),
            servers: if arguments.servers.is_empty() {
                file.servers
            } else {
                arguments.servers
            },
            labels,
            annotations,
            listen: arguments.listen.or(file.listen),
            heartbeat_interval: arguments
                .heartbeat_interval
                .or(file.heartbeat_interval)
                .map_or(DEFAULT_HEARTBEAT_INTERVAL, |seconds| {
                    Duration::from_secs(seconds.clamp(1, 3600))
                }),
            log_format: arguments.log_format.or(file.log_format).unwrap_or_default(),
        })
    }
}

/// The file wins: it was named on purpose.
fn token(file: Option<&Path>, variable: Option<String>) -> Result<Option<JoinToken>, ConfigError> {
    let (text, place) = match (file, variable) {
        (Some(path), _) => (
            String::from_utf8_lossy(&read(path)?).into_owned(),
            path.display().to_string(),
        ),
        (None, Some(text)) => (text, TOKEN_VARIABLE.to_owned()),
        (None, None) => return Ok(None),
    };
    JoinToken::decode(&text)
        .map(Some)
        .map_err(|source| ConfigError::Token { place, source })
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let read = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    read.map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    if key.is_empty() {
        Err("must have a key before '='".into())
    } else {
        Ok((key.into(), value.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_schema::name::TokenName;

    fn parse(arguments: &[&str]) -> Arguments {
        Arguments::try_parse_from(std::iter::once("skein-agent").chain(arguments.iter().copied()))
            .unwrap()
    }

    fn token() -> JoinToken {
        JoinToken {
            token: TokenName::new("t").unwrap(),
            urls: vec!["nats://h".into()],
            jwt: "j".into(),
            seed: "s".into(),
            certificate_authority: None,
        }
    }

    #[test]
    fn options_win_over_the_file_and_the_file_over_the_defaults() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("agent.yaml");
        std::fs::write(
            &path,
            "cluster-name: c1\nlisten: 127.0.0.1:1\nlabels: {a: file, b: file}\n",
        )
        .unwrap();
        let arguments = parse(&[
            "--config",
            path.to_str().unwrap(),
            "--listen",
            "127.0.0.1:2",
            "--label",
            "a=option",
        ]);
        let config = Config::load(arguments, |_| None).unwrap();
        assert_eq!(config.cluster_name, Some(ClusterName::new("c1").unwrap()));
        assert_eq!(config.listen, Some("127.0.0.1:2".parse().unwrap()));
        assert_eq!(
            config.labels,
            [("a", "option"), ("b", "file")]
                .map(|(k, v)| (k.into(), v.into()))
                .into()
        );
        assert_eq!(config.state_dir, Path::new(DEFAULT_STATE_DIR));
        assert_eq!(config.heartbeat_interval, DEFAULT_HEARTBEAT_INTERVAL);
    }

    #[test]
    fn an_unknown_setting_in_the_file_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("agent.yaml");
        std::fs::write(&path, "cluster: c1\n").unwrap();
        let loaded = Config::load(parse(&["--config", path.to_str().unwrap()]), |_| None);
        assert!(matches!(loaded, Err(ConfigError::Parse { .. })));
    }

    #[test]
    fn the_token_comes_from_a_file_or_the_variable_and_is_not_shown() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("token");
        std::fs::write(&path, format!("{}\n", token().encode())).unwrap();
        let from_file = Config::load(parse(&["--token-file", path.to_str().unwrap()]), |_| {
            Some("x".into())
        })
        .unwrap();
        assert_eq!(from_file.token, Some(token()));
        let variable = |name: &str| (name == TOKEN_VARIABLE).then(|| token().encode());
        assert_eq!(
            Config::load(parse(&[]), variable).unwrap().token,
            Some(token())
        );
        let error = Config::load(parse(&[]), |_| Some("skein1.secret!".into())).unwrap_err();
        assert!(!format!("{error:?}").contains("secret!"), "{error:?}");
    }

    #[test]
    fn names_are_checked_and_pairs_need_a_key() {
        for bad in [
            ["--cluster-name", "C1"],
            ["--label", "x"],
            ["--label", "=x"],
            ["--heartbeat-interval", "0"],
        ] {
            assert!(
                Arguments::try_parse_from(["skein-agent", bad[0], bad[1]]).is_err(),
                "{bad:?}"
            );
        }
    }
}
