//! What the hub does of its own accord.

use super::{Trigger, after};
use crate::scenario::*;

#[test]
fn a_new_ledger_gets_what_must_always_be_there_once() {
    let hub = Scenario::new();
    assert_eq!(hub.events_after(0), ["resource.applied.v1"; 3]);
    for key in [
        set_key("default"),
        set_key("global"),
        namespace_key("default"),
    ] {
        assert!(hub.world.get(&key).is_some(), "{key}");
    }
    let again = after(&hub.world, &hub.observed, &Trigger::Started, hub.now);
    assert_eq!(again, Vec::new());
}

#[test]
fn a_hub_that_starts_ends_the_deletions_that_are_due() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    for work in ["web", "api"] {
        hub.run(&apply(work_document("c1", work, &[config_map("a", work)])))
            .unwrap();
    }
    hub.run(&delete(cluster_key("c1"))).unwrap();
    let unattended = hub.clone();
    hub.report_removed("c1", "web");
    hub.report_removed("c1", "api");
    assert!(hub.world.get(&cluster_key("c1")).is_none());

    // The reports came while nobody led.
    let mut late = unattended;
    late.observed = hub.observed.clone();
    assert!(late.world.get(&cluster_key("c1")).is_some());
    late.react(&Trigger::Started);
    assert!(late.world.get(&work_key("c1", "web")).is_none());
    assert!(late.world.get(&cluster_key("c1")).is_none());
    assert_eq!(
        late.events_after(0),
        hub.events_after(0),
        "nothing is recorded twice"
    );
}

#[test]
fn a_work_that_is_wanted_is_not_ended_by_a_report() {
    let mut hub = Scenario::new().with_cluster("c1", 1);
    hub.run(&apply(work_document("c1", "web", &[config_map("a", "")])))
        .unwrap();
    hub.report_removed("c1", "web");
    assert!(hub.world.get(&work_key("c1", "web")).is_some());
}
