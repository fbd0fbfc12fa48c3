//! Which clusters belong to which sets.
//!
//! A cluster is in the one exclusive set that its set label names, and in every set whose label
//! selector matches. An absent label selector matches nothing, an empty one everything.

use skein_schema::decode::FieldError;
use skein_schema::kind::label_selector::Selector;
use skein_schema::kind::managed_cluster::{CLUSTER_SET_LABEL, ManagedCluster};
use skein_schema::kind::managed_cluster_set::{ManagedClusterSet, SelectorType};
use std::collections::BTreeMap;

/// How one set chooses its clusters, checked once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetMembership {
    rule: Rule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// Clusters whose set label names this set.
    Exclusive(String),
    /// Clusters whose labels match.
    Labels(Selector),
    /// No cluster.
    Nothing,
}

impl SetMembership {
    /// The membership rule of a set.
    ///
    /// # Errors
    /// What is wrong with the set's label selector. Admission lets no such set in; one that is
    /// there all the same breaks only itself, not the look-ups of other sets.
    pub fn new(set: &ManagedClusterSet) -> Result<Self, Vec<FieldError>> {
        let selector = &set.spec.cluster_selector;
        let rule = match (selector.selector_type, &selector.label_selector) {
            (SelectorType::ExclusiveClusterSetLabel, _) => {
                Rule::Exclusive(set.metadata.name.clone().unwrap_or_default())
            }
            (SelectorType::LabelSelector, None) => Rule::Nothing,
            (SelectorType::LabelSelector, Some(labels)) => {
                Rule::Labels(Selector::new("spec.clusterSelector.labelSelector", labels)?)
            }
        };
        Ok(Self { rule })
    }

    /// True if a cluster with these labels is in the set.
    #[must_use]
    pub fn contains(&self, labels: &BTreeMap<String, String>) -> bool {
        match &self.rule {
            Rule::Exclusive(name) => labels.get(CLUSTER_SET_LABEL) == Some(name),
            Rule::Labels(selector) => selector.matches(labels),
            Rule::Nothing => false,
        }
    }
}

/// Names of the clusters in a set, in the order of `clusters`.
///
/// # Errors
/// As [`SetMembership::new`].
pub fn clusters_of_set<'a>(
    set: &ManagedClusterSet,
    clusters: impl IntoIterator<Item = &'a ManagedCluster>,
) -> Result<Vec<&'a str>, Vec<FieldError>> {
    let membership = SetMembership::new(set)?;
    let members = clusters
        .into_iter()
        .filter(|cluster| membership.contains(labels_of(cluster)));
    Ok(members
        .map(|cluster| cluster.metadata.name.as_deref().unwrap_or_default())
        .collect())
}

/// The sets of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetsOfCluster<'a> {
    /// Names of the sets it is in, in the order given.
    pub sets: Vec<&'a str>,
    /// Names of sets that could not be evaluated.
    pub broken: Vec<&'a str>,
}

/// Names of the sets that a cluster is in.
pub fn sets_of_cluster<'a>(
    cluster: &ManagedCluster,
    sets: impl IntoIterator<Item = &'a ManagedClusterSet>,
) -> SetsOfCluster<'a> {
    let mut found = SetsOfCluster::default();
    for set in sets {
        let name = set.metadata.name.as_deref().unwrap_or_default();
        match SetMembership::new(set) {
            Ok(membership) if membership.contains(labels_of(cluster)) => found.sets.push(name),
            Ok(_) => {}
            Err(_) => found.broken.push(name),
        }
    }
    found
}

/// The exclusive set that a cluster names, if it names one.
#[must_use]
pub fn exclusive_set(cluster: &ManagedCluster) -> Option<&str> {
    labels_of(cluster)
        .get(CLUSTER_SET_LABEL)
        .map(String::as_str)
        .filter(|name| !name.is_empty())
}

fn labels_of(cluster: &ManagedCluster) -> &BTreeMap<String, String> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    cluster.metadata.labels.as_ref().unwrap_or(&NONE)
}
