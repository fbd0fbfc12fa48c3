//! Whatever the ids are: what was remembered is found, and nothing else.

use proptest::prelude::*;

use super::*;

/// The same without blocks that are passed over.
#[derive(Default)]
struct Naive {
    full: VecDeque<(Timestamp, BTreeMap<Uuid, u64>)>,
    recent: BTreeMap<Uuid, u64>,
}

impl Naive {
    fn get(&self, id: Uuid) -> Option<u64> {
        let mut blocks = self.full.iter().rev().map(|(_, block)| block);
        let found = self.recent.get(&id);
        found
            .or_else(|| blocks.find_map(|block| block.get(&id)))
            .copied()
    }

    fn insert(&mut self, id: Uuid, sequence: u64, now: Timestamp) {
        if self.get(id).is_none() {
            self.recent.insert(id, sequence);
        }
        if self.recent.len() >= BLOCK {
            self.full.push_back((now, std::mem::take(&mut self.recent)));
        }
    }

    fn prune(&mut self, now: Timestamp, kept: i64) {
        let kept = SignedDuration::from_secs(kept);
        self.full
            .retain(|(until, _)| now.duration_since(*until) <= kept);
    }
}

fn outcome(sequence: u64) -> CommandOutcome {
    CommandOutcome {
        sequence,
        actor: "user:admin".parse().unwrap(),
        outcome: Outcome::Done(Change::Created),
    }
}

/// An id of version 7, made at so many milliseconds.
fn ordered(milliseconds: u64, random: u16) -> Uuid {
    let mut bytes = [0; 10];
    bytes[..2].copy_from_slice(&random.to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(milliseconds, &bytes).into_uuid()
}

/// A run of commands: how their ids are made, and how many.
fn runs() -> impl Strategy<Value = Vec<(u8, u64, u16)>> {
    prop::collection::vec((0..4u8, 0..20_000u64, 100..900u16), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_look_up_finds_what_a_look_at_everything_finds(runs in runs()) {
        let (mut outcomes, mut naive) = (Outcomes::default(), Naive::default());
        let mut asked = Vec::new();
        let mut now = Timestamp::UNIX_EPOCH;
        for (sequence, (kind, seed, count)) in (1..).zip(runs) {
            for index in 0..count {
                let clock = u64::try_from(now.as_millisecond()).unwrap();
                let id = match kind {
                    // As clients make them, by clocks that agree and by one that does not.
                    0 => ordered(clock, index),
                    1 => ordered(clock.saturating_sub(seed), index),
                    // Of other versions, in no order; some of them twice.
                    2 => Uuid::from_u128(u128::from(seed / 2 + u64::from(index)) << 64),
                    _ => Uuid::from_u128(u128::MAX - u128::from(seed) * u128::from(index)),
                };
                outcomes.insert(id, outcome(sequence), now);
                naive.insert(id, sequence, now);
                asked.extend([id, Uuid::from_u128(id.as_u128() ^ 1)]);
                now += SignedDuration::from_millis(7);
            }
            outcomes.prune(now, 10);
            naive.prune(now, 10);
        }
        for id in asked {
            prop_assert_eq!(outcomes.get(id).map(|found| found.sequence), naive.get(id));
        }
        let text = serde_json::to_string(&outcomes).unwrap();
        let read: Outcomes = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &outcomes, "the ranges are made anew");
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}

#[test]
fn a_stranger_among_the_ids_does_not_open_its_block_to_all() {
    let mut outcomes = Outcomes::default();
    for index in 0..BLOCK as u64 {
        let id = match index {
            0 => Uuid::nil(),
            1 => Uuid::max(),
            _ => ordered(1_000 + index, 0),
        };
        outcomes.insert(id, outcome(index), Timestamp::UNIX_EPOCH);
    }
    let shelved = &outcomes.full[0];
    let range = (ordered(1_002, 0), ordered(1_000 + BLOCK as u64 - 1, 0));
    assert_eq!(shelved.ordered, Some(range));
    assert_eq!(shelved.others, Some((Uuid::nil(), Uuid::max())));
    assert!(outcomes.get(Uuid::nil()).is_some() && outcomes.get(Uuid::max()).is_some());
}
