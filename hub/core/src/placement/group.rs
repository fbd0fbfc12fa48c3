//! Decision groups: the chosen clusters, in the portions in which they are to be rolled out.

use skein_schema::kind::rollout_strategy::IntOrPercent;
use skein_schema::name::ClusterName;

use super::choose::Chosen;
use super::predicate::FactSelector;

/// Most decisions that one PlacementDecision holds (OCM's).
pub const DECISIONS_MAX: usize = 100;

/// How chosen clusters are grouped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupRules {
    pub(super) named: Vec<(String, FactSelector)>,
    /// Largest group; everything if absent.
    pub(super) size: Option<IntOrPercent>,
}

/// The largest group's size if `total` clusters are chosen. A share is rounded up, in OCM's floating
/// point: 28 % of 25 is 8.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "OCM's arithmetic; the value is between 0 and the number of clusters"
)]
fn size_of_group(size: Option<IntOrPercent>, total: usize) -> usize {
    let size = match size {
        None => total,
        Some(size @ IntOrPercent::Number(_)) => size.of(total),
        Some(IntOrPercent::Percent(percent)) => {
            (f64::from(percent) / 100.0 * total as f64).ceil() as usize
        }
    };
    if size == 0 || size > total {
        total
    } else {
        size
    }
}

/// One group of decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its name, empty for the clusters that no named group takes. Several groups may have one
    /// name, when one is larger than a group may be.
    pub name: String,
    /// Its clusters, in the order of their decisions.
    pub clusters: Vec<Chosen>,
}

/// Groups the chosen clusters, which stand in the order in which they are to stand in their groups.
/// `in_group` says whether a cluster matches a named group. Without any cluster there is one empty
/// group.
pub(super) fn group(
    rules: &GroupRules,
    chosen: &[Chosen],
    in_group: impl Fn(&FactSelector, &ClusterName) -> bool,
) -> Vec<Group> {
    if chosen.is_empty() {
        return vec![Group::default()];
    }
    let mut buckets: Vec<Vec<Chosen>> = vec![Vec::new(); rules.named.len() + 1];
    for chosen in chosen {
        let bucket = rules
            .named
            .iter()
            .position(|(_, selector)| in_group(selector, &chosen.cluster))
            .unwrap_or(rules.named.len());
        if let Some(bucket) = buckets.get_mut(bucket) {
            bucket.push(chosen.clone());
        }
    }
    let names = rules.named.iter().map(|(name, _)| name.as_str());
    let size = size_of_group(rules.size, chosen.len());
    names
        .chain([""])
        .zip(buckets)
        .flat_map(|(name, bucket)| {
            let groups = bucket.chunks(size).map(|clusters| Group {
                name: name.to_owned(),
                clusters: clusters.to_vec(),
            });
            groups.collect::<Vec<_>>()
        })
        .collect()
}

/// The part of a group that one PlacementDecision holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice<'a, Decision> {
    /// Index of the group, from 0.
    pub group: usize,
    /// Name of the group.
    pub name: &'a str,
    /// Its decisions, at most [`DECISIONS_MAX`].
    pub decisions: &'a [Decision],
}

/// Cuts groups, each a name and its decisions, into the portions of PlacementDecisions. The n-th
/// from 1 is called `<placement>-decision-<n>`; an empty group has one, too.
#[must_use]
pub fn slices<'a, Decision>(
    groups: impl IntoIterator<Item = (&'a str, &'a [Decision])>,
) -> Vec<Slice<'a, Decision>> {
    let mut slices = Vec::new();
    for (group, (name, decisions)) in groups.into_iter().enumerate() {
        let empty = decisions.is_empty().then_some(&[][..]);
        let parts = decisions.chunks(DECISIONS_MAX).chain(empty);
        slices.extend(parts.map(|decisions| Slice {
            group,
            name,
            decisions,
        }));
    }
    slices
}
