//! Roles and bindings: what they let, and who may give them.

use serde_json::{Value, json};
use skein_schema::code::{Code, Refusal};
use skein_schema::command::{Change, Command};
use skein_schema::name::{ObjectName, Workspace};
use skein_schema::object::ObjectKey;
use skein_schema::resource::KindName;

use crate::decide::Decision;
use crate::scenario::*;

const WORK: &str = "work.open-cluster-management.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const OF_SETS: &str = "open-cluster-management:managedclusterset";

fn rule(group: &str, resource: &str, verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": [resource], "verbs": verbs})
}

fn document(kind: &str, namespace: Option<&str>, name: &str, fields: Value) -> Value {
    let mut document = fields;
    document["apiVersion"] = json!(format!("{RBAC}/v1"));
    document["kind"] = json!(kind);
    document["metadata"] = json!({"name": name});
    if let Some(namespace) = namespace {
        document["metadata"]["namespace"] = json!(namespace);
    }
    document
}

fn role(namespace: &str, name: &str, rules: &[Value]) -> Value {
    document("Role", Some(namespace), name, json!({"rules": rules}))
}

fn cluster_role(name: &str, rules: &[Value]) -> Value {
    document("ClusterRole", None, name, json!({"rules": rules}))
}

fn bound(user: &str, kind: &str, role: &str) -> Value {
    json!({
        "subjects": [{"kind": "User", "name": user}],
        "roleRef": {"kind": kind, "name": role},
    })
}

/// `user` gets a ClusterRole in a namespace.
fn inside(namespace: &str, user: &str, role: &str) -> Value {
    let fields = bound(user, "ClusterRole", role);
    document("RoleBinding", Some(namespace), user, fields)
}

/// `user` gets a ClusterRole everywhere.
fn everywhere(user: &str, role: &str) -> Value {
    let fields = bound(user, "ClusterRole", role);
    document("ClusterRoleBinding", None, user, fields)
}

fn key(kind: KindName, namespace: Option<&str>, name: &str) -> ObjectKey {
    ObjectKey {
        kind,
        workspace: namespace.map(|namespace| Workspace::new(namespace).unwrap()),
        name: ObjectName::new(name).unwrap(),
    }
}

fn as_alice(hub: &mut Scenario, command: &Command) -> Result<Decision, Refusal> {
    let id = hub.id();
    hub.run_as("alice", id, command)
}

fn web(cluster: &str) -> Command {
    apply(work_document(cluster, "web", &[config_map("a", "b")]))
}

/// Alice, with a ClusterRole everywhere.
fn alice_with(rules: &[Value]) -> Scenario {
    Scenario::new()
        .with(namespace_document("team"))
        .with(cluster_role("alices", rules))
        .with(everywhere("alice", "alices"))
}

#[test]
fn a_role_in_a_clusters_namespace_lets_one_work_there_only() {
    let mut hub = Scenario::new().with_cluster("c1", 1).with_cluster("c2", 2);
    assert_eq!(code(as_alice(&mut hub, &web("c1"))), Code::Forbidden);
    hub = hub.with(inside("c1", "alice", "edit"));
    assert_eq!(
        as_alice(&mut hub, &web("c1")).unwrap().change,
        Change::Created
    );
    let refusal = as_alice(&mut hub, &web("c2")).unwrap_err();
    assert_eq!(refusal.code, Code::Forbidden);
    assert_eq!(
        refusal.message,
        format!("user:alice may not patch manifestworks.{WORK} \"web\" in namespace \"c2\"")
    );
    assert_eq!(
        refusal.hint.unwrap(),
        "ask an administrator to do it, or for clusterrole edit in namespace \"c2\""
    );
    as_alice(&mut hub, &delete(work_key("c1", "web"))).unwrap();
}

#[test]
fn making_an_object_takes_more_than_changing_it() {
    let mut hub = alice_with(&[rule(WORK, "manifestworks", &["patch"])]).with_cluster("c1", 1);
    let refusal = as_alice(&mut hub, &web("c1")).unwrap_err();
    assert!(refusal.message.contains("may not create"), "{refusal:?}");
    hub.run(&web("c1")).unwrap();
    let more = work_document("c1", "web", &[config_map("a", "c")]);
    as_alice(&mut hub, &apply(more)).unwrap();
}

#[test]
fn a_right_ends_with_its_binding() {
    let mut hub = Scenario::new()
        .with_cluster("c1", 1)
        .with(inside("c1", "alice", "edit"));
    as_alice(&mut hub, &web("c1")).unwrap();
    hub.run(&delete(key(KindName::RoleBinding, Some("c1"), "alice")))
        .unwrap();
    let again = delete(work_key("c1", "web"));
    assert_eq!(code(as_alice(&mut hub, &again)), Code::Forbidden);
}

#[test]
fn the_admin_of_a_set_lets_its_clusters_in_and_works_on_them() {
    let mut c1 = cluster_document("c1");
    c1["metadata"]["labels"] = json!({"cluster.open-cluster-management.io/clusterset": "s1"});
    let mut hub = Scenario::new()
        .with(set_document("s1"))
        .with(c1.clone())
        .with(cluster_document("c2"))
        .with(everywhere("alice", &format!("{OF_SETS}:admin:s1")));
    as_alice(&mut hub, &accept("c1")).unwrap();
    as_alice(&mut hub, &web("c1")).unwrap();
    assert_eq!(code(as_alice(&mut hub, &accept("c2"))), Code::Forbidden);
    // Into another set it takes the right to join that.
    let set = "cluster.open-cluster-management.io/clusterset";
    let elsewhere = patch(
        cluster_key("c1"),
        json!({"metadata": {"labels": {set: "default"}}}),
    );
    let refusal = as_alice(&mut hub, &elsewhere).unwrap_err();
    assert!(
        refusal.message.contains("managedclustersets/join"),
        "{refusal:?}"
    );
    // What the set is, is not hers to say.
    let all = json!({"spec": {"clusterSelector": {"selectorType": "LabelSelector", "labelSelector": {}}}});
    assert_eq!(
        code(as_alice(&mut hub, &patch(set_key("s1"), all))),
        Code::Forbidden
    );
    // When a cluster leaves the set, it leaves her rights.
    hub.run(&elsewhere).unwrap();
    assert_eq!(code(as_alice(&mut hub, &web("c1"))), Code::Forbidden);
}

#[test]
fn nobody_makes_a_role_of_rights_that_they_lack() {
    let roles = rule(RBAC, "roles", &["create", "patch"]);
    let works = rule(WORK, "manifestworks", &["get", "list"]);
    let mut hub = alice_with(&[roles, works.clone()]);
    let own = role("team", "readers", &[works]);
    as_alice(&mut hub, &apply(own.clone())).unwrap();
    let more = [
        rule(WORK, "manifestworks", &["get", "delete", "patch"]),
        rule("", "namespaces", &["get"]),
    ];
    for command in [
        apply(role("team", "writers", &more)),
        apply(role("team", "readers", &more)),
        patch(
            key(KindName::Role, Some("team"), "readers"),
            json!({ "rules": more }),
        ),
    ] {
        let refusal = as_alice(&mut hub, &command).unwrap_err();
        assert_eq!(refusal.code, Code::Forbidden, "{command:?}");
        let lacks: Vec<_> = refusal
            .causes
            .iter()
            .map(|cause| cause.message.as_str())
            .collect();
        assert_eq!(
            lacks,
            [
                &format!("lacks delete,patch manifestworks.{WORK}"),
                "lacks get namespaces",
            ]
        );
        assert_eq!(refusal.causes[0].path, "rules");
        assert!(refusal.hint.unwrap().contains("escalate"));
    }
    hub = hub
        .with(cluster_role(
            "escalators",
            &[rule(RBAC, "roles", &["escalate"])],
        ))
        .with(document(
            "RoleBinding",
            Some("team"),
            "escalators",
            bound("alice", "ClusterRole", "escalators"),
        ));
    as_alice(&mut hub, &apply(role("team", "writers", &more))).unwrap();
}

#[test]
fn nobody_binds_a_role_whose_rights_they_lack() {
    let bindings = rule(RBAC, "rolebindings", &["create", "patch"]);
    let mut hub = alice_with(&[bindings]).with(inside("team", "bob", "view"));
    // Nobody at all yet: a binding to a role that is not there could become anything.
    let nothing = apply(inside("team", "carol", "later"));
    assert_eq!(code(as_alice(&mut hub, &nothing)), Code::NotFound);
    let view = apply(inside("team", "carol", "view"));
    let refusal = as_alice(&mut hub, &view).unwrap_err();
    assert_eq!(refusal.code, Code::Forbidden);
    assert_eq!(
        refusal.message,
        "user:alice may not give rights in namespace \"team\" that they do not have"
    );
    // Nor does she join one that is there.
    let mut join = inside("team", "bob", "view");
    join["subjects"] = json!([{"kind": "User", "name": "alice"}]);
    assert_eq!(code(as_alice(&mut hub, &apply(join))), Code::Forbidden);

    hub = hub.with(document(
        "RoleBinding",
        Some("team"),
        "alice-views",
        bound("alice", "ClusterRole", "view"),
    ));
    as_alice(&mut hub, &view).unwrap();
    hub = hub.with(namespace_document("other"));
    let elsewhere = apply(inside("other", "carol", "view"));
    assert_eq!(code(as_alice(&mut hub, &elsewhere)), Code::Forbidden);

    let mut bind = rule(RBAC, "clusterroles", &["bind"]);
    bind["resourceNames"] = json!(["edit"]);
    hub = hub
        .with(cluster_role("binders", &[bind]))
        .with(everywhere("alice", "alices"))
        .with(document(
            "ClusterRoleBinding",
            None,
            "binders",
            bound("alice", "ClusterRole", "binders"),
        ));
    as_alice(&mut hub, &apply(inside("other", "carol", "edit"))).unwrap();
    let admin = apply(inside("other", "dora", "admin"));
    assert_eq!(code(as_alice(&mut hub, &admin)), Code::Forbidden);
}

#[test]
fn a_sets_role_is_given_with_what_it_comes_with() {
    let mut c1 = cluster_document("c1");
    c1["metadata"]["labels"] = json!({"cluster.open-cluster-management.io/clusterset": "s1"});
    let name = format!("{OF_SETS}:view:s1");
    let bindings = rule(RBAC, "clusterrolebindings", &["create", "patch"]);
    let see = |resource| {
        let group = "cluster.open-cluster-management.io";
        rule(group, resource, &["get", "list", "watch"])
    };
    let own = [bindings, see("managedclusters"), see("managedclustersets")];
    let mut hub = alice_with(&own).with(set_document("s1")).with(c1);
    let give = apply(everywhere("carol", &name));
    let refusal = as_alice(&mut hub, &give).unwrap_err();
    assert!(
        refusal.message.contains("in namespace \"c1\""),
        "{refusal:?}"
    );
    hub.run(&accept("c1")).unwrap();
    hub = hub.with(inside("c1", "alice", "view"));
    as_alice(&mut hub, &give).unwrap();
}

#[test]
fn gathering_roles_takes_every_right() {
    let roles = rule(RBAC, "clusterroles", &["create", "patch"]);
    let selector = json!([{"matchLabels": {"a": "b"}}]);
    let gather = document(
        "ClusterRole",
        None,
        "all",
        json!({"aggregationRule": {"clusterRoleSelectors": selector}}),
    );
    let mut hub = alice_with(&[roles]);
    let refusal = as_alice(&mut hub, &apply(gather.clone())).unwrap_err();
    assert_eq!(refusal.code, Code::Forbidden);
    assert_eq!(refusal.causes[0].path, "aggregationRule");
    hub.run(&apply(gather)).unwrap();
    // Nor may she make the role hers by taking the aggregation rule away.
    let plain = patch(
        key(KindName::ClusterRole, None, "all"),
        json!({"aggregationRule": null}),
    );
    assert_eq!(code(as_alice(&mut hub, &plain)), Code::Forbidden);
    // A label that has a role gathered is a grant as well.
    let powerful = cluster_role("powerful", &[rule("*", "*", &["*"])]);
    hub = hub.with(powerful);
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    let label = patch(key(KindName::ClusterRole, None, "powerful"), label);
    assert_eq!(code(as_alice(&mut hub, &label)), Code::Forbidden);
}

#[test]
fn whoever_has_every_right_may_give_every_right() {
    let mut hub = Scenario::new().with(everywhere("alice", "cluster-admin"));
    let everything = cluster_role("all", &[rule("*", "*", &["*"])]);
    as_alice(&mut hub, &apply(everything)).unwrap();
    as_alice(&mut hub, &apply(everywhere("bob", "cluster-admin"))).unwrap();
    let id = hub.id();
    hub.run_as("bob", id, &apply(set_document("s1"))).unwrap();
}

#[test]
fn nobody_can_lock_the_administrator_out() {
    let mut hub = Scenario::new()
        .with(everywhere("alice", "cluster-admin"))
        .with(cluster_role("none", &[]))
        .with(everywhere("admin", "none"));
    let own = delete(key(KindName::ClusterRoleBinding, None, "admin"));
    as_alice(&mut hub, &own).unwrap();
    hub.run(&apply(set_document("s1"))).unwrap();
}

#[test]
fn a_ready_made_role_is_bound_and_never_stored() {
    let mut hub = Scenario::new();
    for name in ["view", "cluster-admin", &format!("{OF_SETS}:view:s1")] {
        let refusal = hub.run(&apply(cluster_role(name, &[]))).unwrap_err();
        assert_eq!(refusal.code, Code::Protected, "{name}");
    }
    let other = format!("{OF_SETS}:owner:s1");
    hub.run(&apply(cluster_role(&other, &[]))).unwrap();
    // A Role is in a namespace and never meant by mistake.
    hub.run(&apply(role("default", "view", &[]))).unwrap();
    let early = hub
        .run(&apply(everywhere("bob", &format!("{OF_SETS}:view:s1"))))
        .unwrap();
    assert_eq!(
        early.warnings,
        [format!(
            "roleRef: ClusterRole \"{OF_SETS}:view:s1\" does not exist; the binding gives nothing \
             until it does"
        )]
    );
    hub = hub.with(set_document("s1"));
    assert!(
        hub.run(&apply(everywhere("carol", &format!("{OF_SETS}:view:s1"))))
            .unwrap()
            .warnings
            .is_empty()
    );
}

#[test]
fn a_binding_keeps_its_role_and_tells_a_slip() {
    let mut hub = Scenario::new().with(inside("default", "alice", "view"));
    let refusal = hub
        .run(&apply(inside("default", "alice", "edit")))
        .unwrap_err();
    assert_eq!(refusal.code, Code::InvalidField);
    assert_eq!(refusal.causes[0].path, "roleRef");
    assert_eq!(
        refusal.causes[0].hint.as_deref(),
        Some("delete the binding and make it anew")
    );
    let slip = role("default", "slip", &[rule(WORK, "manifestwork", &["get"])]);
    let decision = hub.run(&apply(slip.clone())).unwrap();
    assert_eq!(decision.warnings.len(), 1, "{:?}", decision.warnings);
    // Applied again, it is as it was, and told again.
    let again = hub.run(&apply(slip)).unwrap();
    assert_eq!((again.change, again.warnings.len()), (Change::Unchanged, 1));
}

#[test]
fn rules_and_subjects_are_replaced_as_a_whole() {
    let mut hub = Scenario::new().with(inside("default", "alice", "view"));
    let binding = key(KindName::RoleBinding, Some("default"), "alice");
    let subjects = json!([{"kind": "User", "name": "bob"}]);
    let decision = hub
        .run(&patch(binding.clone(), json!({"subjects": subjects})))
        .unwrap();
    assert_eq!(decision.change, Change::Configured);
    assert_eq!(hub.view(&binding)["subjects"], subjects);
    assert_eq!(hub.view(&binding)["roleRef"]["apiGroup"], RBAC);
    for field in ["spec", "rules", "status", "apiVersion"] {
        let refusal = hub
            .run(&patch(binding.clone(), json!({ field: {} })))
            .unwrap_err();
        assert_eq!(refusal.code, Code::InvalidField, "{field}");
        assert_eq!(
            refusal.causes[0].message,
            "a patch may touch labels, annotations, subjects and roleRef"
        );
    }
    assert_eq!(
        code(hub.run(&patch(binding, json!({"roleRef": null})))),
        Code::InvalidField
    );
}

#[test]
fn rights_in_a_namespace_go_with_it() {
    let mut hub = Scenario::new()
        .with(namespace_document("team"))
        .with_cluster("c1", 1);
    for place in ["team", "c1"] {
        hub = hub
            .with(inside(place, "alice", "admin"))
            .with(role(place, "readers", &[]));
    }
    hub.run(&delete(namespace_key("team"))).unwrap();
    hub.run(&delete(cluster_key("c1"))).unwrap();
    assert_eq!(hub.world.count(KindName::Role), 0);
    assert_eq!(hub.world.count(KindName::RoleBinding), 0);
    hub = hub.with(namespace_document("team"));
    let again = apply(role("team", "readers", &[]));
    assert_eq!(code(as_alice(&mut hub, &again)), Code::Forbidden);
}

#[test]
fn a_command_id_that_was_used_shows_nothing_that_one_may_not_see() {
    let mut hub = Scenario::new()
        .with_cluster("c1", 1)
        .with_cluster("c2", 2)
        .with(inside("c1", "alice", "edit"));
    hub.run(&web("c2")).unwrap();
    let id = hub.id();
    hub.run_as("alice", id, &web("c1")).unwrap();
    for stolen in [delete(work_key("c2", "web")), delete(cluster_key("c2"))] {
        let answer = hub.run_as("alice", id, &stolen).unwrap();
        assert_eq!(answer.object, None, "{stolen:?}");
        assert!(answer.is_empty());
    }
    let again = hub.run_as("alice", id, &web("c1")).unwrap();
    assert!(again.object.is_some());
}
