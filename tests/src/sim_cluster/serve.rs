//! A simulated cluster over HTTP on a TCP port, so that kubectl and other processes can use it.

use std::io;
use std::net::SocketAddr;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use kube::config::{
    AuthInfo, Cluster, Context, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext,
};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use super::{SimCluster, SimService};

/// A simulated cluster that listens; dropping it closes the port and every connection.
#[derive(Debug)]
pub struct SimServer {
    name: String,
    address: SocketAddr,
    accepting: AbortHandle,
}

impl SimServer {
    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the port cannot be had.
    #[expect(
        clippy::disallowed_methods,
        reason = "the server's handle owns the task and ends it"
    )]
    pub(crate) async fn start(cluster: SimCluster, address: SocketAddr) -> io::Result<SimServer> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let name = cluster.options().name.clone();
        let accepting = tokio::spawn(accept(listener, SimService::new(cluster))).abort_handle();
        Ok(SimServer {
            name,
            address,
            accepting,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server's URL, as in a kubeconfig.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A kubeconfig whose one context, the current one, is this cluster under its name.
    pub fn kubeconfig(&self) -> Kubeconfig {
        kubeconfig([(self.name.as_str(), self.url().as_str())])
    }
}

impl Drop for SimServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Accepts connections; they end with this task.
async fn accept(listener: TcpListener, service: SimService) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that failed before it began concerns nobody else.
                let Ok((stream, _)) = accepted else { continue };
                let service = TowerToHyperService::new(service.clone());
                connections.spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    // The client sees a broken connection itself.
                    drop(builder.serve_connection(TokioIo::new(stream), service).await);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// A kubeconfig with a context for each name and URL; the first is the current one.
pub fn kubeconfig<'a>(clusters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Kubeconfig {
    let mut config = Kubeconfig::default();
    for (name, url) in clusters {
        config.clusters.push(NamedCluster {
            name: name.to_owned(),
            cluster: Some(Cluster {
                server: Some(url.to_owned()),
                ..Cluster::default()
            }),
            ..NamedCluster::default()
        });
        config.auth_infos.push(NamedAuthInfo {
            name: name.to_owned(),
            auth_info: Some(AuthInfo::default()),
            ..NamedAuthInfo::default()
        });
        let context = Context {
            cluster: name.to_owned(),
            user: Some(name.to_owned()),
            ..Context::default()
        };
        config.contexts.push(NamedContext {
            name: name.to_owned(),
            context: Some(context),
            ..NamedContext::default()
        });
        config
            .current_context
            .get_or_insert_with(|| name.to_owned());
    }
    config
}
