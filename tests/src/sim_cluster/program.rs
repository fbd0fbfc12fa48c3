//! The program `skein-sim`: simulated clusters on TCP ports, and one kubeconfig for all of them.

use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use super::{SimCluster, SimNode, SimOptions, SimServer, kubeconfig};

/// Serve simulated Kubernetes clusters.
///
/// Each cluster is a Kubernetes API server in memory, with nodes, and with workloads that become ready after a short
/// while. Nothing runs in them: no containers, no logs, no network. Everybody may do everything. What a cluster holds
/// is gone when the program ends.
///
/// The kubeconfig has a context for each cluster, so that `kubectl --kubeconfig FILE --context sim-1 get pods` works,
/// and so does any Kubernetes client. The program prints one line per cluster when it is ready, and ends on SIGTERM,
/// SIGINT, or ctrl-c.
#[derive(Debug, Parser)]
#[command(name = "skein-sim", version)]
pub struct Arguments {
    /// How many clusters to serve; they are called sim-1, sim-2, and so on
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub clusters: u16,

    /// Prefix of the clusters' names
    #[arg(long, value_name = "NAME", default_value = "sim")]
    pub name: String,

    /// Address to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub address: IpAddr,

    /// Port of the first cluster, the others follow; 0 takes free ports
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,

    /// Write the kubeconfig to this file; without it only the addresses are printed
    #[arg(long, value_name = "FILE")]
    pub kubeconfig_out: Option<PathBuf>,

    /// How many nodes each cluster has
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    pub nodes: u16,

    /// CPU capacity of each node, as a Kubernetes quantity
    #[arg(long, value_name = "QUANTITY", default_value = "4")]
    pub cpu: String,

    /// Memory capacity of each node, as a Kubernetes quantity
    #[arg(long, value_name = "QUANTITY", default_value = "16Gi")]
    pub memory: String,

    /// The version the clusters say they have
    #[arg(long, value_name = "VERSION", default_value = "1.36.3")]
    pub kubernetes_version: String,

    /// How long pods take to become ready, in milliseconds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 200)]
    pub ready_after: u64,

    /// How long every answer takes at least, in milliseconds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    pub latency: u64,

    /// The share of requests that fail, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub error_rate: f64,

    /// Containers whose image contains this text never become ready; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub broken_image: Vec<String>,

    /// Give workloads only a status, without ReplicaSets and Pods
    #[arg(long)]
    pub no_pods: bool,

    /// Seed of uids, generated names and failures: the same seed gives the same clusters
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("not a number from 0 to 1".to_owned()),
    }
}

impl Arguments {
    /// The cluster of that number, from 1 on.
    fn cluster(&self, number: u16) -> SimCluster {
        let name = format!("{}-{number}", self.name);
        let node = |index: u16| SimNode {
            cpu: self.cpu.clone(),
            memory: self.memory.clone(),
            ..SimNode::new(format!("{name}-node-{index}"))
        };
        let mut options = SimOptions {
            kubernetes_version: self.kubernetes_version.trim_start_matches('v').to_owned(),
            nodes: (1..=self.nodes).map(node).collect(),
            ready_after: Duration::from_millis(self.ready_after),
            pods: !self.no_pods,
            ..SimOptions::named(name.as_str())
        };
        if let Some(seed) = self.seed {
            options.seed = seed.wrapping_add(u64::from(number));
        }
        let cluster = SimCluster::new(options);
        cluster.set_faults(|faults| {
            faults.latency = Duration::from_millis(self.latency);
            faults.error_rate = self.error_rate;
        });
        self.broken_image
            .iter()
            .for_each(|image| cluster.break_images(image.as_str()));
        cluster
    }
}

/// Serves until a signal comes.
///
/// # Errors
/// When a port cannot be had, or the kubeconfig cannot be written.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut servers: Vec<(String, SimServer)> = Vec::new();
    for number in 1..=arguments.clusters {
        let cluster = arguments.cluster(number);
        let name = cluster.options().name.clone();
        let port = match arguments.port {
            0 => 0,
            first => first
                .checked_add(number - 1)
                .context("the ports do not fit below 65536")?,
        };
        let server = cluster.serve_http((arguments.address, port).into()).await;
        servers.push((
            name.clone(),
            server.with_context(|| format!("{name} cannot listen on port {port}"))?,
        ));
    }
    if let Some(file) = &arguments.kubeconfig_out {
        let urls: Vec<(&str, String)> = servers
            .iter()
            .map(|(name, server)| (name.as_str(), server.url()))
            .collect();
        let config = kubeconfig(urls.iter().map(|(name, url)| (*name, url.as_str())));
        let yaml = serde_yaml_ng::to_string(&config).context("cannot encode the kubeconfig")?;
        std::fs::write(file, yaml).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let mut out = std::io::stdout().lock();
    for (name, server) in &servers {
        writeln!(out, "{name}\t{}", server.url()).context("cannot write to standard output")?;
    }
    out.flush().context("cannot write to standard output")?;
    drop(out);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
