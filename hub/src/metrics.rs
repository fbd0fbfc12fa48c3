//! What Prometheus sees. Every metric is declared here, with its meaning and unit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Labels of a decided command.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CommandLabels {
    /// The verb, or `unknown`.
    pub verb: String,
    /// What became of it.
    pub outcome: CommandOutcome,
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum CommandOutcome {
    /// Recorded.
    Recorded,
    /// Nothing had to change.
    Unchanged,
    /// Refused.
    Refused,
    /// Known already: answered again.
    Repeated,
}

/// Labels of what counts by a single word.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KindLabel {
    /// Which.
    pub kind: String,
}

/// Labels of clusters by availability.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ConditionLabel {
    /// OCM's condition status, or `Pending` while nobody has accepted the cluster.
    pub status: String,
}

/// All metrics of a hub, under the prefix `skein_hub`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Commands decided.
    pub commands: Family<CommandLabels, Counter>,
    /// From deciding a record to its acknowledgement.
    pub append: Histogram,
    /// From the bus' storing of a command to its answer.
    pub command: Histogram,
    /// Last folded sequence.
    pub ledger_sequence: Gauge<u64, AtomicU64>,
    /// Records on their way.
    pub in_flight: Gauge,
    /// Ledger conflicts: another hub wrote, or an outcome was unknown.
    pub conflicts: Counter,
    /// Whether this hub leads.
    pub leads: Gauge,
    /// Whether it has fenced itself.
    pub fenced: Gauge,
    /// Clusters by availability.
    pub clusters: Family<ConditionLabel, Gauge>,
    /// Desired messages stored.
    pub desired: Family<KindLabel, Counter>,
    /// Desired changes that wait to be stored.
    pub desired_waiting: Gauge,
    /// Catch-up requests by their answer.
    pub syncs: Family<KindLabel, Counter>,
    /// Questions by what they ask.
    pub queries: Family<KindLabel, Counter>,
    /// Questions that are being answered, watches among them.
    pub queries_open: Gauge,
    /// Status messages folded.
    pub statuses: Counter,
    /// Updates in agents' reports that were not taken.
    pub refused_updates: Gauge<u64, AtomicU64>,
    /// Messages that could not be understood, by subject kind.
    pub malformed: Family<KindLabel, Counter>,
    /// Heartbeats heard.
    pub heartbeats: Counter,
    /// Credentials issued, by kind.
    pub credentials: Family<KindLabel, Counter>,
    /// Snapshots by outcome.
    pub snapshots: Family<KindLabel, Counter>,
    memory: Gauge<i64, AtomicI64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("skein_hub"),
            commands: Family::default(),
            append: Histogram::new(exponential_buckets(0.000_1, 2.0, 16)),
            command: Histogram::new(exponential_buckets(0.000_25, 2.0, 16)),
            ledger_sequence: Gauge::default(),
            in_flight: Gauge::default(),
            conflicts: Counter::default(),
            leads: Gauge::default(),
            fenced: Gauge::default(),
            clusters: Family::default(),
            desired: Family::default(),
            desired_waiting: Gauge::default(),
            syncs: Family::default(),
            queries: Family::default(),
            queries_open: Gauge::default(),
            statuses: Counter::default(),
            refused_updates: Gauge::default(),
            malformed: Family::default(),
            heartbeats: Counter::default(),
            credentials: Family::default(),
            snapshots: Family::default(),
            memory: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        self.register_decisions();
        self.register_traffic();
    }

    fn register_decisions(&mut self) {
        let r = &mut self.registry;
        r.register(
            "commands",
            "Commands decided, by verb and outcome",
            self.commands.clone(),
        );
        r.register_with_unit(
            "append",
            "From deciding a record to its acknowledgement",
            Unit::Seconds,
            self.append.clone(),
        );
        r.register_with_unit(
            "command",
            "From storing a command to its answer",
            Unit::Seconds,
            self.command.clone(),
        );
        r.register(
            "ledger_sequence",
            "Last ledger sequence folded",
            self.ledger_sequence.clone(),
        );
        r.register(
            "ledger_in_flight",
            "Records appended and not yet acknowledged",
            self.in_flight.clone(),
        );
        r.register(
            "ledger_conflicts",
            "Appends refused because another hub wrote first",
            self.conflicts.clone(),
        );
        r.register(
            "leads",
            "1 while this hub decides, else 0",
            self.leads.clone(),
        );
        r.register(
            "fenced",
            "1 while the hub has stopped deciding, else 0",
            self.fenced.clone(),
        );
        r.register(
            "clusters",
            "Managed clusters, by availability",
            self.clusters.clone(),
        );
    }

    fn register_traffic(&mut self) {
        let r = &mut self.registry;
        r.register(
            "desired_messages",
            "Desired-state messages stored, by kind",
            self.desired.clone(),
        );
        r.register(
            "desired_waiting",
            "Desired-state changes not yet stored",
            self.desired_waiting.clone(),
        );
        r.register(
            "sync_requests",
            "Catch-up requests, by answer",
            self.syncs.clone(),
        );
        r.register(
            "queries",
            "Questions, by what they ask",
            self.queries.clone(),
        );
        r.register(
            "queries_open",
            "Questions being answered, watches among them",
            self.queries_open.clone(),
        );
        r.register(
            "status_messages",
            "Status messages folded",
            self.statuses.clone(),
        );
        r.register(
            "refused_updates",
            "Updates in agents' reports that were not taken: beyond a cluster's limits, or unreadable",
            self.refused_updates.clone(),
        );
        r.register(
            "malformed_messages",
            "Messages not understood, by subject",
            self.malformed.clone(),
        );
        r.register("heartbeats", "Heartbeats heard", self.heartbeats.clone());
        r.register(
            "credentials",
            "Credentials issued, by kind",
            self.credentials.clone(),
        );
        r.register("snapshots", "Snapshots, by outcome", self.snapshots.clone());
        r.register_with_unit(
            "memory_resident",
            "Memory of this process",
            Unit::Bytes,
            self.memory.clone(),
        );
    }

    /// Adds one to the count of `kind`.
    pub fn count(&self, family: &Family<KindLabel, Counter>, kind: &str) {
        family
            .get_or_create(&KindLabel {
                kind: kind.to_owned(),
            })
            .inc();
    }

    /// Counts a command.
    pub fn decided(&self, verb: &str, outcome: CommandOutcome) {
        self.commands
            .get_or_create(&CommandLabels {
                verb: verb.to_owned(),
                outcome,
            })
            .inc();
    }

    /// Notes how long an append took.
    pub fn appended(&self, took: Duration) {
        self.append.observe(took.as_secs_f64());
    }

    /// Shows how many clusters are in each state, by OCM's condition status.
    pub fn count_clusters(&self, counts: &BTreeMap<&'static str, i64>) {
        for (status, count) in counts {
            let label = ConditionLabel {
                status: (*status).to_owned(),
            };
            self.clusters.get_or_create(&label).set(*count);
        }
    }

    /// All metrics in the OpenMetrics text form.
    ///
    /// # Errors
    /// Only when text cannot be formatted.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        if let Some(bytes) = resident_bytes() {
            self.memory.set(bytes);
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Resident memory as Linux tells it; absent elsewhere.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_a_prefix_units_and_labels() {
        let metrics = Metrics::default();
        metrics.decided("apply", CommandOutcome::Recorded);
        metrics.appended(Duration::from_millis(1));
        metrics.count(&metrics.syncs, "current");
        let text = metrics.encode().unwrap();
        assert!(
            text.contains("skein_hub_commands_total{verb=\"apply\",outcome=\"Recorded\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("skein_hub_sync_requests_total{kind=\"current\"} 1"),
            "{text}"
        );
        assert!(text.contains("skein_hub_append_seconds_count 1"), "{text}");
        assert!(text.contains("skein_hub_memory_resident_bytes"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
