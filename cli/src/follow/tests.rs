//! A hub that falls silent, played from a script.

use std::cell::RefCell;

use serde_json::{Value, json};
use skein_schema::envelope::Actor;
use skein_schema::query::WatchChange;
use skein_schema::resource::KindName;

use super::*;

/// What a played hub says to one question; silence follows.
type Lines = VecDeque<Answer>;

/// A hub that says what is written for it; when its lines are used up, it is silent for ever.
#[derive(Default)]
struct Script {
    lines: RefCell<VecDeque<Lines>>,
    asked: RefCell<Vec<Query>>,
}

impl Script {
    fn new(lines: Vec<Vec<Answer>>) -> Self {
        Self {
            lines: RefCell::new(lines.into_iter().map(Into::into).collect()),
            asked: RefCell::default(),
        }
    }
}

impl Source for Script {
    type Answers = Lines;

    async fn ask(&self, query: &Query) -> CliResult<Lines> {
        self.asked.borrow_mut().push(query.clone());
        Ok(self.lines.borrow_mut().pop_front().unwrap_or_default())
    }

    fn patience(&self) -> Duration {
        Duration::ZERO
    }
}

impl Hear for Lines {
    async fn hear(&mut self, _: Duration) -> Result<Answer, Unheard> {
        self.pop_front()
            .ok_or_else(|| Unheard::Silent(CliError::new(Code::Unreachable, "silent")))
    }
}

const BRIEF: Patience = Patience {
    silence: Duration::ZERO,
    absence: Duration::ZERO,
};

fn selection() -> Selection {
    Selection {
        kind: KindName::ManagedCluster,
        workspace: None,
        name: None,
        label_selector: None,
        at: None,
    }
}

fn object(name: &str, version: u32) -> Value {
    json!({"metadata": {"name": name, "resourceVersion": version.to_string()}})
}

fn added(name: &str, version: u32) -> Answer {
    changed(WatchChange::Added, name, version)
}

fn changed(change: WatchChange, name: &str, version: u32) -> Answer {
    Answer::Changed {
        change,
        object: object(name, version),
    }
}

/// Everything a watch tells, and how it ends.
async fn watched(script: &Script) -> (Vec<Answer>, String) {
    let mut watch = Watch::begin(script, selection(), BRIEF).await.unwrap();
    let mut told = Vec::new();
    loop {
        match watch.next().await {
            Ok(Some(answer)) => told.push(answer),
            Ok(None) => return (told, "end".to_owned()),
            Err(error) => return (told, error.render()),
        }
    }
}

#[tokio::test]
async fn a_watch_goes_on_with_a_hub_that_comes_back() {
    let script = Script::new(vec![
        vec![added("a", 1), added("b", 2), added("c", 3), Answer::Listed],
        vec![added("a", 1), added("b", 5), added("d", 6), Answer::Listed],
    ]);
    let (told, end) = watched(&script).await;
    assert_eq!(
        told,
        [
            added("a", 1),
            added("b", 2),
            added("c", 3),
            Answer::Listed,
            changed(WatchChange::Modified, "b", 5),
            added("d", 6),
            changed(WatchChange::Deleted, "c", 3),
            Answer::Listed,
        ]
    );
    assert!(
        end.contains("(SK5002)") && end.contains("hint:"),
        "silent for good: {end}"
    );
}

#[tokio::test]
async fn a_hub_that_never_answered_is_told_as_such() {
    let (told, end) = watched(&Script::default()).await;
    assert_eq!((told, end.as_str()), (vec![], "error: silent (SK5001)\n"));
}

#[tokio::test]
async fn somebody_who_waits_does_not_mind_a_hub_that_is_not_there_yet() {
    let script = Script::new(vec![vec![], vec![added("a", 1)]]);
    let mut watch = Watch::begin(&script, selection(), Patience::WAITING)
        .await
        .unwrap();
    assert_eq!(watch.next().await.unwrap(), Some(added("a", 1)));
}

fn event(sequence: u64, index: u32) -> Answer {
    Answer::Event(Box::new(EventView {
        id: EventId { sequence, index },
        kind: "skein.resource.applied.v1".to_owned(),
        time: "2026-11-23T14:00:00Z".parse().unwrap(),
        actor: "user:admin".parse::<Actor>().unwrap(),
        object: "managedclusters/c1".to_owned(),
        summary: "applied".to_owned(),
        command_id: None,
        causation_id: None,
        traceparent: None,
        data: None,
    }))
}

#[tokio::test]
async fn followed_events_go_on_behind_the_last_and_come_once() {
    let script = Script::new(vec![
        vec![event(7, 0), Answer::Listed, event(8, 0)],
        vec![event(8, 0), event(8, 1), Answer::Listed, event(9, 0)],
    ]);
    let filter = EventFilter {
        last: Some(1),
        follow: true,
        ..EventFilter::default()
    };
    let mut events = Followed::begin(&script, filter.clone(), BRIEF)
        .await
        .unwrap();
    let mut told = Vec::new();
    while let Ok(Some(event)) = events.next().await {
        told.push(event.id.to_string());
    }
    assert_eq!(told, ["7.0", "8.0", "8.1", "9.0"]);
    let resumed = |sequence| {
        Query::Events(EventFilter {
            since: Some(At::Sequence(sequence)),
            last: None,
            ..filter.clone()
        })
    };
    assert_eq!(
        *script.asked.borrow(),
        [Query::Events(filter.clone()), resumed(8), resumed(9)]
    );
}
