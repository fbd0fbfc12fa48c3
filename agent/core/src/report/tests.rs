use super::*;
use crate::outcome::ManifestResult;
use serde_json::json;
use skein_schema::kind::manifest_work::{ManifestResourceMeta, ManifestWorkSpec};
use skein_schema::name::ObjectName;
use uuid::Uuid;

fn work() -> DesiredWork {
    let spec: ManifestWorkSpec = serde_json::from_value(json!({
        "workload": {"manifests": [{"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop"}}]},
        "manifestConfigs": [{
            "resourceIdentifier": {"group": "apps", "resource": "deployments", "name": "web", "namespace": "shop"},
            "feedbackRules": [{"type": "WellKnownStatus"}],
        }],
    }))
    .unwrap();
    DesiredWork {
        name: ObjectName::new("web").unwrap(),
        uid: Uuid::nil(),
        generation: 3,
        resource_version: 7,
        spec,
        deletion_timestamp: None,
    }
}

#[test]
fn only_what_is_new_is_told() {
    let work = work();
    let resource = ManifestResourceMeta {
        ordinal: 0,
        group: "apps".into(),
        version: "v1".into(),
        kind: "Deployment".into(),
        resource: "deployments".into(),
        name: "web".into(),
        namespace: "shop".into(),
    };
    let outcomes = [ManifestOutcome {
        resource,
        result: ManifestResult::Applied {
            uid: "u".into(),
            owned: true,
        },
    }];
    let object = |ready: i64| json!({"apiVersion": "apps/v1", "kind": "Deployment", "status": {"readyReplicas": ready}});
    let tell = |ready: i64, second: i64, told: Option<&WorkReport>| {
        let object = object(ready);
        let seen = BTreeMap::from([(0, Observation::Present(object.as_object().unwrap()))]);
        let facts = Reporting {
            work: &work,
            outcomes: &outcomes,
            seen: &seen,
            previous: told.map(|report| &report.status),
            options: ObserveOptions::default(),
            now: Timestamp::from_second(second).unwrap(),
        };
        report(&work, status(&facts), told)
    };
    let first = tell(1, 1, None).expect("there is something to tell");
    assert_eq!(first.generation, 3);
    let values = &first.status.resource_status.manifests[0]
        .status_feedback
        .values;
    assert_eq!(
        json!(values),
        json!([{"name": "ReadyReplicas", "fieldValue": {"type": "Integer", "integer": 1}}])
    );
    assert_eq!(
        tell(1, 2, Some(&first)),
        None,
        "nothing has changed but the time"
    );
    assert!(tell(2, 3, Some(&first)).is_some());
}
