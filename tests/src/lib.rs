//! What Skein is tested and shown with: simulated clusters, the harness of a real Kubernetes control
//! plane, and the stage that the demo and the end-to-end tests play on.
//!
//! - [`fleet_sim`]: the pure cores of hub and agents on one virtual clock, with everything that goes wrong.
//! - [`sim_cluster`]: a Kubernetes API server in memory.
//! - [`kube_cluster`]: a real control plane, started from its programs.
//! - [`stage`]: the programs, run as a user runs them.
//! - [`mod@bench`]: what Skein does in a second, beside the bus alone.
//! - [`demo`]: the main job, told step by step.
//! - [`fleet`]: a hub and agents, joined and available.
//! - [`relay`]: a network that can be cut.

pub mod bench;
pub mod demo;
pub mod fleet;
pub mod fleet_sim;
pub mod kube_cluster;
pub mod relay;
pub mod sim_cluster;
pub mod stage;
