//! Questions: lists, watches, history, the past, health.

use serde_json::{Value, json};
use skein_nats::Headers;
use skein_schema::code::Code;
use skein_schema::command::CommandResult;
use skein_schema::name::ObjectName;
use skein_schema::query::{Answer, At, EventFilter, Query, Selection, WatchChange};
use skein_schema::resource::KindName;
use skein_schema::subject;

use crate::agent::Agent;
use crate::process::Plane;
use crate::user::{User, apply, clusterset, now, select};
use crate::wait::PATIENCE;

fn names(answers: &[Answer]) -> Vec<String> {
    let objects = answers.iter().filter_map(|answer| match answer {
        Answer::Object { object } => object["metadata"]["name"].as_str().map(str::to_owned),
        _ => None,
    });
    objects.collect()
}

fn refusal(answers: &[Answer]) -> Code {
    match answers {
        [Answer::Refused(refusal)] => refusal.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_watch_tells_what_is_there_and_then_each_change() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    let query = Query::Watch(select(KindName::ManagedClusterSet));
    let body = serde_json::to_vec(&query).unwrap();
    let subject = subject::query(&user.name, "watch");
    let mut answers = user
        .connection
        .request_many(&subject, Headers::new(), body.into())
        .await
        .unwrap();
    let mut next = async || -> Answer {
        let message = answers.next(PATIENCE).await.expect("an answer");
        serde_json::from_slice(&message.body).expect("an answer of the schema")
    };
    let mut added = Vec::new();
    loop {
        match next().await {
            Answer::Changed {
                change: WatchChange::Added,
                object,
            } => added.push(object["metadata"]["name"].clone()),
            Answer::Listed => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(added, ["default", "global"]);
    user.apply(clusterset("eu")).await;
    let mut labelled = clusterset("eu");
    labelled["metadata"]["labels"] = json!({"a": "b"});
    user.apply(labelled).await;
    let mut changes = Vec::new();
    while changes.len() < 2 {
        match next().await {
            Answer::Changed { change, object } if object["metadata"]["name"] == "eu" => {
                changes.push((change, object["metadata"]["labels"]["a"].clone()));
            }
            Answer::Listed | Answer::Changed { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        changes,
        [
            (WatchChange::Added, Value::Null),
            (WatchChange::Modified, json!("b"))
        ]
    );
    plane.process.stop().await;
}

#[tokio::test]
async fn the_past_is_as_it_was() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    let (_, before) = user.apply(clusterset("one")).await;
    let between = now();
    user.apply(clusterset("two")).await;
    let at = |at| {
        Query::Get(Selection {
            at: Some(at),
            ..select(KindName::ManagedClusterSet)
        })
    };
    let then = ["default", "global", "one"];
    assert_eq!(
        names(&user.query(&at(At::Sequence(before.unwrap()))).await),
        then
    );
    assert_eq!(names(&user.query(&at(At::Time(between))).await), then);
    let diff = Query::Diff {
        from: At::Time(between),
        to: None,
        kind: None,
        workspace: None,
    };
    let answers = user.query(&diff).await;
    let [
        Answer::Difference {
            key,
            before: None,
            after: Some(_),
        },
        Answer::End { .. },
    ] = &answers[..]
    else {
        panic!("{answers:?}")
    };
    assert_eq!(key.name.as_str(), "two");
    assert_eq!(
        refusal(&user.query(&at(At::Sequence(1_000_000))).await),
        Code::OutOfRange
    );
    let long_ago = "2020-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(
        refusal(&user.query(&at(At::Time(long_ago))).await),
        Code::OutOfRange
    );

    // The same after a restart, which begins from a snapshot behind that point.
    let plane = plane.restart().await;
    let user = User::admin(&plane).await;
    assert_eq!(names(&user.query(&at(At::Time(between))).await), then);
    assert_eq!(user.get(KindName::ManagedClusterSet).await.len(), 4);
    plane.process.stop().await;
}

#[tokio::test]
async fn events_are_filtered_counted_and_followed() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    for name in ["a", "b", "c"] {
        user.apply(clusterset(name)).await;
    }
    let of = async |filter: EventFilter| user.query(&Query::Events(filter)).await;
    let by_name = EventFilter {
        name: Some(ObjectName::new("b").unwrap()),
        ..EventFilter::default()
    };
    assert_eq!(of(by_name).await.len(), 2, "one event and the end");
    let last = of(EventFilter {
        last: Some(2),
        ..EventFilter::default()
    })
    .await;
    let objects: Vec<&str> = last
        .iter()
        .filter_map(|answer| match answer {
            Answer::Event(event) => Some(event.object.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(objects, ["managedclustersets/b", "managedclustersets/c"]);

    let filter = EventFilter {
        follow: true,
        last: Some(0),
        ..EventFilter::default()
    };
    let body = serde_json::to_vec(&Query::Events(filter)).unwrap();
    let subject = subject::query(&user.name, "events");
    let mut answers = user
        .connection
        .request_many(&subject, Headers::new(), body.into())
        .await
        .unwrap();
    let mut next = async || -> Answer {
        let message = answers.next(PATIENCE).await.expect("an answer");
        serde_json::from_slice(&message.body).expect("an answer of the schema")
    };
    assert_eq!(next().await, Answer::Listed);
    user.apply(clusterset("d")).await;
    let Answer::Event(event) = next().await else {
        panic!("an event")
    };
    assert_eq!(event.object, "managedclustersets/d");
    plane.process.stop().await;
}

#[tokio::test]
async fn what_is_no_question_is_refused() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    let subject = subject::query(&user.name, "get");
    for (body, code) in [
        (b"not json".to_vec(), Code::MalformedDocument),
        (br#"{"what":"everything"}"#.to_vec(), Code::InvalidArgument),
        (br#"{"what":"health"}"#.to_vec(), Code::InvalidArgument),
    ] {
        assert_eq!(refusal(&user.ask(&subject, body).await), code);
    }
    let future = Headers::new().with("ce-schemaversion", "99");
    let body = br#"{"what":"get","kind":"managedclusters"}"#.to_vec();
    assert_eq!(
        refusal(&user.ask_with(&subject, future, body).await),
        Code::UnsupportedVersion
    );
    let named = Selection {
        name: Some(ObjectName::new("nobody").unwrap()),
        ..select(KindName::ManagedCluster)
    };
    assert_eq!(
        refusal(&user.query(&Query::Get(named)).await),
        Code::NotFound
    );
    let selector = Selection {
        label_selector: Some("a in".into()),
        ..select(KindName::ManagedCluster)
    };
    assert_eq!(
        refusal(&user.query(&Query::Get(selector)).await),
        Code::InvalidArgument
    );
    plane.process.stop().await;
}

#[tokio::test]
async fn health_readiness_and_metrics_are_shown() {
    let plane = Plane::start().await;
    let user = User::admin(&plane).await;
    assert!(matches!(
        user.command(apply(clusterset("eu"))).await,
        CommandResult::Done { .. }
    ));
    let answers = user.query(&Query::Health).await;
    let Answer::Health(health) = &answers[0] else {
        panic!("{answers:?}")
    };
    assert!(health.leads && health.fenced.is_none() && health.sequence > 0);
    assert_eq!(health.objects["managedclustersets"], 3);
    let streams: Vec<&str> = health
        .streams
        .iter()
        .map(|stream| stream.name.as_str())
        .collect();
    assert!(
        streams.contains(&"LEDGER") && streams.contains(&"DESIRED"),
        "{streams:?}"
    );
    assert!(
        health
            .streams
            .iter()
            .all(|stream| stream.differences.is_empty()),
        "{:?}",
        health.streams
    );
    let (code, body) = http_get(&plane.process.ready.http, "/readyz").await;
    assert_eq!(code, 200, "{body}");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["leads"], true);
    assert_eq!(
        http_get(&plane.process.ready.http, "/healthz").await,
        (200, "ok\n".to_owned())
    );
    Agent::join(&user, "c1").await;
    let (_, metrics) = http_get(&plane.process.ready.http, "/metrics").await;
    assert!(
        metrics.contains("skein_hub_commands_total{verb=\"apply\",outcome=\"Recorded\"} 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("skein_hub_clusters{status=\"Unknown\"} 1"),
        "{metrics}"
    );
    plane.process.stop().await;
}

/// A plain HTTP/1.0 request: no client library for three pages.
async fn http_get(base: &str, path: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = base.strip_prefix("http://").expect("an http address");
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("connected");
    stream
        .write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())
        .await
        .expect("asked");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("answered");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let code = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .expect("a status");
    (code, body.to_owned())
}
