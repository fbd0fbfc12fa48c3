//! Kills: nothing acknowledged is lost, nothing is done twice.

use std::collections::BTreeSet;

use skein_schema::command::{Change, CommandResult};
use skein_schema::resource::KindName;
use skein_schema::sync::SyncEnd;

use crate::agent::Agent;
use crate::process::{self, Plane};
use crate::user::{User, apply, clusterset, new_id, work};
use crate::wait;

async fn set_names(user: &User) -> BTreeSet<String> {
    let sets = user.get(KindName::ManagedClusterSet).await;
    sets.iter()
        .filter_map(|set| set["metadata"]["name"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn a_killed_hub_comes_back_with_everything_it_acknowledged() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    let agent = Agent::join(&user, "c1").await;
    user.apply(work("c1", "web", 10)).await;
    let id = new_id();
    let first = user.command_as(id, apply(clusterset("eu"))).await;
    let plane = plane.kill_and_start().await;
    let user = User::admin(&plane).await;
    assert!(set_names(&user).await.contains("eu"));
    // The memory of commands came back, too.
    let again = user.command_as(id, apply(clusterset("eu"))).await;
    let (
        CommandResult::Done { sequence: one, .. },
        CommandResult::Done {
            sequence: two,
            change,
            ..
        },
    ) = (&first, &again)
    else {
        panic!("{first:?} {again:?}")
    };
    assert_eq!((one, *change), (two, Change::Created));
    // The agent's line goes on where it was.
    let connection = agent.enter(&user).await;
    let (_, end) = agent.sync(&connection, 0).await;
    let SyncEnd::Current { rev, .. } = end else {
        panic!("{end:?}")
    };
    let mut live = agent.listen(&connection).await;
    user.apply(work("c1", "second", 10)).await;
    let told = agent.told(&mut live).await;
    assert_eq!((told.header.rev, told.header.previous), (rev + 1, rev));
    plane.process.stop().await;
}

#[tokio::test]
async fn commands_sent_while_the_hub_dies_are_decided_once_each() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    let ids: Vec<_> = (0..40).map(|n| (new_id(), format!("set-{n}"))).collect();
    for (index, (id, name)) in ids.iter().enumerate() {
        let command = apply(clusterset(name));
        let verb = command.verb();
        let message = skein_schema::command::CommandMessage {
            deadline_seconds: 600,
            command,
        };
        let body = serde_json::to_vec(&message).unwrap();
        let headers = user.envelope(*id, &body).to_headers().into();
        user.publish(verb, headers, body).await;
        if index == 20 {
            process::signal("-KILL", plane.process.ready.pid).await;
            break;
        }
    }
    let plane = plane.kill_and_start().await;
    let user = User::admin(&plane).await;
    let expected: BTreeSet<String> = ids.iter().take(21).map(|(_, name)| name.clone()).collect();
    wait::until("all commands that were stored are decided", || async {
        expected.is_subset(&set_names(&user).await).then_some(())
    })
    .await;
    for (id, name) in ids.iter().take(21) {
        let result = user.command_as(*id, apply(clusterset(name))).await;
        assert!(
            matches!(
                result,
                CommandResult::Done {
                    change: Change::Created,
                    ..
                }
            ),
            "{name}: {result:?}"
        );
    }
    plane.process.stop().await;
}

#[tokio::test]
async fn a_killed_server_comes_back_and_the_hub_goes_on() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    user.apply(clusterset("before")).await;
    let pid = plane.server_pid().expect("a server runs");
    process::signal("-KILL", pid).await;
    wait::until("another server runs", || async {
        plane.server_pid().filter(|other| *other != pid)
    })
    .await;
    let result = wait::within(
        "a command after the kill",
        user.command(apply(clusterset("after"))),
    )
    .await;
    assert!(matches!(result, CommandResult::Done { .. }), "{result:?}");
    let names = set_names(&user).await;
    assert!(
        names.contains("before") && names.contains("after"),
        "{names:?}"
    );
    plane.process.stop().await;
}

#[tokio::test]
async fn a_hub_whose_ledger_lost_records_fences_itself_and_says_so() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    user.apply(clusterset("eu")).await;
    let Plane { process, folder } = plane;
    process.stop().await;
    // Somebody puts an older copy of the bus in place: here, an empty one.
    std::fs::remove_dir_all(folder.path().join("nats/jetstream")).unwrap();
    let text = folder.path().to_str().unwrap();
    let arguments = [
        "embedded",
        "--data-dir",
        text,
        "--listen",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
    ];
    let mut fenced = process::spawn(&arguments);
    // It does not serve, and stays alive to be asked why.
    let stdout = fenced.stdout.take().unwrap();
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(stdout));
    let text = wait::within("a fenced hub says so", lines.next_line())
        .await
        .unwrap()
        .expect("a line");
    let said: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(said["ready"], false, "{said}");
    assert!(
        said["fenced"]
            .as_str()
            .unwrap()
            .contains("records were lost"),
        "{said}"
    );
    fenced.kill().await.unwrap();
}
