//! The past in one line each.

use serde_json::json;
use skein_schema::query::{At, EventFilter};
use skein_schema::resource::KindName;

use super::{diff, select};
use crate::scenario::*;

fn summaries(hub: &Scenario, filter: &EventFilter) -> Vec<String> {
    let views = hub.stored.iter().flat_map(|stored| select(filter, stored));
    views
        .map(|view| {
            format!(
                "{} {} {}: {}",
                view.id, view.actor, view.object, view.summary
            )
        })
        .collect()
}

fn story() -> Scenario {
    let mut hub = Scenario::new().with_cluster("c1", 1).with(work_document(
        "c1",
        "web",
        &[config_map("a", "1")],
    ));
    hub.pass(60);
    let eve = hub.id();
    hub.run_as("eve", eve, &accept("c1")).unwrap_err();
    hub.run(&delete(work_key("c1", "web"))).unwrap();
    hub
}

#[test]
fn events_tell_what_happened_and_who_did_it() {
    let about_c1 = EventFilter {
        name: Some("c1".parse().unwrap()),
        ..EventFilter::default()
    };
    assert_eq!(
        summaries(&story(), &about_c1),
        [
            "5.0 token:auto managedclusters/c1: asked to join with token auto into set default, agent 0.1.0",
            "5.1 token:auto managedclusters/c1: applied by klusterlet: generation 1",
            "5.2 token:auto managedclusters/c1: accepted, as its token says",
            "5.3 token:auto namespaces/c1: applied by skein-hub: generation 1",
            "5.4 token:auto managedclusters/c1: credential issued until 2026-11-24T12:00:00Z",
            "7.0 user:eve managedclusters/c1: accept refused: SK3001 user:eve may not update managedclusters/accept.register.open-cluster-management.io \"c1\"",
        ]
    );
}

#[test]
fn filters_narrow() {
    let hub = story();
    let count = |change: &dyn Fn(&mut EventFilter)| {
        let mut filter = EventFilter::default();
        change(&mut filter);
        summaries(&hub, &filter).len()
    };
    let all = hub
        .stored
        .iter()
        .map(|stored| stored.record.events.len())
        .sum::<usize>();
    assert_eq!(count(&|_| {}), all);
    assert_eq!(
        count(&|filter| filter.kind = Some(KindName::ManifestWork)),
        2
    );
    assert_eq!(
        count(&|filter| filter.workspace = Some("c1".parse().unwrap())),
        2
    );
    assert_eq!(
        count(&|filter| filter.actor = Some("user:eve".parse().unwrap())),
        1
    );
    assert_eq!(
        count(&|filter| filter.type_contains = Some("accepted".into())),
        1
    );
    assert_eq!(count(&|filter| filter.since = Some(At::Sequence(8))), 1);
    assert_eq!(
        count(&|filter| filter.since = Some(At::Time("2026-11-23T12:01:00Z".parse().unwrap()))),
        2
    );
    assert_eq!(count(&|filter| filter.until = Some(At::Sequence(3))), 3);
}

#[test]
fn data_comes_when_asked_for() {
    let hub = story();
    let stored = hub.stored.last().unwrap();
    assert_eq!(select(&EventFilter::default(), stored)[0].data, None);
    let with_data = EventFilter {
        data: true,
        ..EventFilter::default()
    };
    let data = select(&with_data, stored)[0].data.clone().unwrap();
    assert_eq!(
        data["key"],
        json!({"kind": "ManifestWork", "workspace": "c1", "name": "web"})
    );
}

#[test]
fn two_points_in_time_differ_in_what_was_touched_between() {
    let hub = story();
    let before = fold(&hub.stored[..5]);
    let found = diff(&before, &hub.world, None, None);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].key, work_key("c1", "web"));
    assert!(found[0].before.is_none() && found[0].after.is_some());
    assert_eq!(diff(&hub.world, &hub.world, None, None), Vec::new());
    assert!(diff(&before, &hub.world, Some(KindName::ManagedCluster), None).is_empty());
    let back = diff(&hub.world, &before, None, None);
    assert!(back[0].before.is_some() && back[0].after.is_none());
}
