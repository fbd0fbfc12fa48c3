use super::*;
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;
use skein_schema::desired::{
    DesiredChange, DesiredHeader, DesiredMessage, SnapshotPart, signed_bytes,
};
use skein_schema::kind::manifest_work::ManifestWorkSpec;

/// A signed message, as it travels.
#[derive(Debug, Clone)]
struct Sent {
    header: DesiredHeader,
    body: Vec<u8>,
    signature: String,
}

/// What the agent is to know after the hub's message of a revision.
type Known = (BTreeMap<ObjectName, (u128, i64, bool)>, Option<String>);

fn cluster() -> ClusterName {
    ClusterName::new("c1").unwrap()
}

fn key(id: u8) -> SigningKey {
    SigningKey::from_bytes(&[id; 32])
}

fn public(key: &SigningKey) -> String {
    BASE64URL_NOPAD.encode(key.verifying_key().as_bytes())
}

fn settings(set: &str) -> ClusterSettings {
    ClusterSettings {
        clusterset: SetName::new(set).unwrap(),
        lease_duration_seconds: 60,
        managed_namespaces: BTreeMap::new(),
    }
}

fn work(name: &str, uid: u128, generation: i64) -> DesiredWork {
    DesiredWork {
        name: ObjectName::new(name).unwrap(),
        uid: Uuid::from_u128(uid),
        generation,
        resource_version: 1,
        spec: ManifestWorkSpec::default(),
        deletion_timestamp: None,
    }
}

fn known(state: &DesiredState) -> Known {
    let works = state.works().iter().map(|(name, held)| {
        (
            name.clone(),
            (held.work.uid.as_u128(), held.work.generation, held.removing),
        )
    });
    (
        works.collect(),
        state.settings().map(|s| s.clusterset.to_string()),
    )
}

/// A hub: signs, numbers and remembers what it meant.
struct Hub {
    signer: (String, SigningKey),
    rev: u64,
    works: BTreeMap<String, (DesiredWork, bool)>,
    set: String,
    history: BTreeMap<(u64, u64), Known>,
    sent: Vec<Sent>,
}

impl Hub {
    fn new() -> Self {
        let mut hub = Self {
            signer: ("k1".into(), key(1)),
            rev: 0,
            works: BTreeMap::new(),
            set: "default".into(),
            history: BTreeMap::new(),
            sent: Vec::new(),
        };
        hub.history.insert((0, 0), (BTreeMap::new(), None));
        hub.send(vec![DesiredChange::Settings(settings("default"))]);
        hub
    }

    fn sign(&self, rev: u64, previous: u64, changes: Vec<DesiredChange>) -> Sent {
        let sequence = self.rev * 10;
        let (key_id, key) = &self.signer;
        let header = DesiredHeader {
            cluster: cluster(),
            rev,
            previous,
            sequence,
            key_id: key_id.clone(),
        };
        let body = serde_json::to_vec(&DesiredMessage {
            traceparent: None,
            changes,
        })
        .unwrap();
        let signature = key.sign(&signed_bytes(&header, &body));
        Sent {
            header,
            body,
            signature: BASE64URL_NOPAD.encode(&signature.to_bytes()),
        }
    }

    fn send(&mut self, changes: Vec<DesiredChange>) {
        self.rev += 1;
        let sent = self.sign(self.rev, self.rev - 1, changes);
        self.sent.push(sent);
        let works = self.works.values().map(|(work, removing)| {
            (
                work.name.clone(),
                (work.uid.as_u128(), work.generation, *removing),
            )
        });
        let known = (works.collect(), Some(self.set.clone()));
        self.history.insert((self.rev * 10, self.rev), known);
    }

    /// One thing that happens at the hub.
    fn act(&mut self, what: u8, which: u8) {
        let name = format!("w{}", which % 3);
        let change = match (what % 8, self.works.get_mut(&name)) {
            (0..=2, None) => {
                let fresh = work(&name, u128::from(self.rev) + 100, 1);
                self.works.insert(name, (fresh.clone(), false));
                DesiredChange::Work(Box::new(fresh))
            }
            (0..=2, Some((work, removing))) => {
                work.generation += 1;
                *removing = false;
                DesiredChange::Work(Box::new(work.clone()))
            }
            (3, Some((work, removing))) => {
                *removing = true;
                DesiredChange::RemoveWork {
                    name: work.name.clone(),
                    uid: work.uid,
                }
            }
            (4, Some((work, _))) => {
                let change = DesiredChange::ForgetWork {
                    name: work.name.clone(),
                    uid: work.uid,
                };
                self.works.remove(&name);
                change
            }
            (5, _) => {
                self.set = format!("set{which}");
                DesiredChange::Moved {
                    clusterset: SetName::new(self.set.as_str()).unwrap(),
                }
            }
            (6, _) => {
                let fresh = key(which.max(2));
                let id = format!("k{}", which.max(2));
                let change = DesiredChange::SigningKey {
                    key_id: id.clone(),
                    public_key: public(&fresh),
                };
                self.send(vec![change]);
                self.signer = (id, fresh);
                return;
            }
            (7, _) => return self.snapshot(u32::from(which % 3) + 1, u64::from(what / 8 % 4)),
            _ => DesiredChange::Settings(settings(&self.set)),
        };
        self.send(vec![change]);
    }

    /// Sends the state that holds already, as a hub does that is asked for it, under the revision of
    /// `lag` messages ago: that far the stream has come.
    fn snapshot(&mut self, parts: u32, lag: u64) {
        let rev = self.rev - lag.min(self.rev - 1);
        let known = self.history[&(self.rev * 10, self.rev)].clone();
        for rev in rev..self.rev {
            self.history.insert((self.rev * 10, rev), known.clone());
        }
        let works: Vec<DesiredWork> = self
            .works
            .values()
            .map(|(work, removing)| {
                let mut work = work.clone();
                work.deletion_timestamp = removing.then_some(jiff::Timestamp::UNIX_EPOCH);
                work
            })
            .collect();
        let size = works.len().div_ceil(parts as usize).max(1);
        let mut chunks = works.chunks(size);
        for part in 0..parts {
            let works = chunks.next().unwrap_or_default().to_vec();
            let part = SnapshotPart {
                part,
                parts,
                rev_sequence: rev * 10,
                settings: settings(&self.set),
                works,
            };
            self.sent
                .push(self.sign(rev, 0, vec![DesiredChange::Snapshot(part)]));
        }
    }
}

fn fresh() -> DesiredState {
    DesiredState::new(
        cluster(),
        BTreeMap::from([("k1".to_owned(), public(&key(1)))]),
    )
}

fn deliver(state: &mut DesiredState, sent: &Sent) -> Acceptance {
    state.accept(&sent.header, &sent.body, &sent.signature)
}

#[test]
fn in_order_everything_is_applied() {
    let mut hub = Hub::new();
    for step in 0..40 {
        hub.act(step, step / 3);
    }
    let mut state = fresh();
    for sent in &hub.sent {
        let accepted = deliver(&mut state, sent);
        let ok = matches!(accepted, Acceptance::Applied(_) | Acceptance::Stale { .. });
        assert!(ok, "{accepted:?}");
    }
    assert_eq!(known(&state), hub.history[&(hub.rev * 10, hub.rev)]);
}

#[test]
fn a_gap_is_told_and_a_snapshot_closes_it() {
    let mut hub = Hub::new();
    for step in 0..4 {
        hub.act(0, step);
    }
    hub.snapshot(3, 0);
    let mut state = fresh();
    assert!(matches!(
        deliver(&mut state, &hub.sent[0]),
        Acceptance::Applied(_)
    ));
    assert_eq!(
        deliver(&mut state, &hub.sent[2]),
        Acceptance::Gap { have: 1, got: 3 }
    );
    let parts = &hub.sent[hub.sent.len() - 3..];
    assert_eq!(
        deliver(&mut state, &parts[1]),
        Acceptance::Gap { have: 1, got: 5 }
    );
    assert_eq!(
        deliver(&mut state, &parts[0]),
        Acceptance::Partial { part: 0, parts: 3 }
    );
    assert_eq!(
        deliver(&mut state, &parts[1]),
        Acceptance::Partial { part: 1, parts: 3 }
    );
    assert_eq!(
        deliver(&mut state, &parts[0]),
        Acceptance::Partial { part: 0, parts: 3 }
    );
    assert_eq!(state.works().len(), 0, "a half snapshot changes nothing");
    let Acceptance::Applied(applied) = deliver(&mut state, &parts[2]) else {
        panic!()
    };
    assert!(applied.snapshot);
    assert_eq!(applied.touched.len(), 3);
    assert_eq!(
        deliver(&mut state, &parts[2]),
        Acceptance::Stale { have: 5, got: 5 }
    );
}

/// A hub that is asked may know more than what it has numbered so far. The numbers then catch up.
#[test]
fn a_state_that_is_ahead_of_its_revision_lets_the_next_messages_follow() {
    let mut hub = Hub::new();
    hub.act(0, 0);
    hub.act(0, 0);
    hub.send(vec![DesiredChange::SigningKey {
        key_id: "k2".into(),
        public_key: public(&key(2)),
    }]);
    hub.snapshot(1, 2);
    hub.act(0, 1);
    let mut state = fresh();
    let Acceptance::Applied(applied) = deliver(&mut state, &hub.sent[4]) else {
        panic!("a snapshot is applied")
    };
    assert!(applied.snapshot);
    assert_eq!((state.rev(), state.sequence()), (2, 40));
    for (sent, rev) in [(&hub.sent[2], 3), (&hub.sent[3], 4)] {
        let Acceptance::Applied(applied) = deliver(&mut state, sent) else {
            panic!("revision {rev} follows")
        };
        assert_eq!(
            applied,
            Applied {
                rev,
                ..Applied::default()
            }
        );
        assert_eq!((state.rev(), state.sequence()), (rev, 40));
    }
    assert!(state.keys().contains_key("k2"), "no snapshot names keys");
    let Acceptance::Applied(applied) = deliver(&mut state, &hub.sent[5]) else {
        panic!("what is new is applied")
    };
    assert_eq!(applied.touched.len(), 1);
    assert_eq!(known(&state), hub.history[&(50, 5)]);
}

/// The same, when what comes next is a whole state of an earlier moment.
#[test]
fn a_state_that_is_known_already_still_brings_its_revision() {
    let mut hub = Hub::new();
    hub.act(0, 0);
    hub.act(0, 1);
    hub.snapshot(1, 2);
    let answer = hub.sent[3].clone();
    // On the stream: the state at revision 1 again, as revision 2, in two parts.
    let part = |part| {
        DesiredChange::Snapshot(SnapshotPart {
            part,
            parts: 2,
            rev_sequence: 10,
            settings: settings("default"),
            works: vec![],
        })
    };
    let stale = |rev, number| {
        let mut sent = hub.sign(rev, 0, vec![part(number)]);
        sent.header.sequence = 10;
        let signature = hub.signer.1.sign(&signed_bytes(&sent.header, &sent.body));
        sent.signature = BASE64URL_NOPAD.encode(&signature.to_bytes());
        sent
    };
    let mut state = fresh();
    deliver(&mut state, &answer);
    assert_eq!((state.rev(), state.sequence()), (1, 30));
    let works = known(&state);
    assert_eq!(
        deliver(&mut state, &stale(2, 0)),
        Acceptance::Stale { have: 1, got: 2 },
        "only the last part ends it"
    );
    assert_eq!(
        deliver(&mut state, &stale(3, 1)),
        Acceptance::Applied(Applied {
            rev: 3,
            ..Applied::default()
        })
    );
    assert_eq!((state.rev(), state.sequence()), (3, 30));
    assert_eq!(known(&state), works, "nothing is forgotten");
}

#[test]
fn what_the_hub_did_not_say_changes_nothing() {
    let hub = Hub::new();
    let genuine = hub.sent[0].clone();
    let forged = |change: fn(&mut Sent)| {
        let mut sent = genuine.clone();
        change(&mut sent);
        let mut state = fresh();
        let accepted = deliver(&mut state, &sent);
        assert_eq!(state, fresh());
        accepted
    };
    let signature = Acceptance::Rejected(Rejection::Signature);
    assert_eq!(forged(|s| s.header.rev = 2), signature);
    assert_eq!(forged(|s| s.header.previous = 7), signature);
    assert_eq!(forged(|s| s.header.sequence += 1), signature);
    assert_eq!(forged(|s| s.body.push(b' ')), signature);
    assert_eq!(forged(|s| s.signature.clear()), signature);
    let unknown = Acceptance::Rejected(Rejection::UnknownKey("k9".into()));
    assert_eq!(forged(|s| s.header.key_id = "k9".into()), unknown);
    let other = ClusterName::new("c2").unwrap();
    let wrong = Acceptance::Rejected(Rejection::WrongCluster(other));
    assert_eq!(
        forged(|s| s.header.cluster = ClusterName::new("c2").unwrap()),
        wrong
    );
}

#[test]
fn a_signed_body_of_a_newer_hub_is_refused_whole() {
    let hub = Hub::new();
    let mut sent = hub.sent[0].clone();
    sent.body = br#"{"changes":[{"type":"settings","clusterset":"x","leaseDurationSeconds":1},{"type":"dance"}]}"#.to_vec();
    let signature = hub.signer.1.sign(&signed_bytes(&sent.header, &sent.body));
    sent.signature = BASE64URL_NOPAD.encode(&signature.to_bytes());
    let mut state = fresh();
    let accepted = deliver(&mut state, &sent);
    assert!(
        matches!(accepted, Acceptance::Rejected(Rejection::Body(_))),
        "{accepted:?}"
    );
    assert_eq!(state, fresh());
}

#[test]
fn removal_of_a_work_that_was_never_here_is_told() {
    let mut hub = Hub::new();
    let (name, uid) = (ObjectName::new("ghost").unwrap(), Uuid::from_u128(5));
    hub.send(vec![DesiredChange::RemoveWork {
        name: name.clone(),
        uid,
    }]);
    let mut state = fresh();
    deliver(&mut state, &hub.sent[0]);
    let Acceptance::Applied(applied) = deliver(&mut state, &hub.sent[1]) else {
        panic!()
    };
    assert_eq!(applied.unknown, vec![(name, uid)]);
}

#[test]
fn a_hub_that_counts_anew_is_followed_by_its_ledger_sequence() {
    let mut hub = Hub::new();
    (0..6).for_each(|which| hub.act(0, which));
    let mut state = fresh();
    for sent in &hub.sent {
        deliver(&mut state, sent);
    }
    let old = hub.sent[2].clone();
    let part = SnapshotPart {
        part: 0,
        parts: 1,
        rev_sequence: 500,
        settings: settings("eu"),
        works: vec![],
    };
    let mut header = hub.sent[0].header.clone();
    (header.rev, header.previous, header.sequence) = (2, 0, 500);
    let body = serde_json::to_vec(&DesiredMessage {
        traceparent: None,
        changes: vec![DesiredChange::Snapshot(part)],
    })
    .unwrap();
    let signature = hub.signer.1.sign(&signed_bytes(&header, &body));
    let signature = BASE64URL_NOPAD.encode(&signature.to_bytes());
    assert!(matches!(
        state.accept(&header, &body, &signature),
        Acceptance::Applied(_)
    ));
    assert_eq!((state.rev(), state.sequence()), (2, 500));
    // The old message number 3 would follow by its revision, but is of an earlier moment.
    assert_eq!(
        deliver(&mut state, &old),
        Acceptance::Stale { have: 2, got: 3 }
    );
}

#[test]
fn the_journal_brings_the_state_back() {
    let mut hub = Hub::new();
    (0..20).for_each(|step| hub.act(step, step));
    let mut state = fresh();
    for sent in &hub.sent {
        deliver(&mut state, sent);
    }
    let journal = serde_json::to_vec(&state).unwrap();
    let back: DesiredState = serde_json::from_slice(&journal).unwrap();
    assert_eq!(back, state);
    assert_eq!(serde_json::to_vec(&back).unwrap(), journal);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the bus drops, repeats, reorders or makes up: the agent knows at every moment what
    /// the hub knew at the same revision, and never steps back.
    #[test]
    fn the_state_is_always_one_of_the_hubs(
        acts in prop::collection::vec((any::<u8>(), 0u8..6), 0..16),
        bus in prop::collection::vec((any::<prop::sample::Index>(), 0u8..12), 0..48),
    ) {
        let mut hub = Hub::new();
        for (what, which) in acts {
            hub.act(what, which);
        }
        let mut state = fresh();
        let mut before = (0, 0);
        for (index, mischief) in bus {
            let mut sent = index.get(&hub.sent).clone();
            match mischief {
                0 => sent.body = index.get(&hub.sent).body.iter().rev().copied().collect(),
                1 => sent.header.rev = state.rev() + 1,
                2 => sent.header.previous = state.rev(),
                3 => sent.header.sequence += 1000,
                4 => sent.header.key_id = "k1".into(),
                5 => sent.signature = index.get(&hub.sent).signature.chars().rev().collect(),
                _ => {}
            }
            deliver(&mut state, &sent);
            let now = (state.sequence(), state.rev());
            prop_assert!(now >= before);
            before = now;
            prop_assert_eq!(Some(&known(&state)), hub.history.get(&now));
        }
    }
}
