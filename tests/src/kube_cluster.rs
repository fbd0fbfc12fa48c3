//! A real Kubernetes control plane for tests: etcd, kube-apiserver, and what makes Deployments become ready.
//!
//! The programs come from the folder that `KUBEBUILDER_ASSETS` names; `just kube-tools` builds them. Each
//! [`KubeCluster`] has its own free ports on loopback and its own folder, so several run at a time. It stops when it
//! is dropped, and also when the test process dies without dropping anything.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Node, ServiceAccount};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tempfile::TempDir;

mod assets;
mod certificates;
mod flags;
mod process;

pub use assets::{Assets, MissingAssets};

use certificates::Certificates;
use flags::{Files, Ports};
use process::Process;

/// What a test cluster consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeOptions {
    /// kube-controller-manager: garbage collection, the end of namespaces, workloads.
    pub controllers: bool,
    /// Names of nodes that kwok plays, with a scheduler for them; pods on them run at once. Needs `controllers`.
    pub nodes: Vec<String>,
}

impl Default for KubeOptions {
    /// Everything, with one node.
    fn default() -> KubeOptions {
        KubeOptions {
            controllers: true,
            nodes: vec!["node-1".to_owned()],
        }
    }
}

/// Why a control plane could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The programs are not there.
    #[error("the control plane's programs cannot be had")]
    Missing(#[from] MissingAssets),
    /// A file, a port or a process could not be had.
    #[error("cannot prepare {what}")]
    Prepare {
        /// What was being prepared.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A certificate could not be made.
    #[error("cannot make the cluster's certificates")]
    Certificate(#[from] rcgen::Error),
    /// The kubeconfig that was written cannot be read.
    #[error("cannot read the cluster's kubeconfig")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// The API server refused something.
    #[error("the new API server does not answer as it should")]
    Api(#[from] kube::Error),
    /// A program ended.
    #[error("{program} ended while it was starting; its log, kept in {log}, ends with:\n{tail}")]
    Ended {
        /// Which program.
        program: &'static str,
        /// Where its log is.
        log: String,
        /// The log's last lines.
        tail: String,
    },
    /// It took too long.
    #[error("{what} was not there after {seconds} s; logs are in {logs}")]
    Late {
        /// What was waited for.
        what: &'static str,
        /// How long.
        seconds: u64,
        /// Where the logs are.
        logs: String,
    },
}

/// A running control plane.
pub struct KubeCluster {
    /// In the order of their start; stopped in reverse.
    processes: Vec<Process>,
    folder: Option<TempDir>,
    kubeconfig: PathBuf,
    config: Config,
    client: Client,
}

/// How long one step of a start may take. The machine may be busy with several control planes.
const PATIENCE: Duration = Duration::from_secs(120);

impl KubeCluster {
    /// Starts a control plane and waits until it serves.
    ///
    /// # Errors
    /// [`StartError::Missing`] when there are no programs; the others when they do not start.
    pub async fn start(options: &KubeOptions) -> Result<KubeCluster, StartError> {
        let assets = Assets::find()?;
        let prepare = |what| move |source| StartError::Prepare { what, source };
        let folder = tempfile::Builder::new()
            .prefix("skein-kube-")
            .tempdir()
            .map_err(prepare("a folder"))?;
        let ports = Ports::choose().map_err(prepare("ports"))?;
        let certificates = Certificates::make()?;
        let files = Files::write(folder.path(), &ports, &certificates).map_err(prepare("files"))?;
        let mut processes = Vec::new();
        let mut run = |name: &'static str, arguments: Vec<String>| -> Result<(), StartError> {
            let process = Process::start(name, &assets.program(name), &arguments, folder.path());
            processes.push(process.map_err(prepare(name))?);
            Ok(())
        };
        run("etcd", flags::etcd(&files, &ports))?;
        run("kube-apiserver", flags::api_server(&files, &ports))?;
        let kubeconfig = Kubeconfig::read_from(&files.kubeconfig)?;
        let config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let client = Client::try_from(config.clone())?;
        let mut cluster = KubeCluster {
            processes,
            folder: Some(folder),
            kubeconfig: files.kubeconfig.clone(),
            config,
            client,
        };
        cluster.wait_until_ready().await?;
        let mut run = |name: &'static str, arguments: Vec<String>| -> Result<(), StartError> {
            let process = Process::start(name, &assets.program(name), &arguments, cluster.folder());
            cluster.processes.push(process.map_err(prepare(name))?);
            Ok(())
        };
        if options.controllers {
            run("kube-controller-manager", flags::controller_manager(&files))?;
        }
        if options.controllers && !options.nodes.is_empty() {
            run("kube-scheduler", flags::scheduler(&files))?;
            run("kwok", flags::kwok(&files))?;
        }
        cluster.furnish(options).await?;
        Ok(cluster)
    }

    /// A client with all rights.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// How to connect with all rights.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The kubeconfig file with all rights; its only context is `skein-kube`.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Where the programs' logs and data are.
    pub fn folder(&self) -> &Path {
        self.folder.as_ref().expect("only given up on drop").path()
    }

    /// The process ids of the programs, by name, for tests that kill one.
    pub fn process_ids(&self) -> Vec<(&'static str, u32)> {
        self.processes
            .iter()
            .map(|process| (process.name(), process.id()))
            .collect()
    }

    async fn wait_until_ready(&mut self) -> Result<(), StartError> {
        let client = self.client();
        self.wait_for("the API server", async || {
            let request = http::Request::get("/readyz")
                .body(Vec::new())
                .expect("a constant request");
            client
                .request_text(request)
                .await
                .is_ok_and(|answer| answer == "ok")
                .then_some(())
        })
        .await?;
        let namespaces: Api<Namespace> = Api::all(self.client());
        self.wait_for("the default namespace", async || {
            namespaces.get_opt("default").await.ok().flatten().map(drop)
        })
        .await
    }

    /// Makes the nodes, and waits for what pods need.
    async fn furnish(&mut self, options: &KubeOptions) -> Result<(), StartError> {
        if !options.controllers {
            return Ok(());
        }
        let nodes: Api<Node> = Api::all(self.client());
        for name in &options.nodes {
            nodes
                .create(&PostParams::default(), &flags::node(name))
                .await?;
            // Admission taints every new node until the node controller, which is not started, lifts the taint.
            let untainted = Patch::Merge(serde_json::json!({"spec": {"taints": null}}));
            nodes
                .patch(name, &PatchParams::default(), &untainted)
                .await?;
        }
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), "default");
        self.wait_for("the default service account", async || {
            accounts.get_opt("default").await.ok().flatten().map(drop)
        })
        .await?;
        for name in &options.nodes {
            let ready = |node: Node| {
                let conditions = node
                    .status
                    .and_then(|status| status.conditions)
                    .unwrap_or_default();
                conditions
                    .iter()
                    .any(|one| one.type_ == "Ready" && one.status == "True")
                    .then_some(())
            };
            self.wait_for("a ready node", async || {
                nodes.get_opt(name).await.ok().flatten().and_then(ready)
            })
            .await?;
        }
        Ok(())
    }

    /// Asks until the answer is there, while all programs live.
    async fn wait_for(
        &mut self,
        what: &'static str,
        ask: impl AsyncFn() -> Option<()>,
    ) -> Result<(), StartError> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        loop {
            pace.tick().await;
            if ask().await.is_some() {
                return Ok(());
            }
            if let Some(ended) = self.processes.iter_mut().find_map(Process::ended) {
                self.keep_folder();
                return Err(ended);
            }
            if tokio::time::Instant::now() > deadline {
                let logs = self.keep_folder();
                return Err(StartError::Late {
                    what,
                    seconds: PATIENCE.as_secs(),
                    logs,
                });
            }
        }
    }

    /// Leaves the folder behind when the cluster goes, for someone to look into, and says where it is.
    pub fn keep_folder(&mut self) -> String {
        let folder = self.folder().display().to_string();
        if let Some(kept) = self.folder.as_mut() {
            kept.disable_cleanup(true);
        }
        folder
    }
}

impl Drop for KubeCluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let folder = self.keep_folder();
            eprintln!("the control plane's logs are kept in {folder}");
        }
        // The last one first, so that nobody complains about a missing neighbour.
        while let Some(process) = self.processes.pop() {
            drop(process);
        }
    }
}
