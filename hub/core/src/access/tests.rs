#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::{Value, json};
use skein_schema::code::Code;
use skein_schema::query::{EventFilter, Selection};

use super::cover::{covers, describe};
use super::*;
use crate::scenario::*;

fn rules(rules: Value) -> Vec<PolicyRule> {
    serde_json::from_value(rules).unwrap()
}

fn on(group: &str, resource: &str, verbs: &[&str], names: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": [resource], "verbs": verbs, "resourceNames": names})
}

/// What `owned` lacks of `wanted`, in words.
fn lacks(owned: Value, wanted: Value) -> Vec<String> {
    let missing = covers(&rules(owned), &rules(wanted))
        .err()
        .unwrap_or_default();
    missing.iter().map(describe).collect()
}

#[test]
fn rules_add_up_to_others_but_names_never_to_all_names() {
    let none: [&str; 0] = [];
    let get_a = on("g", "r", &["get"], &["a"]);
    let get_b = on("g", "r", &["get"], &["b"]);
    let get_ab = on("g", "r", &["get"], &["a", "b"]);
    let get_all = on("g", "r", &["get"], &[]);
    assert_eq!(lacks(json!([get_a, get_b]), json!([get_ab])), none);
    assert_eq!(lacks(json!([get_all]), json!([get_ab])), none);
    assert_eq!(lacks(json!([get_a]), json!([get_ab])), ["get r.g \"b\""]);
    assert_eq!(lacks(json!([get_ab]), json!([get_all])), ["get r.g"]);
    assert_eq!(
        lacks(
            json!([get_all]),
            json!([on("g", "r", &["get", "list", "watch"], &[])])
        ),
        ["list,watch r.g"]
    );
    assert_eq!(lacks(json!([]), json!([on("", "r", &["*"], &[])])), ["* r"]);
    assert_eq!(
        lacks(
            json!([on("*", "*", &["*"], &[])]),
            json!([on("g", "r/s", &["x"], &["a"])])
        ),
        none
    );
    assert_eq!(
        lacks(
            json!([on("g", "*/s", &["x"], &[])]),
            json!([on("g", "r/s", &["x"], &[])])
        ),
        none
    );
    assert_eq!(
        lacks(
            json!([on("g", "r", &["x"], &[])]),
            json!([on("g", "r/s", &["x"], &[])])
        ),
        ["x r/s.g"]
    );
    assert_eq!(
        lacks(
            json!([on("g", "r", &["get"], &[])]),
            json!([on("g", "*", &["get"], &[])])
        ),
        ["get *.g"]
    );
}

#[test]
fn a_url_with_a_star_is_every_longer_one() {
    let url = |url: &str| json!([{"nonResourceURLs": [url], "verbs": ["get"]}]);
    let none: [&str; 0] = [];
    assert_eq!(lacks(url("/a/*"), url("/a/b")), none);
    assert_eq!(lacks(url("*"), url("/a")), none);
    assert_eq!(lacks(url("/a/b"), url("/a/*")), ["get /a/*"]);
    assert_eq!(lacks(url("/a"), url("/b")), ["get /b"]);
}

#[test]
fn neither_agents_nor_tokens_have_permissions_whatever_they_are_called() {
    let hub = Scenario::new();
    let review = on_accept("c1");
    let may = |actor: &str| authorize(&hub.world, &actor.parse().unwrap(), &review);
    assert_eq!(may("user:admin"), Ok(()));
    assert_eq!(may("hub:hub-0"), Ok(()));
    for actor in [
        "user:alice",
        "cluster:c1",
        "cluster:admin",
        "token:admin",
        "user:administrator",
    ] {
        let refusal = may(actor).unwrap_err();
        assert_eq!(refusal.code, Code::Forbidden, "{actor}");
        assert_eq!(
            refusal.message,
            format!(
                "{actor} may not update managedclusters/accept.register.open-cluster-management.io \"c1\""
            )
        );
    }
}

#[test]
fn a_refusal_names_a_role_that_would_do_and_nothing_that_it_had_to_look_up() {
    let hub = Scenario::new();
    let alice = "user:alice".parse().unwrap();
    let hint = |review: &Review| {
        let refusal = authorize(&hub.world, &alice, review).unwrap_err();
        let hint = refusal.hint.unwrap();
        hint.strip_prefix("ask an administrator to do it")
            .unwrap()
            .to_owned()
    };
    let of_set = "open-cluster-management:managedclusterset";
    for (review, role) in [
        (
            on_object("get", &work_key("c1", "web")),
            ", or for clusterrole view in namespace \"c1\"",
        ),
        (
            on_object("patch", &work_key("c1", "web")),
            ", or for clusterrole edit in namespace \"c1\"",
        ),
        (
            on_object("get", &namespace_key("team")),
            ", or for clusterrole view in namespace \"team\"",
        ),
        (
            on_accept("c1"),
            &format!(", or for clusterrole {of_set}:admin:<set> of the cluster's set"),
        ),
        (
            on_object("get", &cluster_key("none")),
            &format!(", or for clusterrole {of_set}:view:<set> of the cluster's set"),
        ),
        (
            on_join(&ObjectName::new("none").unwrap()),
            &format!(", or for clusterrole {of_set}:admin:none"),
        ),
        (on_kind("list", KindName::ManagedCluster, None, None), ""),
        (on_object("delete", &namespace_key("team")), ""),
    ] {
        assert_eq!(hint(&review), role, "{review:?}");
    }
}

fn selection(kind: KindName, workspace: Option<&str>) -> Query {
    Query::Get(Selection {
        kind,
        workspace: workspace.map(|name| Workspace::new(name).unwrap()),
        name: None,
        label_selector: None,
        at: None,
    })
}

fn viewer_of(set: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "viewers"},
        "subjects": [{"kind": "User", "name": "alice"}],
        "roleRef": {
            "kind": "ClusterRole",
            "name": format!("open-cluster-management:managedclusterset:view:{set}"),
        },
    })
}

#[test]
fn a_list_shows_what_one_may_see_and_is_refused_only_if_that_is_nothing() {
    let mut c2 = cluster_document("c2");
    c2["metadata"]["labels"] = json!({"cluster.open-cluster-management.io/clusterset": "s2"});
    let hub = Scenario::new()
        .with_cluster("c1", 1)
        .with_cluster("c2", 2)
        .with(set_document("s2"))
        .with(c2)
        .with(viewer_of("s2"));
    let alice: Actor = "user:alice".parse().unwrap();
    let see = |query: &Query| sight(&hub.world, &alice, query);

    let clusters = see(&selection(KindName::ManagedCluster, None)).unwrap();
    assert!(!clusters.is_everything());
    assert!(clusters.sees(&cluster_key("c2")));
    assert!(!clusters.sees(&cluster_key("c1")));
    let works = see(&selection(KindName::ManifestWork, None)).unwrap();
    assert!(works.sees(&work_key("c2", "web")));
    assert!(!works.sees(&work_key("c1", "web")));
    assert!(
        see(&selection(KindName::ManifestWork, Some("c2")))
            .unwrap()
            .is_everything()
    );
    for refused in [
        selection(KindName::ManifestWork, Some("c1")),
        selection(KindName::Role, None),
        Query::Tokens,
        Query::Health,
        Query::Events(EventFilter::default()),
    ] {
        assert_eq!(code(see(&refused)), Code::Forbidden, "{refused:?}");
    }
    let events = see(&Query::Events(EventFilter {
        kind: Some(KindName::ManagedCluster),
        ..EventFilter::default()
    }));
    let events = events.unwrap();
    assert!(events.sees_event(Some(&cluster_key("c2"))));
    assert!(!events.sees_event(Some(&cluster_key("c1"))));
    assert!(!events.sees_event(None));

    let admin: Actor = "user:admin".parse().unwrap();
    assert!(
        sight(&hub.world, &admin, &Query::Tokens)
            .unwrap()
            .is_everything()
    );
    let eve: Actor = "user:eve".parse().unwrap();
    let query = selection(KindName::ManagedCluster, None);
    assert_eq!(code(sight(&hub.world, &eve, &query)), Code::Forbidden);
}
