//! Late, repeated and foreign reports.

use jiff::{SignedDuration, Timestamp};
use skein_schema::kind::manifest_work::ManifestWorkStatus;
use skein_schema::name::{ClusterName, ObjectName};
use skein_schema::status::{ClusterReport, StatusMessage, StatusUpdate, WorkReport};
use uuid::Uuid;

use super::{BYTES_MAX, Observed, ObservedChange, REMOVALS_MAX, RefusedUpdate, WORKS_MAX};

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

#[test]
fn a_report_that_cannot_be_read_back_is_not_taken_and_does_no_harm() {
    let status: ManifestWorkStatus = serde_json::from_value(serde_json::json!({"conditions": [{
        "type": "Available", "status": "True", "reason": "R", "message": "",
        "lastTransitionTime": "-000001-01-01T00:00:00Z",
    }]}))
    .expect("the agent's message can be read");
    let report = WorkReport {
        name: web(),
        uid: Uuid::from_u128(7),
        generation: 1,
        status: status.clone(),
    };
    let about_cluster = ClusterReport {
        conditions: status.conditions,
        ..ClusterReport::default()
    };
    let mut updates = vec![
        StatusUpdate::Work(Box::new(report)),
        StatusUpdate::Cluster(Box::new(about_cluster)),
    ];
    updates.extend(cluster("a"));
    let mut observed = Observed::default();
    assert_eq!(
        observed.evolve(&c1(), &message(1, 1, updates), 1, Timestamp::UNIX_EPOCH),
        [ObservedChange::Cluster],
        "the rest of the message is taken"
    );
    let seen = observed.cluster(&c1()).unwrap();
    assert_eq!(seen.report().unwrap().agent_version, "a");
    assert_eq!(
        seen.refused().iter().collect::<Vec<_>>(),
        [(&RefusedUpdate::Unreadable, &2)]
    );
    assert!(observed.work(&c1(), &web(), Uuid::from_u128(7)).is_none());
    read_back(&observed);
}

/// A snapshot holds all of it.
fn read_back(observed: &Observed) {
    let text = serde_json::to_string(observed).unwrap();
    assert_eq!(&serde_json::from_str::<Observed>(&text).unwrap(), observed);
}

/// Reports of works of these numbers, whose status takes so many bytes and some.
fn works(numbers: std::ops::Range<usize>, bytes: usize) -> Vec<StatusUpdate> {
    numbers
        .map(|number| {
            let mut status = ManifestWorkStatus::default();
            status.resource_status.manifests.push(Default::default());
            status.resource_status.manifests[0].resource_meta.name = "x".repeat(bytes);
            StatusUpdate::Work(Box::new(WorkReport {
                name: ObjectName::new(format!("w{number}")).unwrap(),
                uid: Uuid::from_u128(number as u128),
                generation: 1,
                status,
            }))
        })
        .collect()
}

#[test]
fn an_agent_that_invents_works_is_heard_no_further() {
    let mut observed = Observed::default();
    let mut tell = |number, updates| {
        observed.evolve(
            &c1(),
            &message(1, number, updates),
            number,
            Timestamp::UNIX_EPOCH,
        )
    };
    assert_eq!(tell(1, works(0..WORKS_MAX, 0)).len(), WORKS_MAX);
    assert!(tell(2, works(WORKS_MAX..WORKS_MAX + 5, 0)).is_empty());
    assert_eq!(tell(3, works(0..1, 9)).len(), 1, "of known works it may");
    let gone = StatusUpdate::WorkRemoved {
        name: ObjectName::new("w1").unwrap(),
        uid: Uuid::from_u128(1),
    };
    assert_eq!(tell(4, vec![gone]).len(), 1);
    assert_eq!(tell(5, works(WORKS_MAX..WORKS_MAX + 1, 0)).len(), 1);
    let seen = observed.cluster(&c1()).unwrap();
    assert_eq!(seen.refused().get(&RefusedUpdate::TooManyWorks), Some(&5));
    read_back(&observed);
}

#[test]
fn what_is_kept_of_a_cluster_is_bounded_in_bytes() {
    let mut observed = Observed::default();
    let part = 4 * 1024 * 1024;
    let fit = BYTES_MAX / part - 1;
    let mut tell = |number, updates| {
        let message = message(1, number, updates);
        observed
            .evolve(&c1(), &message, number, Timestamp::UNIX_EPOCH)
            .len()
    };
    assert_eq!(tell(1, works(0..fit + 5, part)), fit);
    assert_eq!(tell(2, works(0..fit, 0)), fit, "smaller ones make room");
    assert_eq!(tell(3, works(fit..fit + 1, part)), 1);
    let seen = observed.cluster(&c1()).unwrap();
    assert_eq!(seen.refused().get(&RefusedUpdate::TooLarge), Some(&5));
    let kept: usize = seen.works.values().map(|work| work.status.len()).sum();
    assert_eq!(seen.bytes, kept);
}

#[test]
fn the_oldest_removals_are_forgotten_when_there_are_too_many() {
    let mut observed = Observed::default();
    let uids = |range: std::ops::Range<usize>| {
        let gone = |number| StatusUpdate::WorkRemoved {
            name: web(),
            uid: Uuid::from_u128(number as u128),
        };
        range.map(gone).collect::<Vec<_>>()
    };
    let later = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1);
    let first = message(1, 1, uids(0..REMOVALS_MAX));
    observed.evolve(&c1(), &first, 1, Timestamp::UNIX_EPOCH);
    let more = message(1, 2, uids(REMOVALS_MAX..REMOVALS_MAX + 10));
    assert_eq!(observed.evolve(&c1(), &more, 2, later).len(), 10);
    let seen = observed.cluster(&c1()).unwrap();
    assert_eq!(seen.removed.len(), REMOVALS_MAX * 3 / 4 + 10);
    let last = Uuid::from_u128(REMOVALS_MAX as u128 + 9);
    assert!(observed.has_removed(&c1(), last));
    assert!(!observed.has_removed(&c1(), Uuid::from_u128(0)));
}
