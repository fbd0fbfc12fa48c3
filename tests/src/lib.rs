//! What Skein is tested with: simulated clusters, and the harness of a real Kubernetes control plane.
//!
//! - [`sim_cluster`]: a Kubernetes API server in memory.
//! - [`kube_cluster`]: a real control plane, started from its programs.

pub mod kube_cluster;
pub mod sim_cluster;
