//! Desired messages: signed, numbered, replayed, summed up.

use serde_json::json;
use skein_schema::code::Code;
use skein_schema::command::{Command, CommandResult, Precondition};
use skein_schema::desired::DesiredChange;
use skein_schema::name::ObjectName;
use skein_schema::object::ObjectKey;
use skein_schema::resource::KindName;
use skein_schema::status::StatusUpdate;
use skein_schema::sync::{SyncEnd, SyncRequest};

use crate::agent::{Agent, snapshot_works};
use crate::process::Plane;
use crate::user::{TRACEPARENT, User, cluster_name, clusterset, work};
use crate::wait;

#[tokio::test]
async fn a_work_reaches_its_agent_signed_numbered_and_traced() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    let agent = Agent::join(&user, "c1").await;
    let connection = agent.enter(&user).await;
    let (first, end) = agent.sync(&connection, 0).await;
    let SyncEnd::Current { rev, .. } = end else {
        panic!("{end:?}")
    };
    assert!(snapshot_works(&first[0]).is_empty());
    let mut live = agent.listen(&connection).await;
    let (_, sequence) = user.apply(work("c1", "web", 10)).await;
    let told = agent.told(&mut live).await;
    assert_eq!((told.header.rev, told.header.previous), (rev + 1, rev));
    assert_eq!(Some(told.header.sequence), sequence);
    assert_eq!(told.message.traceparent.as_deref(), Some(TRACEPARENT));
    let [DesiredChange::Work(sent)] = &told.message.changes[..] else {
        panic!("{told:?}")
    };
    assert_eq!(sent.name.as_str(), "web");

    // Deleted: the agent is told, reports that it is done, and the hub forgets the work.
    let key = ObjectKey::work(&cluster_name("c1"), &ObjectName::new("web").unwrap());
    let delete = Command::Delete {
        key,
        precondition: Precondition::None,
        force: false,
        dry_run: false,
    };
    assert!(matches!(
        user.command(delete).await,
        CommandResult::Done { .. }
    ));
    let told = agent.told(&mut live).await;
    let [DesiredChange::RemoveWork { name, uid }] = &told.message.changes[..] else {
        panic!("{told:?}")
    };
    agent
        .report(
            &connection,
            1,
            vec![StatusUpdate::WorkRemoved {
                name: name.clone(),
                uid: *uid,
            }],
        )
        .await;
    let told = agent.told(&mut live).await;
    assert!(
        matches!(told.message.changes[..], [DesiredChange::ForgetWork { .. }]),
        "{told:?}"
    );
    wait::until("the work is gone", || async {
        user.get(KindName::ManifestWork)
            .await
            .is_empty()
            .then_some(())
    })
    .await;
    plane.process.stop().await;
}

#[tokio::test]
async fn catching_up_replays_what_is_near_and_sums_up_what_is_far() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    let agent = Agent::join(&user, "c1").await;
    let connection = agent.enter(&user).await;
    let (_, end) = agent.sync(&connection, 0).await;
    let SyncEnd::Current { rev, .. } = end else {
        panic!("{end:?}")
    };
    for name in ["a", "b", "c"] {
        user.apply(work("c1", name, 10)).await;
    }
    let (replayed, end) = wait::until("all three are replayed", || async {
        let (told, end) = agent.sync(&connection, rev).await;
        (told.len() == 3).then_some((told, end))
    })
    .await;
    let revs: Vec<u64> = replayed.iter().map(|told| told.header.rev).collect();
    assert_eq!(revs, [rev + 1, rev + 2, rev + 3]);
    assert!(
        matches!(end, SyncEnd::Current { rev: last, .. } if last == rev + 3),
        "{end:?}"
    );
    let (none, end) = agent.sync(&connection, rev + 3).await;
    assert!(
        none.is_empty() && matches!(end, SyncEnd::Current { .. }),
        "{end:?}"
    );
    let (whole, _) = agent.sync(&connection, 0).await;
    assert_eq!(snapshot_works(&whole[0]), ["a", "b", "c"]);
    assert_eq!(
        (whole[0].header.rev, whole[0].header.previous),
        (rev + 3, 0)
    );

    // An agent that has seen more than the hub knows of is told everything anew, above that.
    let (_, end) = agent.sync(&connection, rev + 500).await;
    let SyncEnd::Current { rev: above, .. } = end else {
        panic!("{end:?}")
    };
    assert!(above > rev + 500);
    plane.process.stop().await;
}

#[tokio::test]
async fn a_cluster_that_moves_is_told_and_goes_on_under_its_new_set() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    let agent = Agent::join(&user, "c1").await;
    let connection = agent.enter(&user).await;
    user.apply(work("c1", "web", 10)).await;
    user.apply(clusterset("eu")).await;
    agent.sync(&connection, 0).await;
    let mut live = agent.listen(&connection).await;
    let key = ObjectKey::cluster(&cluster_name("c1"));
    let patch = Command::Patch {
        key,
        patch: json!({"metadata": {"labels": {"cluster.open-cluster-management.io/clusterset": "eu"}}}),
        manager: "test".into(),
        precondition: Precondition::None,
        dry_run: false,
    };
    assert!(matches!(
        user.command(patch).await,
        CommandResult::Done { .. }
    ));
    let mut told = agent.told(&mut live).await;
    while !matches!(told.message.changes[..], [DesiredChange::Moved { .. }]) {
        told = agent.told(&mut live).await;
    }
    let snapshot = agent.told(&mut live).await;
    assert_eq!(snapshot_works(&snapshot), ["web"]);
    assert!(snapshot.header.rev > told.header.rev && snapshot.header.previous == 0);
    let [DesiredChange::Snapshot(part)] = &snapshot.message.changes[..] else {
        panic!("{snapshot:?}")
    };
    assert_eq!(part.settings.clusterset.as_str(), "eu");
    let (_, end) = agent.sync(&connection, snapshot.header.rev).await;
    assert!(
        matches!(end, SyncEnd::Current { ref clusterset, .. } if clusterset.as_str() == "eu"),
        "{end:?}"
    );
    plane.process.stop().await;
}

#[tokio::test]
async fn a_large_manifest_is_stored_once_and_given_to_its_cluster_alone() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    let (one, two) = (
        Agent::join(&user, "c1").await,
        Agent::join(&user, "c2").await,
    );
    let (first, second) = (one.enter(&user).await, two.enter(&user).await);
    one.sync(&first, 0).await;
    let mut live = one.listen(&first).await;
    let (object, _) = user.apply(work("c1", "web", 20_000)).await;
    let manifest = &object["spec"]["workload"]["manifests"][0];
    assert_eq!(
        manifest["data"]["text"].as_str().map(str::len),
        Some(20_000),
        "answers hold the whole manifest"
    );
    let works = user.get(KindName::ManifestWork).await;
    assert_eq!(&works[0]["spec"]["workload"]["manifests"][0], manifest);
    let mut told = one.told(&mut live).await;
    let digest = loop {
        if let [DesiredChange::Work(work)] = &told.message.changes[..] {
            break work.spec.workload.manifests[0]
                .content()
                .expect("by digest")
                .digest
                .parse()
                .unwrap();
        }
        told = one.told(&mut live).await;
    };
    let (parts, end) = one.ask(&first, &SyncRequest::Content { digest }).await;
    assert_eq!(end, SyncEnd::Sent);
    let content: serde_json::Value = serde_json::from_slice(&parts[0].body).unwrap();
    assert_eq!(&content, manifest);
    let (parts, end) = two.ask(&second, &SyncRequest::Content { digest }).await;
    assert!(parts.is_empty());
    assert!(
        matches!(end, SyncEnd::Refused(ref refusal) if refusal.code == Code::NotFound),
        "{end:?}"
    );
    plane.process.stop().await;
}
