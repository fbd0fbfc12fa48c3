//! Taints and tolerations agree with OCM's answers, cluster by cluster.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;
use skein_hub_core::placement::Rules;
use skein_hub_core::placement::toleration::{Standing, standing};
use skein_schema::kind::managed_cluster::Taint;
use skein_schema::kind::placement::{PlacementSpec, Toleration};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    id: String,
    /// The heading in `docs/ocm-differences.md` of the rule by which our answer is another one.
    #[serde(default)]
    differs: Option<String>,
    now: Timestamp,
    /// By cluster.
    taints: BTreeMap<String, Vec<Taint>>,
    tolerations: Vec<serde_json::Value>,
    /// The clusters that the placement has now.
    current: BTreeSet<String>,
    #[serde(default)]
    misconfigured: bool,
    #[serde(default)]
    kept: Vec<String>,
    #[serde(default)]
    requeue_at: Option<Timestamp>,
}

impl Case {
    /// What is not as in OCM, or why the tolerations are refused.
    fn difference(&self) -> Option<String> {
        let tolerations: Result<Vec<Toleration>, _> = self
            .tolerations
            .iter()
            .cloned()
            .map(serde_json::from_value)
            .collect();
        let tolerations = match tolerations {
            Ok(tolerations) => tolerations,
            Err(error) => return Some(error.to_string()),
        };
        let spec = PlacementSpec {
            tolerations: tolerations.clone(),
            ..PlacementSpec::default()
        };
        match Rules::new(&spec) {
            Err(_) if self.misconfigured => return None,
            Err(errors) => return Some(format!("refused: {errors:?}")),
            Ok(_) if self.misconfigured => return Some("OCM calls it misconfigured".to_owned()),
            Ok(_) => {}
        }
        let mut kept = Vec::new();
        let mut requeue_at: Option<Timestamp> = None;
        for (cluster, taints) in &self.taints {
            let chosen = self.current.contains(cluster);
            if let Standing::Eligible { until, .. } = standing(
                taints,
                &tolerations,
                chosen,
                jiff::SignedDuration::ZERO,
                self.now,
            ) {
                kept.push(cluster.clone());
                if chosen {
                    // OCM looks again only for the sake of clusters that it has chosen.
                    requeue_at = requeue_at.into_iter().chain(until).min();
                }
            }
        }
        if kept != self.kept {
            return Some(format!("kept {kept:?}, OCM {:?}", self.kept));
        }
        (requeue_at != self.requeue_at)
            .then(|| format!("again at {requeue_at:?}, OCM {:?}", self.requeue_at))
    }
}

#[test]
fn tolerations_agree_with_ocm() {
    let document = include_str!("../../../../docs/ocm-differences.md");
    let mut failures = Vec::new();
    for line in include_str!("../vectors/toleration.jsonl").lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let difference = case.difference();
        if difference.is_some() != case.differs.is_some() {
            failures.push(format!("{}: {difference:?}", case.id));
        }
        if let Some(heading) = &case.differs {
            assert!(
                document.contains(&format!("### {heading}\n")),
                "{}: {heading}",
                case.id
            );
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
