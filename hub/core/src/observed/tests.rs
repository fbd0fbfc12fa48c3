//! Late, repeated and foreign reports.

use jiff::{SignedDuration, Timestamp};
use skein_schema::kind::manifest_work::ManifestWorkStatus;
use skein_schema::name::{ClusterName, ObjectName};
use skein_schema::status::{ClusterReport, StatusMessage, StatusUpdate, WorkReport};
use uuid::Uuid;

use super::{Observed, ObservedChange};

fn c1() -> ClusterName {
    ClusterName::new("c1").unwrap()
}

fn web() -> ObjectName {
    ObjectName::new("web").unwrap()
}

fn message(session: u128, number: u64, updates: Vec<StatusUpdate>) -> StatusMessage {
    StatusMessage {
        session: Uuid::from_u128(session),
        number,
        rev: number,
        time: Timestamp::UNIX_EPOCH,
        traceparent: None,
        updates,
    }
}

fn cluster(version: &str) -> Vec<StatusUpdate> {
    vec![StatusUpdate::Cluster(Box::new(ClusterReport {
        agent_version: version.into(),
        ..ClusterReport::default()
    }))]
}

fn work(uid: u128, generation: i64) -> Vec<StatusUpdate> {
    let uid = Uuid::from_u128(uid);
    let status = ManifestWorkStatus::default();
    vec![StatusUpdate::Work(Box::new(WorkReport {
        name: web(),
        uid,
        generation,
        status,
    }))]
}

fn removed(uid: u128) -> Vec<StatusUpdate> {
    vec![StatusUpdate::WorkRemoved {
        name: web(),
        uid: Uuid::from_u128(uid),
    }]
}

#[test]
fn what_was_said_already_changes_nothing() {
    let mut observed = Observed::default();
    let first = message(1, 1, cluster("a"));
    assert_eq!(
        observed.evolve(&c1(), &first, 1, Timestamp::UNIX_EPOCH),
        [ObservedChange::Cluster]
    );
    let before = observed.clone();
    assert!(
        observed
            .evolve(&c1(), &first, 1, Timestamp::UNIX_EPOCH)
            .is_empty(),
        "read twice"
    );
    assert!(
        observed
            .evolve(&c1(), &first, 2, Timestamp::UNIX_EPOCH)
            .is_empty(),
        "sent twice"
    );
    assert_eq!(observed, before);
    assert!(
        observed
            .evolve(
                &c1(),
                &message(1, 2, cluster("a")),
                3,
                Timestamp::UNIX_EPOCH
            )
            .is_empty(),
        "no news"
    );
}

#[test]
fn a_run_that_is_over_has_nothing_to_say() {
    let mut observed = Observed::default();
    observed.evolve(
        &c1(),
        &message(1, 9, cluster("old")),
        1,
        Timestamp::UNIX_EPOCH,
    );
    observed.evolve(
        &c1(),
        &message(2, 1, cluster("new")),
        2,
        Timestamp::UNIX_EPOCH,
    );
    assert!(
        observed
            .evolve(
                &c1(),
                &message(1, 10, cluster("late")),
                3,
                Timestamp::UNIX_EPOCH
            )
            .is_empty()
    );
    let report = observed.cluster(&c1()).unwrap().report().unwrap();
    assert_eq!(report.agent_version, "new");
}

#[test]
fn an_older_generation_and_a_removed_work_do_not_come_back() {
    let mut observed = Observed::default();
    let mut tell = |number, updates| {
        observed.evolve(
            &c1(),
            &message(1, number, updates),
            number,
            Timestamp::UNIX_EPOCH,
        )
    };
    assert_eq!(tell(1, work(7, 2)).len(), 1);
    assert!(tell(2, work(7, 1)).is_empty());
    assert_eq!(tell(3, removed(7)).len(), 1);
    assert!(tell(4, work(7, 3)).is_empty());
    assert_eq!(tell(5, work(8, 1)).len(), 1, "a namesake is another work");
    assert_eq!(
        tell(6, removed(7)).len(),
        1,
        "said again, decided again: harmless"
    );
    assert!(observed.work(&c1(), &web(), Uuid::from_u128(8)).is_some());
    assert!(observed.work(&c1(), &web(), Uuid::from_u128(7)).is_none());
}

#[test]
fn removals_are_forgotten_in_the_end() {
    let mut observed = Observed::default();
    observed.evolve(&c1(), &message(1, 1, removed(7)), 1, Timestamp::UNIX_EPOCH);
    assert!(observed.has_removed(&c1(), Uuid::from_u128(7)));
    let later = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 8);
    observed.evolve(&c1(), &message(1, 2, cluster("a")), 2, later);
    assert!(!observed.has_removed(&c1(), Uuid::from_u128(7)));
}
