//! Adding to access rules never takes a right away, and their order does not matter.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serde_json::{Value, json};
use skein_hub_core::access::cover::covers;
use skein_hub_core::access::{Identity, Rules};
use skein_schema::kind::admission::Review;
use skein_schema::name::UserName;
use skein_schema::resource::Resource;

fn words(all: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(all, 1..=2)
}

const VERBS: &[&str] = &["get", "list", "patch", "*"];
const GROUPS: &[&str] = &["", "cluster.open-cluster-management.io", "*"];
const RESOURCES: &[&str] = &[
    "managedclusters",
    "managedclusters/accept",
    "namespaces",
    "*",
    "*/accept",
];
const NAMES: &[&str] = &["a", "b"];
const PLACES: &[&str] = &["a", "b"];

fn rule() -> impl Strategy<Value = Value> {
    let names = proptest::sample::subsequence(NAMES, 0..=2);
    (words(VERBS), words(GROUPS), words(RESOURCES), names).prop_map(
        |(verbs, groups, resources, names)| {
            json!({"verbs": verbs, "apiGroups": groups, "resources": resources, "resourceNames": names})
        },
    )
}

fn rules() -> impl Strategy<Value = Vec<Value>> {
    proptest::collection::vec(rule(), 0..4)
}

fn read(kind: &str, name: &str, namespace: Option<&str>, mut fields: Value) -> Resource {
    fields["apiVersion"] = json!("rbac.authorization.k8s.io/v1");
    fields["kind"] = json!(kind);
    fields["metadata"] = json!({"name": name, "labels": fields["labels"].take()});
    if let Some(namespace) = namespace {
        fields["metadata"]["namespace"] = json!(namespace);
    }
    Resource::from_value(fields).unwrap()
}

/// Any role or binding, of names that meet each other.
fn object() -> impl Strategy<Value = Resource> {
    let label = proptest::option::of(proptest::sample::select(NAMES));
    let choose = |all| proptest::sample::select(all);
    let roles = ["a", "b", "view", "admin", "cluster-admin"].as_slice();
    let subject = prop_oneof![
        Just(json!({"kind": "User", "name": "alice"})),
        Just(json!({"kind": "User", "name": "bob"})),
        Just(json!({"kind": "Group", "name": "system:authenticated"})),
    ];
    let cluster_role =
        (choose(NAMES), rules(), label.clone(), label).prop_map(|(name, rules, label, gathers)| {
            let mut fields = json!({"rules": rules, "labels": {}});
            if let Some(label) = label {
                fields["labels"]["for"] = json!(label);
            }
            if let Some(label) = gathers {
                let selector = json!({"matchLabels": {"for": label}});
                fields["aggregationRule"] = json!({"clusterRoleSelectors": [selector]});
            }
            read("ClusterRole", name, None, fields)
        });
    let role = (choose(NAMES), choose(PLACES), rules())
        .prop_map(|(name, place, rules)| read("Role", name, Some(place), json!({"rules": rules})));
    let binding = (
        choose(NAMES),
        proptest::option::of(choose(PLACES)),
        choose(roles),
        any::<bool>(),
        subject,
    );
    let binding = binding.prop_map(|(name, place, role, cluster_role, subject)| {
        let kind = if cluster_role || place.is_none() {
            "ClusterRole"
        } else {
            "Role"
        };
        let role = json!({"apiGroup": "", "kind": kind, "name": role});
        let fields = json!({"roleRef": role, "subjects": [subject]});
        let of = place.map_or("ClusterRoleBinding", |_| "RoleBinding");
        read(of, name, place, fields)
    });
    prop_oneof![cluster_role, role, binding]
}

fn review() -> impl Strategy<Value = Review> {
    let choose = |all: &'static [&'static str]| proptest::sample::select(all);
    (
        choose(&VERBS[..3]),
        choose(&GROUPS[..2]),
        choose(&["managedclusters", "namespaces"]),
        choose(&["", "accept"]),
        choose(&["", "a", "b"]),
        choose(&["", "a", "b"]),
    )
        .prop_map(
            |(verb, group, resource, subresource, namespace, name)| Review {
                group: group.to_owned(),
                resource: resource.to_owned(),
                subresource: subresource.to_owned(),
                verb: verb.to_owned(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            },
        )
}

fn alice() -> Identity {
    Identity::of(&UserName::new("alice").unwrap())
}

/// Objects of distinct names: of two of one name the world has the later.
fn distinct(objects: Vec<Resource>) -> Vec<Resource> {
    let mut kept: Vec<Resource> = Vec::new();
    for object in objects {
        let same = |other: &Resource| {
            other.kind_name() == object.kind_name()
                && other.namespace() == object.namespace()
                && other.name() == object.name()
        };
        if !kept.iter().any(same) {
            kept.push(object);
        }
    }
    kept
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_binding_more_never_takes_a_right_away(
        objects in proptest::collection::vec(object(), 0..10).prop_map(distinct),
        reviews in proptest::collection::vec(review(), 1..20),
    ) {
        for left_out in 0..objects.len() {
            let removable = matches!(
                objects[left_out],
                Resource::RoleBinding(_) | Resource::ClusterRoleBinding(_)
            );
            if !removable {
                continue;
            }
            let without = objects.iter().enumerate().filter(|(index, _)| *index != left_out);
            let fewer = Rules::new(&without.map(|(_, object)| object).collect());
            let all = Rules::new(&objects.iter().collect());
            for review in &reviews {
                let before = fewer.allows(&alice(), review).is_allowed();
                let after = all.allows(&alice(), review).is_allowed();
                prop_assert!(!before || after, "{review:?}");
            }
        }
    }

    #[test]
    fn the_order_of_objects_does_not_matter(
        (objects, shuffled) in proptest::collection::vec(object(), 0..10)
            .prop_map(distinct)
            .prop_flat_map(|objects| (Just(objects.clone()), Just(objects).prop_shuffle())),
        review in review(),
    ) {
        let rules = Rules::new(&objects.iter().collect());
        prop_assert_eq!(&rules, &Rules::new(&shuffled.iter().collect()));
        let own = Rules::about(&shuffled.iter().collect(), &alice());
        prop_assert_eq!(rules.allows(&alice(), &review), own.allows(&alice(), &review));
        if rules.allows(&alice(), &review).is_allowed() {
            prop_assert!(rules.might_allow(&alice(), &review));
        }
    }

    /// What is covered is allowed: who may give a right has it.
    #[test]
    fn who_has_rules_that_cover_others_may_do_all_that_these_allow(
        owned in rules(),
        wanted in rules(),
        reviews in proptest::collection::vec(review(), 1..20),
    ) {
        let policy = |rules: &[Value]| -> Vec<_> {
            rules.iter().map(|rule| serde_json::from_value(rule.clone()).unwrap()).collect()
        };
        prop_assert_eq!(covers(&policy(&owned), &policy(&owned)), Ok(()));
        let bound = |rules: &[Value]| {
            let role_ref = json!({"apiGroup": "", "kind": "ClusterRole", "name": "a"});
            let subject = json!({"kind": "User", "name": "alice"});
            let objects = [
                read("ClusterRole", "a", None, json!({"rules": rules})),
                read("ClusterRoleBinding", "a", None, json!({"roleRef": role_ref, "subjects": [subject]})),
            ];
            Rules::new(&objects.iter().collect())
        };
        if covers(&policy(&owned), &policy(&wanted)).is_ok() {
            for review in &reviews {
                let wanted = bound(&wanted).allows(&alice(), review).is_allowed();
                let owned = bound(&owned).allows(&alice(), review).is_allowed();
                prop_assert!(!wanted || owned, "{review:?}");
            }
        }
    }
}
