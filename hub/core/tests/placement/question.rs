//! A placement's choice as a line of JSON asks for it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use skein_hub_core::clusterset::SetMembership;
use skein_hub_core::placement::cel_selector::ScoreList;
use skein_hub_core::placement::{
    Choice, ClusterFacts, Inputs, Load, Rules, Satisfaction, ScoreOf, Scores, choose, scope,
};
use skein_schema::kind::managed_cluster::ManagedCluster;
use skein_schema::kind::managed_cluster_set::ManagedClusterSet;
use skein_schema::kind::placement::{AddOnScore, PlacementSpec};
use skein_schema::name::ClusterName;

/// What a choice depends on.
#[derive(Deserialize)]
pub(crate) struct Question {
    pub(crate) now: Timestamp,
    pub(crate) clusters: Vec<ManagedCluster>,
    /// Specs of sets by name.
    sets: BTreeMap<String, Value>,
    /// Namespace and set of each binding.
    bound: Vec<(String, String)>,
    pub(crate) placement: GivenPlacement,
    /// What placements have chosen before.
    #[serde(default)]
    decisions: Vec<Decision>,
    /// Statuses of AddOnPlacementScores by `cluster/name`.
    #[serde(default)]
    scores: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
pub(crate) struct GivenPlacement {
    namespace: String,
    name: String,
    pub(crate) spec: Value,
}

#[derive(Deserialize)]
struct Decision {
    namespace: String,
    placement: String,
    clusters: Vec<ClusterName>,
}

/// What is answered.
pub(crate) struct Answer {
    pub(crate) sets: Vec<String>,
    pub(crate) available: Vec<String>,
    /// None if there is nothing to choose from.
    pub(crate) choice: Option<Choice>,
    pub(crate) satisfaction: Satisfaction,
}

/// Scores as a question gives them.
struct Given<'a>(&'a BTreeMap<String, Value>);

impl Given<'_> {
    fn status(&self, cluster: &ClusterName, name: &str) -> Option<&Value> {
        self.0.get(&format!("{cluster}/{name}"))
    }

    fn list(status: &Value) -> impl DoubleEndedIterator<Item = (&str, i64)> {
        let scores = status["scores"].as_array().into_iter().flatten();
        scores.map(|score| {
            (
                score["name"].as_str().unwrap(),
                score["value"].as_i64().unwrap(),
            )
        })
    }
}

impl Scores for Given<'_> {
    fn score(&self, cluster: &ClusterName, score: &AddOnScore) -> Option<ScoreOf> {
        let status = self.status(cluster, &score.resource_name)?;
        let named = |(name, _): &(&str, i64)| *name == score.score_name;
        Some(ScoreOf {
            // No name is there twice in Skein; in OCM's vectors the last counts.
            value: Self::list(status).rev().find(named).map(|(_, value)| value),
            valid_until: status["validUntil"]
                .as_str()
                .map(|text| text.parse().unwrap()),
        })
    }

    fn all_scores(&self, cluster: &ClusterName, name: &str) -> Option<ScoreList> {
        let list = Self::list(self.status(cluster, name)?);
        Some(ScoreList::new(
            list.map(|(name, value)| (name, i32::try_from(value).unwrap())),
        ))
    }
}

impl Question {
    /// The placement's rules, or why it is refused.
    pub(crate) fn rules(&self) -> Result<Rules, String> {
        let spec: PlacementSpec = serde_json::from_value(self.placement.spec.clone())
            .map_err(|error| error.to_string())?;
        Rules::new(&spec).map_err(|errors| format!("{errors:?}"))
    }

    /// The clusters that the placement has now.
    pub(crate) fn current(&self) -> BTreeSet<ClusterName> {
        let own = |decision: &&Decision| {
            decision.namespace == self.placement.namespace
                && decision.placement == self.placement.name
        };
        let own = self.decisions.iter().filter(own);
        own.flat_map(|decision| decision.clusters.clone()).collect()
    }

    pub(crate) fn answer(&self, rules: &Rules) -> Answer {
        let bound = self.bound.iter().filter(|(namespace, set)| {
            *namespace == self.placement.namespace && self.sets.contains_key(set)
        });
        let bound: BTreeSet<&str> = bound.map(|(_, set)| set.as_str()).collect();
        let mut answer = Answer {
            sets: Vec::new(),
            available: Vec::new(),
            choice: None,
            satisfaction: Satisfaction::NoBindings,
        };
        let sets = match scope(&bound, &rules.cluster_sets) {
            Ok(sets) => sets,
            Err(satisfaction) => {
                answer.satisfaction = satisfaction;
                return answer;
            }
        };
        answer.sets = sets.iter().map(|set| (*set).to_owned()).collect();
        let clusters = self.members(&sets);
        answer.available = clusters
            .iter()
            .map(|cluster| cluster.name().to_string())
            .collect();
        let mut load = Load::default();
        for cluster in self
            .decisions
            .iter()
            .flat_map(|decision| &decision.clusters)
        {
            load.add(cluster);
        }
        let choice = choose(&Inputs {
            rules,
            clusters: &clusters.iter().collect::<Vec<_>>(),
            current: &self.current(),
            load: &load,
            scores: &Given(&self.scores),
            lost_for: jiff::SignedDuration::ZERO,
            now: self.now,
        });
        let choice = choice.unwrap();
        answer.satisfaction = Satisfaction::of(&choice, answer.sets.clone());
        answer.choice = Some(choice).filter(|choice| choice.candidates > 0);
        answer
    }

    /// The clusters of the sets that are not being deleted, in the order of their names.
    fn members(&self, sets: &BTreeSet<&str>) -> Vec<ClusterFacts> {
        let memberships = sets.iter().filter_map(|name| {
            let set = json!({"metadata": {"name": name}, "spec": self.sets[*name]});
            let set: ManagedClusterSet = serde_json::from_value(set).ok()?;
            SetMembership::new(&set).ok()
        });
        let memberships: Vec<SetMembership> = memberships.collect();
        let mut clusters: Vec<ClusterFacts> = self
            .clusters
            .iter()
            .filter(|cluster| cluster.metadata.deletion_timestamp.is_none())
            .map(|cluster| ClusterFacts::new(cluster.clone()).unwrap())
            .filter(|cluster| memberships.iter().any(|set| set.contains(cluster.labels())))
            .collect();
        clusters.sort_by(|left, right| left.name().cmp(right.name()));
        clusters
    }
}
