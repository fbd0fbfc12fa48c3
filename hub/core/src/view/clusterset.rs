//! The status of a set and of a binding.

use jiff::Timestamp;
use skein_schema::kind::managed_cluster_set::{
    CONDITION_EMPTY, ManagedClusterSet, ManagedClusterSetStatus,
};
use skein_schema::kind::managed_cluster_set_binding::{
    CONDITION_BOUND, ManagedClusterSetBinding, ManagedClusterSetBindingStatus,
};
use skein_schema::name::ObjectName;
use skein_schema::object::ObjectKey;
use skein_schema::resource::KindName;

use super::{condition, created};
use crate::world::World;

/// Whether a set has clusters, and how many.
pub(super) fn status(world: &World, object: &ManagedClusterSet) -> ManagedClusterSetStatus {
    let name = ObjectName::new(object.metadata.name.as_deref().unwrap_or_default());
    let record = name.ok().and_then(|name| world.clusterset(&name).copied());
    let members = record.map_or(0, |record| record.members);
    let since = record.map_or_else(|| created(&object.metadata), |record| record.since);
    let (status, reason, message) = match members {
        0 => (
            "True",
            "NoClusterMatched",
            "No cluster is in the set.".to_owned(),
        ),
        1 => (
            "False",
            "ClustersSelected",
            "1 cluster is in the set.".to_owned(),
        ),
        members => (
            "False",
            "ClustersSelected",
            format!("{members} clusters are in the set."),
        ),
    };
    ManagedClusterSetStatus {
        conditions: vec![condition(CONDITION_EMPTY, status, reason, message, since)],
    }
}

/// Whether the bound set exists.
pub(super) fn binding_status(
    world: &World,
    object: &ManagedClusterSetBinding,
) -> ManagedClusterSetBindingStatus {
    let bound = created(&object.metadata);
    let set = ObjectName::new(&object.spec.cluster_set).ok();
    let key = set
        .clone()
        .map(|set| ObjectKey::cluster_scoped(KindName::ManagedClusterSet, set));
    let found = key.and_then(|key| world.get(&key));
    let condition = match found {
        Some(found) => {
            let since = bound.max(created(found.metadata()));
            condition(
                CONDITION_BOUND,
                "True",
                "ClusterSetBound",
                "The set exists.".to_owned(),
                since,
            )
        }
        None => {
            let gone = set.and_then(|set| world.membership.gone_since(&set));
            let since = bound.max(gone.unwrap_or(Timestamp::MIN));
            let message = format!("There is no set {:?}.", object.spec.cluster_set);
            condition(
                CONDITION_BOUND,
                "False",
                "ClusterSetNotFound",
                message,
                since,
            )
        }
    };
    ManagedClusterSetBindingStatus {
        conditions: vec![condition],
    }
}
