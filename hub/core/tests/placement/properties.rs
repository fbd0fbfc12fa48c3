//! What always holds of a choice.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use skein_hub_core::placement::{Choice, ClusterFacts, Inputs, Load, Rules, choose};
use skein_schema::kind::placement::PlacementSpec;
use skein_schema::name::ClusterName;

use super::own::{NoScores, cluster, now};

/// A fleet and a placement over it.
#[derive(Clone, Debug)]
struct Scene {
    clusters: Vec<(String, Value, Value)>,
    spec: Value,
    current: BTreeSet<ClusterName>,
    others: Vec<ClusterName>,
}

impl Scene {
    fn rules(&self) -> Rules {
        let spec: PlacementSpec = serde_json::from_value(self.spec.clone()).unwrap();
        Rules::new(&spec).unwrap()
    }

    fn facts(&self) -> Vec<ClusterFacts> {
        let facts = self.clusters.iter();
        let mut facts: Vec<_> = facts
            .map(|(name, labels, taints)| cluster(name, labels, taints, &Value::Null))
            .collect();
        facts.sort_by(|left, right| left.name().cmp(right.name()));
        facts
    }

    fn choose(&self) -> Choice {
        self.choose_with(&self.current)
    }

    fn choose_with(&self, current: &BTreeSet<ClusterName>) -> Choice {
        let mut load = Load::default();
        for cluster in self.others.iter().chain(current) {
            load.add(cluster);
        }
        let facts = self.facts();
        let choice = choose(&Inputs {
            rules: &self.rules(),
            clusters: &facts.iter().collect::<Vec<_>>(),
            current,
            load: &load,
            scores: &NoScores,
            lost_for: jiff::SignedDuration::ZERO,
            now: now(),
        });
        choice.unwrap()
    }
}

fn chosen(choice: &Choice) -> BTreeSet<ClusterName> {
    choice
        .chosen
        .iter()
        .map(|chosen| chosen.cluster.clone())
        .collect()
}

fn scene() -> impl Strategy<Value = Scene> {
    let label = prop::sample::select(vec!["a", "b", "c"]);
    let effect = prop::sample::select(vec!["NoSelect", "PreferNoSelect", "NoSelectIfNew"]);
    let taint = effect.prop_map(|effect| json!([{"key": "t", "effect": effect}]));
    let taints = prop_oneof![4 => Just(json!([])), 1 => taint];
    let labels = (label.clone(), prop::option::of(label));
    let labels = labels.prop_map(|(zone, tier)| {
        tier.map_or_else(
            || json!({"zone": zone}),
            |tier| json!({"zone": zone, "tier": tier}),
        )
    });
    let clusters = prop::collection::btree_map("[a-f][a-f0-9]{0,2}", (labels, taints), 0..14);
    let number = prop::option::of(0..10_i32);
    let group = prop::option::of(1..5_i32);
    let spread = prop::sample::select(vec![
        json!([]),
        json!([{"topologyKey": "zone", "topologyKeyType": "Label"}]),
        json!([{"topologyKey": "tier", "topologyKeyType": "Label", "whenUnsatisfiable": "DoNotSchedule"}]),
    ]);
    let marks = prop::collection::vec((any::<bool>(), any::<bool>()), 14);
    (clusters, number, group, spread, marks).prop_map(|(clusters, number, group, spread, marks)| {
        let names: Vec<ClusterName> = clusters.keys().map(|name| ClusterName::new(name).unwrap()).collect();
        let marked = |which: fn(&(bool, bool)) -> bool| {
            let marked = names.iter().zip(&marks).filter(move |(_, mark)| which(mark));
            marked.map(|(name, _)| name.clone())
        };
        let mut spec = json!({"spreadPolicy": {"spreadConstraints": spread}});
        if let Some(number) = number {
            spec["numberOfClusters"] = json!(number);
        }
        if let Some(group) = group {
            spec["decisionStrategy"] = json!({"groupStrategy": {
                "clustersPerDecisionGroup": group,
                "decisionGroups": [{"groupName": "a", "groupClusterSelector": {"labelSelector": {"matchLabels": {"zone": "a"}}}}],
            }});
        }
        Scene {
            current: marked(|mark| mark.0).collect(),
            others: marked(|mark| mark.1).collect(),
            clusters: clusters.into_iter().map(|(name, (labels, taints))| (name, labels, taints)).collect(),
            spec,
        }
    })
}

proptest! {
    /// The order in which clusters became known does not matter, and nothing is left to chance.
    #[test]
    fn a_choice_is_a_function_of_its_inputs(scene in scene(), seed in any::<u64>()) {
        let mut shuffled = scene.clone();
        let length = shuffled.clusters.len().max(1);
        shuffled.clusters.rotate_left(usize::try_from(seed).unwrap_or(0) % length);
        shuffled.others.reverse();
        prop_assert_eq!(scene.choose(), shuffled.choose());
    }

    /// Every candidate is chosen or left out with a reason, once; chosen ones are in one group.
    #[test]
    fn every_candidate_is_accounted_for(scene in scene()) {
        let choice = scene.choose();
        let mut seen: BTreeMap<ClusterName, usize> = BTreeMap::new();
        let chosen = choice.chosen.iter().map(|chosen| &chosen.cluster);
        for cluster in chosen.chain(choice.left_out.iter().map(|(cluster, _)| cluster)) {
            *seen.entry(cluster.clone()).or_default() += 1;
        }
        prop_assert_eq!(seen.len(), scene.clusters.len());
        prop_assert!(seen.values().all(|count| *count == 1));
        let grouped: Vec<_> = choice.groups.iter().flat_map(|group| &group.clusters).collect();
        prop_assert_eq!(grouped.len(), choice.chosen.len());
        prop_assert!(choice.chosen.iter().all(|chosen| grouped.contains(&chosen)));
    }

    #[test]
    fn never_more_than_asked_for(scene in scene()) {
        let choice = scene.choose();
        let rules = scene.rules();
        if let Some(number) = rules.number_of_clusters {
            prop_assert!(choice.chosen.len() <= number);
            prop_assert_eq!(choice.missing, Some(number - choice.chosen.len()));
        }
    }

    /// Choosing again with what was chosen, and nothing else changed, chooses the same.
    #[test]
    fn a_choice_is_steady(scene in scene()) {
        let first = chosen(&scene.choose());
        let second = chosen(&scene.choose_with(&first));
        let third = chosen(&scene.choose_with(&second));
        // What a first choice pushes away may come back once, when NoSelectIfNew or Steady count.
        prop_assert_eq!(second, third);
    }

    /// A cluster that may not be chosen does not matter.
    #[test]
    fn what_may_not_be_chosen_does_not_matter(scene in scene()) {
        let mut without = scene.clone();
        let repelled = |taints: &Value| taints[0]["effect"] == "NoSelect";
        without.clusters.retain(|(_, _, taints)| !repelled(taints));
        prop_assert_eq!(chosen(&scene.choose()), chosen(&without.choose()));
    }
}
