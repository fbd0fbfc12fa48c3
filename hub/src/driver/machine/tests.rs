//! The machine alone: no bus, no clock.

use serde_json::json;
use skein_nats::Headers;
use skein_nats::ledger::{NewRecord, StoredRecord};
use skein_schema::command::{Change, Command, FieldValidation, Precondition};
use skein_schema::name::UserName;
use skein_schema::object::ObjectKey;
use skein_schema::resource::KindName;

use super::*;
use crate::state::View;

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// A machine and the ledger that it believes in.
struct Bench {
    machine: Machine,
    state: Arc<State>,
    /// Records that were appended and not yet acknowledged, with what they stand on.
    sent: VecDeque<(NewRecord, u64)>,
    /// The ledger.
    ledger: Vec<NewRecord>,
    answers: Vec<CommandAnswer>,
    standing: Standing,
    follows: Option<u64>,
}

impl Bench {
    fn new() -> Self {
        let state = Arc::new(State::new(View::default()));
        let mut next = 0;
        let ids = move || {
            next += 1;
            Uuid::from_u128(next)
        };
        let machine = Machine::new(
            HubName::new("hub-0").unwrap(),
            Arc::clone(&state),
            now(),
            ids,
        );
        Self {
            machine,
            state,
            sent: VecDeque::new(),
            ledger: Vec::new(),
            answers: Vec::new(),
            standing: Standing::CatchingUp,
            follows: None,
        }
    }

    /// A machine that leads, with the sets that are always there.
    fn leading() -> Self {
        let mut bench = Self::new();
        let effects = bench.machine.start(None);
        bench.perform(effects);
        bench.give(Input::LeaseHeld);
        bench.give(Input::End(0));
        bench.acknowledge_all();
        bench
    }

    fn give(&mut self, input: Input) {
        let effects = self.machine.apply(input, now());
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Append {
                    record,
                    expected_last,
                } => self.sent.push_back((record, expected_last)),
                Effect::AnswerCommand(answer) => self.answers.push(*answer),
                Effect::Stand(standing) => self.standing = standing,
                Effect::Follow { from } => {
                    self.follows = Some(from);
                    self.sent.clear();
                }
                Effect::Lead { .. } => self.follows = None,
                Effect::Announce(announcement) => self.state.announce(announcement),
                _ => {}
            }
        }
    }

    /// The ledger takes the oldest record on its way.
    fn acknowledge(&mut self) {
        let (record, after) = self.sent.pop_front().expect("a record is on its way");
        assert_eq!(
            after,
            self.ledger.len() as u64,
            "each stands on the one before"
        );
        self.ledger.push(record);
        self.give(Input::Appended {
            sequence: self.ledger.len() as u64,
        });
    }

    fn acknowledge_all(&mut self) {
        while !self.sent.is_empty() {
            self.acknowledge();
        }
    }

    fn stored(&self, sequence: u64) -> StoredRecord {
        let record = &self.ledger[usize::try_from(sequence - 1).unwrap()];
        StoredRecord {
            sequence,
            subject: record.subject.clone(),
            headers: record
                .headers
                .clone()
                .with("Nats-Msg-Id", record.id.clone()),
            body: record.body.clone(),
            time: now(),
        }
    }

    fn command(&mut self, id: u128, command: Command) {
        self.delivered(id, command, now(), 1);
    }

    /// A command that the bus stored at `stored_at` is handed out, not for the first time perhaps.
    fn delivered(&mut self, id: u128, command: Command, stored_at: Timestamp, deliveries: u32) {
        let request = CommandRequest {
            id: Uuid::from_u128(id),
            user: UserName::new("admin").unwrap(),
            verb: command.verb().to_owned(),
            wish: Ok(command),
            deadline: now() + jiff::SignedDuration::from_secs(30),
            correlation_id: Uuid::from_u128(id),
            traceparent: None,
            on_behalf_of: None,
            body: Digest::of(b""),
            sequence: 1,
            stored_at,
            deliveries,
        };
        self.give(Input::Command(Box::new(request)));
    }

    fn is_seen(&self, set: &str) -> bool {
        let key = ObjectKey::cluster_scoped(KindName::ManagedClusterSet, set.parse().unwrap());
        self.state.read().world.get(&key).is_some()
    }

    /// The changes that were answered, in order.
    fn changes(&self) -> Vec<(Change, Option<u64>)> {
        let change = |answer: &CommandAnswer| match &answer.verdict {
            Verdict::Done {
                change, sequence, ..
            } => (*change, *sequence),
            Verdict::Refused(refusal) => panic!("{refusal:?}"),
        };
        self.answers.iter().map(change).collect()
    }
}

fn set(name: &str) -> Command {
    Command::Apply {
        resource: json!({"apiVersion": "cluster.open-cluster-management.io/v1beta2",
            "kind": "ManagedClusterSet", "metadata": {"name": name}}),
        manager: "test".into(),
        precondition: Precondition::None,
        validation: FieldValidation::Strict,
        dry_run: false,
    }
}

#[test]
fn nothing_is_seen_or_answered_before_it_is_acknowledged() {
    let mut bench = Bench::leading();
    let before = bench.ledger.len() as u64;
    bench.command(100, set("a"));
    bench.command(101, set("b"));
    assert_eq!(bench.sent.len(), 2, "both are on their way");
    assert!(bench.answers.is_empty() && !bench.is_seen("a"));
    bench.acknowledge();
    assert!(bench.is_seen("a") && !bench.is_seen("b"));
    assert_eq!(bench.changes(), [(Change::Created, Some(before + 1))]);
    bench.acknowledge();
    assert_eq!(bench.changes().len(), 2);
}

#[test]
fn an_answer_without_a_record_waits_for_what_it_rests_on() {
    let mut bench = Bench::leading();
    bench.command(100, set("a"));
    // Decided upon a head in which "a" is there already.
    bench.command(101, set("a"));
    assert_eq!(bench.sent.len(), 1);
    assert!(bench.answers.is_empty());
    bench.acknowledge();
    let changes: Vec<Change> = bench
        .changes()
        .into_iter()
        .map(|(change, _)| change)
        .collect();
    assert_eq!(changes, [Change::Created, Change::Unchanged]);
    // With nothing on its way there is nothing to wait for.
    bench.command(102, set("a"));
    assert_eq!(bench.answers.len(), 3);
}

#[test]
fn a_command_delivered_again_is_answered_again_and_recorded_once() {
    let mut bench = Bench::leading();
    bench.command(100, set("a"));
    bench.command(100, set("a"));
    assert_eq!(bench.sent.len(), 1, "known while still on its way");
    bench.acknowledge();
    bench.command(100, set("a"));
    assert!(bench.sent.is_empty());
    let changes = bench.changes();
    assert_eq!(changes.len(), 3);
    assert!(
        changes.iter().all(|change| *change == changes[0]),
        "{changes:?}"
    );
    assert_eq!(
        bench
            .answers
            .iter()
            .map(|answer| answer.repeated)
            .collect::<Vec<_>>(),
        [false, true, true]
    );
}

#[test]
fn a_command_that_changed_nothing_does_not_undo_later_ones_when_it_comes_again() {
    let mut bench = Bench::leading();
    let at = |seconds| now() + jiff::SignedDuration::from_secs(seconds);
    let delete = || Command::Delete {
        key: ObjectKey::cluster_scoped(KindName::ManagedClusterSet, "a".parse().unwrap()),
        precondition: Precondition::None,
        force: false,
        dry_run: false,
    };
    bench.delivered(100, set("a"), at(0), 1);
    bench.acknowledge_all();
    // Nothing to do, and nothing to record; its acknowledgement gets lost.
    bench.delivered(101, set("a"), at(1), 1);
    // The bus's clock is ahead of the hub's.
    bench.delivered(102, delete(), at(2), 1);
    bench.acknowledge_all();
    assert_eq!(
        bench
            .changes()
            .iter()
            .map(|(change, _)| *change)
            .collect::<Vec<_>>(),
        [Change::Created, Change::Unchanged, Change::Deleted]
    );
    bench.answers.clear();
    bench.delivered(101, set("a"), at(1), 2);
    bench.acknowledge_all();
    let Verdict::Refused(refusal) = &bench.answers[0].verdict else {
        panic!("{:?}", bench.answers)
    };
    assert_eq!(refusal.code, Code::Conflict);
    assert!(!bench.is_seen("a"), "it stays deleted");
    // That is its outcome now, and one that nobody has overtaken is decided.
    bench.answers.clear();
    bench.delivered(101, set("a"), at(1), 3);
    assert!(bench.sent.is_empty() && bench.answers[0].repeated);
    bench.answers.clear();
    bench.delivered(103, set("b"), at(3), 2);
    bench.acknowledge_all();
    assert_eq!(bench.changes()[0].0, Change::Created);
}

#[test]
fn an_answer_is_bounded_as_its_record_is() {
    let mut bench = Bench::leading();
    let mut huge = set("a");
    if let Command::Apply { resource, .. } = &mut huge {
        for index in 0..40 {
            resource["spec"][format!("unknown{index}{}", "x".repeat(900))] = json!(1);
        }
    }
    bench.command(100, huge.clone());
    bench.acknowledge_all();
    bench.command(100, huge);
    let refusals: Vec<_> = bench
        .answers
        .iter()
        .map(|answer| match &answer.verdict {
            Verdict::Refused(refusal) => refusal.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(refusals[0], refusals[1], "the same each time");
    assert_eq!(refusals[0].clone().bounded(), refusals[0]);
}

#[test]
fn a_conflict_is_followed_by_reading_on_and_deciding_again() {
    let mut bench = Bench::leading();
    let mut other = Bench::leading();
    bench.command(100, set("mine"));
    bench.command(101, set("theirs"));
    // Another hub writes first.
    other.command(200, set("theirs"));
    other.acknowledge();
    let place = other.ledger.len() as u64;
    bench.ledger.push(other.ledger.last().unwrap().clone());
    bench.give(Input::NotAppended);
    assert_eq!(
        (&bench.standing, bench.follows),
        (&Standing::CatchingUp, Some(place))
    );
    assert!(bench.answers.is_empty() && !bench.is_seen("mine"));
    // A command that comes meanwhile waits its turn.
    bench.command(102, set("late"));
    let record = bench.stored(place);
    bench.give(Input::Read(Box::new(record)));
    bench.give(Input::End(place));
    assert_eq!(bench.standing, Standing::Leading);
    bench.acknowledge_all();
    let changes = bench.changes();
    let kinds: Vec<Change> = changes.iter().map(|(change, _)| *change).collect();
    assert_eq!(
        kinds,
        [Change::Created, Change::Unchanged, Change::Created],
        "theirs is there by now"
    );
    assert_eq!(changes[0].1, Some(place + 1));
    assert!(bench.is_seen("mine") && bench.is_seen("theirs") && bench.is_seen("late"));
}

#[test]
fn a_hub_that_loses_its_lease_follows_and_answers_nothing_more() {
    let mut bench = Bench::leading();
    bench.command(100, set("a"));
    bench.give(Input::LeaseLost);
    assert_eq!(bench.standing, Standing::Following);
    bench.command(101, set("b"));
    assert!(
        bench.sent.is_empty() && bench.answers.is_empty(),
        "the queue delivers it to the one who leads"
    );
    assert!(!bench.machine.takes_commands());
    // The acknowledgement of a record that was given up says nothing.
    bench.give(Input::Appended { sequence: 99 });
    assert_eq!(bench.standing, Standing::Following);
}

#[test]
fn a_fenced_hub_refuses_at_once_and_records_nothing() {
    let mut bench = Bench::leading();
    bench.command(100, set("a"));
    bench.give(Input::Unreadable("record 7 is gone".into()));
    assert_eq!(bench.standing, Standing::Fenced("record 7 is gone".into()));
    bench.command(101, set("b"));
    let codes: Vec<Code> = bench
        .answers
        .iter()
        .map(|answer| match &answer.verdict {
            Verdict::Refused(refusal) => refusal.code,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        codes,
        [Code::Fenced, Code::Fenced],
        "also the one that was on its way"
    );
}

#[test]
fn a_record_that_cannot_be_decoded_fences_the_hub_and_is_not_passed_over() {
    let mut bench = Bench::new();
    let effects = bench.machine.start(None);
    bench.perform(effects);
    let mut record = Bench::leading().stored(1);
    record.headers = Headers::new();
    bench.give(Input::Read(Box::new(record)));
    assert!(
        matches!(bench.standing, Standing::Fenced(_)),
        "{:?}",
        bench.standing
    );
    let next = Bench::leading().stored(2);
    bench.give(Input::Read(Box::new(next)));
    assert_eq!(
        bench.state.read().world.sequence(),
        0,
        "what lies behind it is not folded"
    );
}

#[test]
fn a_record_that_the_ledger_never_takes_makes_its_command_refused() {
    let mut bench = Bench::leading();
    bench.command(100, set("a"));
    bench.give(Input::Rejected {
        reason: "too large".into(),
    });
    let last = bench.ledger.len() as u64;
    bench.give(Input::End(last));
    bench.acknowledge_all();
    let Verdict::Refused(refusal) = &bench.answers[0].verdict else {
        panic!("{:?}", bench.answers)
    };
    assert_eq!(refusal.code, Code::TooLarge);
    assert!(!bench.is_seen("a"));
}

#[test]
fn a_command_behind_its_deadline_is_refused_and_recorded() {
    let mut bench = Bench::leading();
    let late = now() + jiff::SignedDuration::from_secs(31);
    let request = CommandRequest {
        id: Uuid::from_u128(100),
        user: UserName::new("admin").unwrap(),
        verb: "apply".into(),
        wish: Ok(set("a")),
        deadline: now() + jiff::SignedDuration::from_secs(30),
        correlation_id: Uuid::from_u128(100),
        traceparent: None,
        on_behalf_of: None,
        body: Digest::of(b""),
        sequence: 1,
        stored_at: now(),
        deliveries: 1,
    };
    let effects = bench.machine.apply(Input::Command(Box::new(request)), late);
    bench.perform(effects);
    bench.acknowledge_all();
    let Verdict::Refused(refusal) = &bench.answers[0].verdict else {
        panic!("{:?}", bench.answers)
    };
    assert_eq!(refusal.code, Code::DeadlineExceeded);
}

#[test]
fn what_was_decided_folds_to_the_same_world_when_it_is_read() {
    let mut lead = Bench::leading();
    for (id, name) in [(100, "a"), (101, "b")] {
        lead.command(id, set(name));
    }
    lead.acknowledge_all();
    let mut follower = Bench::new();
    let effects = follower.machine.start(None);
    follower.perform(effects);
    follower.ledger = lead.ledger.clone();
    for sequence in 1..=lead.ledger.len() as u64 {
        // The bus's time differs from the writer's.
        let record = StoredRecord {
            time: now() + jiff::SignedDuration::from_millis(7),
            ..follower.stored(sequence)
        };
        follower.give(Input::Read(Box::new(record)));
    }
    assert_eq!(follower.state.read().world, lead.state.read().world);
}
