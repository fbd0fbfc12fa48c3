//! What Skein is tested with: simulated clusters, and the harness of a real Kubernetes control plane.
//!
//! - [`sim_cluster`]: a Kubernetes API server in memory.

pub mod sim_cluster;
