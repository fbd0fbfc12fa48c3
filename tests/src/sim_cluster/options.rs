//! How a simulated cluster is made.

use std::time::Duration;

use jiff::Timestamp;

/// How to make a simulated cluster. Every field has a useful default.
#[derive(Debug, Clone, PartialEq)]
pub struct SimOptions {
    /// The cluster's name; it shows in node names and kubeconfig contexts.
    pub name: String,
    /// Seed of uids, generated names and faults: the same seed makes the same cluster.
    pub seed: u64,
    /// What `/version` reports, as in `1.36.3`.
    pub kubernetes_version: String,
    /// The nodes that are there from the start.
    pub nodes: Vec<SimNode>,
    /// How the cluster's time passes.
    pub clock: SimClock,
    /// How many changes the watch history keeps; older resource versions are answered with 410.
    pub history: usize,
    /// How often a quiet watch that asked for bookmarks gets one.
    pub bookmark_interval: Duration,
    /// How long controllers (garbage collector, namespaces, CRDs, workloads) take to notice a change.
    pub controller_delay: Duration,
    /// How long a workload's pods take to become ready, and how long they take to end.
    pub ready_after: Duration,
    /// Whether workloads get ReplicaSets and Pods, as in a real cluster, or only their status.
    pub pods: bool,
}

/// One node of a simulated cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimNode {
    /// The node's name.
    pub name: String,
    /// CPU capacity, as a Kubernetes quantity.
    pub cpu: String,
    /// Memory capacity, as a Kubernetes quantity.
    pub memory: String,
    /// How many pods fit.
    pub pods: u32,
}

/// How a simulated cluster's time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimClock {
    /// From the given time on, with tokio's clock (which a test may pause).
    Running(Timestamp),
    /// Only when [`SimCluster::advance`](super::SimCluster::advance) says so.
    Manual(Timestamp),
}

impl SimNode {
    /// A node with 4 CPUs, 16 GiB and room for 110 pods.
    pub fn new(name: impl Into<String>) -> SimNode {
        SimNode {
            name: name.into(),
            cpu: "4".to_owned(),
            memory: "16Gi".to_owned(),
            pods: 110,
        }
    }
}

impl Default for SimOptions {
    /// One node, Kubernetes 1.36, running time, controllers that answer within 10 ms and pods ready after 200 ms.
    #[expect(
        clippy::disallowed_methods,
        reason = "a running cluster starts at the present time"
    )]
    fn default() -> SimOptions {
        SimOptions {
            name: "sim".to_owned(),
            seed: 0,
            kubernetes_version: "1.36.3".to_owned(),
            nodes: vec![SimNode::new("node-1")],
            clock: SimClock::Running(Timestamp::now()),
            history: 512,
            bookmark_interval: Duration::from_secs(60),
            controller_delay: Duration::from_millis(10),
            ready_after: Duration::from_millis(200),
            pods: true,
        }
    }
}

impl SimOptions {
    /// The default options under another name; the seed is drawn from the name, so that uids differ between clusters.
    pub fn named(name: impl Into<String>) -> SimOptions {
        let name = name.into();
        // FNV-1a: any spread of names over seeds will do.
        let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        SimOptions {
            name,
            seed,
            ..SimOptions::default()
        }
    }

    /// Options for clusters by the thousand: a short history, and workloads without pods.
    pub fn small(name: impl Into<String>) -> SimOptions {
        SimOptions {
            history: 64,
            pods: false,
            ..SimOptions::named(name)
        }
    }
}
