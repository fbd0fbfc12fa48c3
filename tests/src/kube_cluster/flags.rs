//! The flags of each program: lean, so that several control planes fit on a small machine.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Node;
use serde_json::json;

use super::certificates::Certificates;

/// Free ports on loopback.
pub(super) struct Ports {
    etcd: u16,
    etcd_peers: u16,
    api_server: u16,
}

impl Ports {
    /// Chooses ports that are free now. Somebody else could take one before the program does; then the start fails.
    pub(super) fn choose() -> io::Result<Ports> {
        // All are held until all are chosen, so that they differ.
        let held = [0; 3].map(|port| TcpListener::bind(("127.0.0.1", port)));
        let mut ports = [0; 3];
        for (port, listener) in ports.iter_mut().zip(held) {
            *port = listener?.local_addr()?.port();
        }
        let [etcd, etcd_peers, api_server] = ports;
        Ok(Ports {
            etcd,
            etcd_peers,
            api_server,
        })
    }
}

/// The files of one cluster.
pub(super) struct Files {
    folder: PathBuf,
    /// A kubeconfig with all rights.
    pub(super) kubeconfig: PathBuf,
}

const STAGES: &str = include_str!("../../kube/kwok/stages.yaml");

impl Files {
    /// Writes everything the programs read.
    pub(super) fn write(
        folder: &Path,
        ports: &Ports,
        certificates: &Certificates,
    ) -> io::Result<Files> {
        let write = |name: &str, content: &str| std::fs::write(folder.join(name), content);
        write("ca.crt", &certificates.authority)?;
        write("server.crt", &certificates.server)?;
        write("server.key", &certificates.server_key)?;
        write("accounts.key", &certificates.account_key)?;
        write("accounts.pub", &certificates.account_public_key)?;
        write(
            "tokens.csv",
            &format!("{},admin,admin,system:masters\n", certificates.token),
        )?;
        write("stages.yaml", STAGES)?;
        let server = format!("https://127.0.0.1:{}", ports.api_server);
        let authority = folder.join("ca.crt");
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "skein-kube",
            "clusters": [{"name": "skein-kube", "cluster": {"server": server, "certificate-authority": authority}}],
            "users": [{"name": "admin", "user": {"token": certificates.token}}],
            "contexts": [{"name": "skein-kube", "context": {"cluster": "skein-kube", "user": "admin"}}],
        });
        write("kubeconfig", &kubeconfig.to_string())?;
        Ok(Files {
            folder: folder.to_owned(),
            kubeconfig: folder.join("kubeconfig"),
        })
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

fn owned<const N: usize>(flags: [String; N]) -> Vec<String> {
    flags.into()
}

/// etcd that forgets about the disk: a test cluster does not outlive its test.
pub(super) fn etcd(files: &Files, ports: &Ports) -> Vec<String> {
    let (clients, peers) = (
        format!("http://127.0.0.1:{}", ports.etcd),
        format!("http://127.0.0.1:{}", ports.etcd_peers),
    );
    owned([
        format!("--data-dir={}", files.path("etcd")),
        format!("--listen-client-urls={clients}"),
        format!("--advertise-client-urls={clients}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=default={peers}"),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ])
}

/// kube-apiserver with token authentication and RBAC.
pub(super) fn api_server(files: &Files, ports: &Ports) -> Vec<String> {
    owned([
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", ports.api_server),
        format!("--tls-cert-file={}", files.path("server.crt")),
        format!("--tls-private-key-file={}", files.path("server.key")),
        format!("--token-auth-file={}", files.path("tokens.csv")),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!(
            "--service-account-signing-key-file={}",
            files.path("accounts.key")
        ),
        format!("--service-account-key-file={}", files.path("accounts.pub")),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--enable-priority-and-fairness=false".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--profiling=false".to_owned(),
    ])
}

/// kube-controller-manager with the controllers that tests rely on.
pub(super) fn controller_manager(files: &Files) -> Vec<String> {
    const CONTROLLERS: &[&str] = &[
        "cronjob-controller",
        "daemonset-controller",
        "deployment-controller",
        "disruption-controller",
        "garbage-collector-controller",
        "job-controller",
        "namespace-controller",
        "persistentvolumeclaim-protection-controller",
        "replicaset-controller",
        "root-ca-certificate-publisher-controller",
        "serviceaccount-controller",
        "statefulset-controller",
        "ttl-after-finished-controller",
    ];
    owned([
        format!("--kubeconfig={}", files.kubeconfig.display()),
        "--secure-port=0".to_owned(),
        "--leader-elect=false".to_owned(),
        format!("--controllers={}", CONTROLLERS.join(",")),
        format!("--root-ca-file={}", files.path("ca.crt")),
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
        "--profiling=false".to_owned(),
    ])
}

/// kube-scheduler.
pub(super) fn scheduler(files: &Files) -> Vec<String> {
    owned([
        format!("--kubeconfig={}", files.kubeconfig.display()),
        "--secure-port=0".to_owned(),
        "--leader-elect=false".to_owned(),
    ])
}

/// kwok, which plays every node and its pods.
pub(super) fn kwok(files: &Files) -> Vec<String> {
    owned([
        format!("--kubeconfig={}", files.kubeconfig.display()),
        "--manage-all-nodes=true".to_owned(),
        format!("--config={}", files.path("stages.yaml")),
    ])
}

/// A node for kwok to play.
pub(super) fn node(name: &str) -> Node {
    let capacity = json!({"cpu": "32", "memory": "256Gi", "pods": "1000"});
    let node = json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "status": {"capacity": capacity, "allocatable": capacity},
    });
    serde_json::from_value(node).expect("a constant node")
}
