//! In which order the manifests of a work are applied.
//!
//! OCM sorts by kind alone, whatever the API group, keeps the written order within a rank and waits
//! for nothing. Skein keeps that order and waits between ranks where what follows needs what came
//! before: see [`crate::converge`].

/// Rank of a kind that no rule knows: custom resources, and everything new.
pub const UNKNOWN_KIND: u16 = 1000;
/// Rank of a manifest that has no kind: it cannot be applied, and is reported last.
pub const UNDECODABLE: u16 = 1001;

/// The rank of a kind; lower ranks are applied first. The empty kind is a manifest without one.
#[must_use]
pub fn rank(kind: &str) -> u16 {
    match kind {
        "PriorityClass"
        | "Namespace"
        | "CustomResourceDefinition"
        | "StorageClass"
        | "PersistentVolume"
        | "PodSecurityPolicy" => 0,
        "ClusterRole" | "ClusterRoleBinding" | "Role" | "RoleBinding" => 1,
        "NetworkPolicy"
        | "ResourceQuota"
        | "LimitRange"
        | "PodDisruptionBudget"
        | "ServiceAccount" => 2,
        "Secret" | "ConfigMap" | "PersistentVolumeClaim" => 3,
        "Service" => 4,
        "DaemonSet"
        | "Pod"
        | "ReplicationController"
        | "ReplicaSet"
        | "Deployment"
        | "HorizontalPodAutoscaler"
        | "StatefulSet"
        | "Job"
        | "CronJob" => 5,
        "APIService"
        | "MutatingWebhookConfiguration"
        | "ValidatingWebhookConfiguration"
        | "ValidatingAdmissionPolicy"
        | "ValidatingAdmissionPolicyBinding" => 6,
        "" => UNDECODABLE,
        _ => UNKNOWN_KIND,
    }
}

/// Indexes into `kinds` in the order of application: by rank, then as written.
#[must_use]
pub fn apply_order(kinds: &[&str]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..kinds.len()).collect();
    order.sort_by_key(|index| rank(kinds[*index]));
    order
}

/// The same order, cut into waves of one rank each.
#[must_use]
pub fn waves(kinds: &[&str]) -> Vec<Vec<usize>> {
    let mut waves: Vec<(u16, Vec<usize>)> = Vec::new();
    for index in apply_order(kinds) {
        let rank = rank(kinds[index]);
        match waves.last_mut() {
            Some((last, wave)) if *last == rank => wave.push(index),
            _ => waves.push((rank, vec![index])),
        }
    }
    waves.into_iter().map(|(_, wave)| wave).collect()
}

/// True if later waves need this kind to be ready, not only written: its objects open a new
/// namespace or a new API.
#[must_use]
pub fn gates_later_waves(group: &str, kind: &str) -> bool {
    matches!(
        (group, kind),
        ("", "Namespace")
            | ("apiextensions.k8s.io", "CustomResourceDefinition")
            | ("apiregistration.k8s.io", "APIService")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_holds_one_rank_in_the_written_order() {
        let kinds = ["Widget", "Deployment", "Namespace", "", "Job", "Namespace"];
        assert_eq!(
            waves(&kinds),
            vec![vec![2, 5], vec![1, 4], vec![0], vec![3]]
        );
    }

    #[test]
    fn only_the_real_apis_are_waited_for() {
        assert!(gates_later_waves("", "Namespace"));
        assert!(!gates_later_waves("evil.example.com", "Namespace"));
    }
}
