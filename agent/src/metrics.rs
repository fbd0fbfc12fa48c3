//! What can be seen of an agent from outside. Each agent has its own registry, so that many can
//! live in one process.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// How something came out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Result {
    /// In a word.
    pub result: &'static str,
}

/// An agent's counters and gauges.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// 1 while messages flow.
    pub connected: Gauge,
    /// 1 while the API server's liveness probe is answered.
    pub kube_api_healthy: Gauge,
    /// The desired revision that the agent has.
    pub desired_rev: Gauge,
    /// Desired messages by what became of them.
    pub desired_messages: Family<Result, Counter>,
    /// Works held.
    pub works: Gauge,
    /// Attempts at works by how they ended.
    pub attempts: Family<Result, Counter>,
    /// How long attempts took.
    pub attempt_seconds: Histogram,
    /// Objects found changed or missing and put right.
    pub drifts: Counter,
    /// Watches that run.
    pub watches: Gauge,
    /// Interruptions of watches.
    pub watch_failures: Counter,
    /// Reports that the hub has not confirmed.
    pub outbox: Gauge,
    /// Status messages by what became of them.
    pub status_messages: Family<Result, Counter>,
    /// Heartbeats sent.
    pub heartbeats: Counter,
    /// When the credential ends, in Unix seconds.
    pub credential_expires: Gauge,
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut all = Registry::with_prefix("skein_agent");
        let registry = &mut all;
        let attempt_seconds = Histogram::new(exponential_buckets(0.001, 4.0, 8));
        let help = "Duration of attempts at works";
        registry.register("attempt_seconds", help, attempt_seconds.clone());
        let expiry = "credential_expiry_timestamp_seconds";
        Arc::new(Self {
            connected: gauge(
                registry,
                "connected",
                "1 while messages flow between the agent and the hub",
            ),
            kube_api_healthy: gauge(
                registry,
                "kube_api_healthy",
                "1 while the cluster's API server answers its liveness probe",
            ),
            desired_rev: gauge(
                registry,
                "desired_rev",
                "Revision of the desired state that the agent has",
            ),
            desired_messages: family(
                registry,
                "desired_messages",
                "Desired messages by what became of them",
                &[
                    "applied",
                    "partial",
                    "stale",
                    "gap",
                    "rejected",
                    "malformed",
                ],
            ),
            works: gauge(registry, "works", "Works that the agent holds"),
            attempts: family(
                registry,
                "attempts",
                "Attempts at applying or removing works by how they ended",
                &["applied", "incomplete", "removed", "removing", "failed"],
            ),
            attempt_seconds,
            drifts: counter(
                registry,
                "drifts",
                "Objects found changed or missing and put right",
            ),
            watches: gauge(registry, "watches", "Watches that run"),
            watch_failures: counter(registry, "watch_failures", "Interruptions of watches"),
            outbox: gauge(
                registry,
                "outbox_entries",
                "Reports that the hub has not confirmed yet",
            ),
            status_messages: family(
                registry,
                "status_messages",
                "Status messages by what became of them",
                &["stored", "not_stored", "refused"],
            ),
            heartbeats: counter(registry, "heartbeats", "Heartbeats sent"),
            credential_expires: gauge(
                registry,
                expiry,
                "When the credential ends, in Unix seconds",
            ),
            registry: all,
        })
    }

    /// Counts one in a family.
    pub fn count(family: &Family<Result, Counter>, result: &'static str) {
        family.get_or_create(&Result { result }).inc();
    }

    /// The metrics in OpenMetrics' text form.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes any text");
        text
    }
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

/// All results are there from the start, so that a rate over them is never missing.
fn family(
    registry: &mut Registry,
    name: &str,
    help: &str,
    results: &[&'static str],
) -> Family<Result, Counter> {
    let family = Family::<Result, Counter>::default();
    for result in results {
        drop(family.get_or_create(&Result { result }));
    }
    registry.register(name, help, family.clone());
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_the_prefix_and_the_labels() {
        let metrics = Metrics::new();
        metrics.connected.set(1);
        Metrics::count(&metrics.attempts, "applied");
        let text = metrics.encode();
        assert!(text.contains("skein_agent_connected 1\n"), "{text}");
        assert!(
            text.contains("skein_agent_attempts_total{result=\"applied\"} 1\n"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"));
    }
}
