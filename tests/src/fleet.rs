//! A small fleet on a stage: a hub and agents for simulated clusters, joined and available.

use std::net::TcpListener;
use std::path::Path;

use crate::stage::{Failure, Member, Outcome, Stage};

/// How a fleet is set up.
#[derive(Debug, Clone, Copy)]
pub struct FleetOptions {
    /// How many clusters; they are called `shop-1`, `shop-2`, …
    pub clusters: usize,
}

/// A fleet's fixed addresses, so that a hub that is started again is found again.
#[derive(Debug, Clone)]
pub struct Fleet {
    listen: String,
}

impl Fleet {
    /// Starts the clusters, the hub and the agents, and waits until every cluster is available.
    ///
    /// # Errors
    /// When a program does not start, or a cluster does not become available.
    pub async fn start(stage: &mut Stage, options: FleetOptions) -> Outcome<Self> {
        let kubeconfig = stage.path("kubeconfig");
        let path = kubeconfig.display().to_string();
        let count = options.clusters.to_string();
        stage.start(
            "sim",
            "skein-sim",
            &[
                "--clusters",
                &count,
                "--port",
                "0",
                "--kubeconfig-out",
                &path,
            ],
        )?;
        stage.file(&kubeconfig).await?;
        let contexts = (1..=options.clusters).map(|number| format!("sim-{number}"));
        Self::start_on(stage, &kubeconfig, contexts.collect()).await
    }

    /// Starts the hub and agents for clusters that are there, the contexts of a kubeconfig, and
    /// waits until every cluster is available.
    ///
    /// # Errors
    /// When a program does not start, or a cluster does not become available.
    pub async fn start_on(
        stage: &mut Stage,
        kubeconfig: &Path,
        contexts: Vec<String>,
    ) -> Outcome<Self> {
        let fleet = Self {
            listen: format!("127.0.0.1:{}", free_port()?),
        };
        fleet.start_hub(stage).await?;
        let clusters = contexts.len();
        for (context, number) in contexts.into_iter().zip(1..) {
            let name = format!("shop-{number}");
            stage
                .members
                .push(Member::new(name.clone(), kubeconfig.to_owned(), context).await?);
            let token = stage.path(&format!("{name}.token")).display().to_string();
            stage
                .ask(&format!(
                    "token create --cluster {name} --auto-accept --output-file {token}"
                ))
                .await?;
            fleet.start_agent(stage, number - 1)?;
        }
        for member in 0..clusters {
            fleet.until_available(stage, member, "True").await?;
        }
        Ok(fleet)
    }

    /// Starts the hub, or starts it again, and waits until it answers.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn start_hub(&self, stage: &mut Stage) -> Outcome<()> {
        let data = stage.path("hub").display().to_string();
        let arguments = [
            "up",
            "--data-dir",
            &data,
            "--listen",
            &self.listen,
            "--http",
            "127.0.0.1:0",
        ];
        stage.start("hub", "skein", &arguments)?;
        stage
            .until("doctor", |out| out.contains("ok   hub"))
            .await
            .map(drop)
    }

    /// Starts the agent of a member, or starts it again.
    ///
    /// # Errors
    /// When the program does not start.
    pub fn start_agent(&self, stage: &mut Stage, member: usize) -> Outcome<()> {
        let member = stage
            .members
            .get(member)
            .ok_or_else(|| Failure::new("no such member"))?;
        let name = member.name.clone();
        let (kubeconfig, context) = (
            member.kubeconfig.display().to_string(),
            member.context.clone(),
        );
        let token = stage.path(&format!("{name}.token")).display().to_string();
        let state = stage.path(&format!("{name}.state")).display().to_string();
        let arguments = [
            "join",
            "--token-file",
            &token,
            "--cluster-name",
            &name,
            "--state-dir",
            &state,
            "--kubeconfig",
            &kubeconfig,
            "--kube-context",
            &context,
        ];
        stage.start(&name, "skein", &arguments)
    }

    /// Waits until a member's availability is `status`.
    ///
    /// # Errors
    /// When it does not become so.
    pub async fn until_available(
        &self,
        stage: &mut Stage,
        member: usize,
        status: &str,
    ) -> Outcome<()> {
        let name = stage
            .members
            .get(member)
            .map(|member| member.name.clone())
            .unwrap_or_default();
        let path =
            "jsonpath={.status.conditions[?(@.type=='ManagedClusterConditionAvailable')].status}";
        stage
            .until(&format!("get managedcluster {name} -o {path}"), |out| {
                out.trim() == status
            })
            .await
            .map(drop)
    }
}

/// A loopback port that is free now.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Outcome<u16> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| Failure::because("find a free port", &error))
}
