//! How many clusters each set has, kept up as clusters and sets change.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use skein_schema::kind::managed_cluster_set::ManagedClusterSet;
use skein_schema::name::ObjectName;

use crate::clusterset::SetMembership;

/// Labels of a cluster.
pub(crate) type Labels = BTreeMap<String, String>;

/// What is known of a set's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRecord {
    /// How many clusters it has.
    pub members: u32,
    /// Since when it has some, or none.
    pub since: Timestamp,
}

/// All sets, and when sets that are no more were deleted.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Membership {
    sets: BTreeMap<ObjectName, Set>,
    gone: BTreeMap<ObjectName, Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
struct Set {
    /// How it chooses; `None` for a selector that cannot be read, which chooses nothing.
    rule: Option<SetMembership>,
    record: SetRecord,
}

impl Set {
    fn contains(&self, labels: Option<&Labels>) -> bool {
        let rule = self.rule.as_ref();
        labels.is_some_and(|labels| rule.is_some_and(|rule| rule.contains(labels)))
    }

    fn count(&mut self, members: u32, now: Timestamp) -> bool {
        if self.record.members == members {
            return false;
        }
        if (self.record.members == 0) != (members == 0) {
            self.record.since = now;
        }
        self.record.members = members;
        true
    }
}

impl Membership {
    pub(crate) fn set(&self, name: &ObjectName) -> Option<&SetRecord> {
        self.sets.get(name).map(|set| &set.record)
    }

    /// When the set of this name was last deleted.
    pub(crate) fn gone_since(&self, name: &ObjectName) -> Option<Timestamp> {
        self.gone.get(name).copied()
    }

    /// A cluster came, went or changed its labels (`None`: there is no cluster). Returns the sets
    /// whose count changed.
    pub(crate) fn cluster_changed(
        &mut self,
        before: Option<&Labels>,
        after: Option<&Labels>,
        now: Timestamp,
    ) -> Vec<ObjectName> {
        let mut changed = Vec::new();
        if before == after {
            return changed;
        }
        for (name, set) in &mut self.sets {
            let members = match (set.contains(before), set.contains(after)) {
                (false, true) => set.record.members + 1,
                (true, false) => set.record.members.saturating_sub(1),
                _ => continue,
            };
            if set.count(members, now) {
                changed.push(name.clone());
            }
        }
        changed
    }

    /// A set came or changed.
    pub(crate) fn set_changed<'a>(
        &mut self,
        name: &ObjectName,
        set: &ManagedClusterSet,
        clusters: impl Iterator<Item = &'a Labels>,
        now: Timestamp,
    ) {
        let rule = SetMembership::new(set).ok();
        let fresh = SetRecord {
            members: 0,
            since: now,
        };
        let entry = self.sets.entry(name.clone()).or_insert_with(|| Set {
            rule: None,
            record: fresh,
        });
        entry.rule = rule;
        let members = clusters
            .filter(|labels| entry.contains(Some(labels)))
            .count();
        entry.count(u32::try_from(members).unwrap_or(u32::MAX), now);
        self.gone.remove(name);
    }

    /// A set is gone.
    pub(crate) fn set_deleted(&mut self, name: &ObjectName, now: Timestamp) {
        self.sets.remove(name);
        self.gone.insert(name.clone(), now);
    }

    pub(crate) fn to_parts(
        &self,
    ) -> (
        BTreeMap<ObjectName, SetRecord>,
        BTreeMap<ObjectName, Timestamp>,
    ) {
        let sets = self.sets.iter();
        let records = sets.map(|(name, set)| (name.clone(), set.record));
        (records.collect(), self.gone.clone())
    }

    /// Puts the parts together again; `sets` are the objects.
    pub(crate) fn from_parts<'a>(
        mut records: BTreeMap<ObjectName, SetRecord>,
        gone: BTreeMap<ObjectName, Timestamp>,
        sets: impl Iterator<Item = (&'a ObjectName, &'a ManagedClusterSet)>,
    ) -> Self {
        let sets = sets.filter_map(|(name, set)| {
            let record = records.remove(name)?;
            let rule = SetMembership::new(set).ok();
            Some((name.clone(), Set { rule, record }))
        });
        Self {
            sets: sets.collect(),
            gone,
        }
    }
}
