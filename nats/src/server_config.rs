//! The configuration of a `nats-server`, from few facts to the server's own language.
//!
//! The choices that matter are not options: operator mode with a resolver that can be
//! told of revocations while it runs, JetStream without compression or cipher (both
//! have damaged streams), and a disk that has what was acknowledged
//! (`sync_interval: always`).

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::accounts::Account;
use crate::operator::{OperatorKeys, Revocations};

/// The largest message the bus takes, in bytes: 8 MiB, the most NATS recommends.
pub const MAX_PAYLOAD: usize = 8 * 1024 * 1024;

/// When an acknowledged message is on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// Before the acknowledgement.
    #[default]
    Always,
    /// Up to two minutes later: a power cut loses acknowledged messages. For measurements, and
    /// for those who can live with it.
    Default,
}

/// The files of a server's TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// PEM of the certificate chain.
    pub certificate: PathBuf,
    /// PEM of its key.
    pub key: PathBuf,
    /// PEM of the authority that peers' certificates must come from. Needed for routes.
    pub authority: Option<PathBuf>,
}

/// How a server finds the others of its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The cluster's name, the same on each server.
    pub name: String,
    /// Where this server listens for the others.
    pub listen: SocketAddr,
    /// Where the others listen, e.g. `nats-route://10.0.0.2:6222`.
    pub routes: Vec<String>,
    /// Mutual TLS between them.
    pub tls: Option<ServerTls>,
}

/// What is particular to one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Its name; unique in a cluster, and never changed: a stream's replicas hang on it.
    pub server_name: String,
    /// Where clients connect. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The address told to clients, when it is another one.
    pub advertise: Option<String>,
    /// The folder of its streams (`jetstream/`), accounts (`accounts/`) and running state (`run/`).
    pub state: PathBuf,
    /// When acknowledged messages are on disk.
    pub sync: Sync,
    /// TLS for clients; needed wherever others than this machine connect.
    pub tls: Option<ServerTls>,
    /// The cluster it belongs to.
    pub cluster: Option<Cluster>,
}

impl ServerConfig {
    /// A single server for this machine's clients.
    #[must_use]
    pub fn single(
        server_name: impl Into<String>,
        listen: SocketAddr,
        state: impl Into<PathBuf>,
    ) -> Self {
        Self {
            server_name: server_name.into(),
            listen,
            advertise: None,
            state: state.into(),
            sync: Sync::Always,
            tls: None,
            cluster: None,
        }
    }

    /// The folder of the process id and the ports file.
    #[must_use]
    pub fn run_folder(&self) -> PathBuf {
        self.state.join("run")
    }

    /// The file that holds the server's process id while it runs.
    #[must_use]
    pub fn pid_file(&self) -> PathBuf {
        self.run_folder().join("nats-server.pid")
    }

    /// The configuration file's text. `now` dates the system account's token; the other accounts
    /// are told to the running server by [`crate::resolver`].
    #[must_use]
    pub fn render(&self, keys: &OperatorKeys, now: Timestamp) -> String {
        let system = keys.account(Account::Sys);
        let system_jwt = keys.account_jwt(Account::Sys, &Revocations::new(), now);
        let mut out = String::new();
        let mut line = |text: String| {
            out.push_str(&text);
            out.push('\n');
        };
        line(format!("server_name: {}", quote(&self.server_name)));
        line(format!("listen: {}", quote(&address(self.listen))));
        if let Some(advertise) = &self.advertise {
            line(format!("client_advertise: {}", quote(advertise)));
        }
        line(format!("pid_file: {}", quote_path(&self.pid_file())));
        line(format!(
            "ports_file_dir: {}",
            quote_path(&self.run_folder())
        ));
        line("logtime: false".to_owned());
        line(format!("max_payload: {MAX_PAYLOAD}"));
        // Live clients answer in milliseconds; a dead one is found in about a minute even if its
        // network swallows everything.
        line("ping_interval: \"20s\"".to_owned());
        line("ping_max: 2".to_owned());
        line("write_deadline: \"10s\"".to_owned());
        line(format!("operator: {}", quote(keys.operator_jwt())));
        line(format!("system_account: {}", quote(system)));
        let accounts = quote_path(&self.state.join("accounts"));
        line(format!(
            "resolver {{ type: full, dir: {accounts}, allow_delete: true, interval: \"2m\", limit: 1000 }}"
        ));
        line(format!(
            "resolver_preload {{ {}: {} }}",
            quote(system),
            quote(&system_jwt)
        ));
        let sync = match self.sync {
            Sync::Always => ", sync_interval: always",
            Sync::Default => "",
        };
        line(format!(
            "jetstream {{ store_dir: {}{sync} }}",
            quote_path(&self.state.join("jetstream"))
        ));
        if let Some(tls) = &self.tls {
            line(render_tls(tls, false));
        }
        if let Some(cluster) = &self.cluster {
            line(render_cluster(cluster));
        }
        out
    }
}

fn render_tls(tls: &ServerTls, mutual: bool) -> String {
    let mut out = format!(
        "tls {{ cert_file: {}, key_file: {}",
        quote_path(&tls.certificate),
        quote_path(&tls.key)
    );
    if let Some(authority) = &tls.authority {
        let _ = write!(out, ", ca_file: {}", quote_path(authority));
    }
    if mutual {
        out.push_str(", verify: true");
    }
    out.push_str(" }");
    out
}

fn render_cluster(cluster: &Cluster) -> String {
    let routes: Vec<String> = cluster.routes.iter().map(|route| quote(route)).collect();
    let mut out = format!(
        "cluster {{ name: {}, listen: {}, routes: [{}]",
        quote(&cluster.name),
        quote(&address(cluster.listen)),
        routes.join(", ")
    );
    if let Some(tls) = &cluster.tls {
        let _ = write!(out, ", {}", render_tls(tls, true));
    }
    out.push_str(" }");
    out
}

/// The server's way to say "any port" is -1.
fn address(listen: SocketAddr) -> String {
    if listen.port() == 0 {
        let host = listen.ip();
        if host.is_ipv6() {
            format!("[{host}]:-1")
        } else {
            format!("{host}:-1")
        }
    } else {
        listen.to_string()
    }
}

fn quote_path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

/// A text between quotes, as the server's language reads it back.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ServerConfig {
        ServerConfig::single(
            "hub-0",
            "127.0.0.1:0".parse().expect("address"),
            "/var/lib/a \"b\"",
        )
    }

    fn keys() -> OperatorKeys {
        OperatorKeys::generate(Timestamp::UNIX_EPOCH).0
    }

    #[test]
    fn a_single_server_syncs_always_and_preloads_the_system_account_only() {
        let keys = keys();
        let text = config().render(&keys, Timestamp::UNIX_EPOCH);
        assert!(text.contains("listen: \"127.0.0.1:-1\"\n"), "{text}");
        assert!(
            text.contains("store_dir: \"/var/lib/a \\\"b\\\"/jetstream\", sync_interval: always }"),
            "{text}"
        );
        assert!(text.contains("resolver { type: full"), "{text}");
        assert!(text.contains(keys.account(Account::Sys)));
        assert!(!text.contains(keys.account(Account::Hub)));
        assert!(
            !text.contains("cluster {") && !text.contains("tls {"),
            "{text}"
        );
    }

    #[test]
    fn a_cluster_nodes_routes_are_mutual() {
        let tls = ServerTls {
            certificate: "/c.pem".into(),
            key: "/k.pem".into(),
            authority: Some("/a.pem".into()),
        };
        let config = ServerConfig {
            listen: "[::1]:4222".parse().expect("address"),
            tls: Some(tls.clone()),
            cluster: Some(Cluster {
                name: "skein".to_owned(),
                listen: "0.0.0.0:6222".parse().expect("address"),
                routes: vec!["nats-route://10.0.0.2:6222".to_owned()],
                tls: Some(tls),
            }),
            ..config()
        };
        let text = config.render(&keys(), Timestamp::UNIX_EPOCH);
        assert!(text.contains("listen: \"[::1]:4222\"\n"), "{text}");
        assert!(text.contains(
            "cluster { name: \"skein\", listen: \"0.0.0.0:6222\", routes: [\"nats-route://10.0.0.2:6222\"], tls { \
             cert_file: \"/c.pem\", key_file: \"/k.pem\", ca_file: \"/a.pem\", verify: true } }"
        ), "{text}");
    }
}
