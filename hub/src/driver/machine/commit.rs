//! What becomes visible when a record is acknowledged, or was read.

use std::sync::Arc;

use skein_hub_core::{Stored, desired};
use skein_schema::digest::Digest;

use super::{Effect, Entry, Machine, SHARE_AGAIN, Timestamp, revokes};
use crate::driver::effect::Outgoing;
use crate::state::{Announcement, Standing};

impl Machine {
    /// The oldest record on its way is in the ledger.
    pub(super) fn appended(&mut self, sequence: u64, _now: Timestamp, effects: &mut Vec<Effect>) {
        if self.standing != Standing::Leading {
            // It was given up meanwhile, and comes back by reading.
            return;
        }
        let expected = self.pending.front().map(|entry| entry.after);
        if expected != Some(sequence) {
            effects.extend(self.fence(&format!(
                "the ledger acknowledged sequence {sequence} where {expected:?} was due"
            )));
            return;
        }
        if let Some(Entry {
            stored: Some(stored),
            digest,
            answer,
            ..
        }) = self.pending.pop_front()
        {
            self.commit(&stored, digest, effects);
            effects.extend(answer.map(super::Answer::effect));
        }
        self.make_lead_known(effects);
        self.release(effects);
        if self.pending.is_empty() && self.unshared >= SHARE_AGAIN {
            self.share();
        }
    }

    /// Gives out the answers that rest on nothing that is still on its way.
    pub(super) fn release(&mut self, effects: &mut Vec<Effect>) {
        let committed = self.committed();
        while self
            .pending
            .front()
            .is_some_and(|entry| entry.stored.is_none() && entry.after <= committed)
        {
            let entry = self.pending.pop_front();
            effects.extend(
                entry
                    .and_then(|entry| entry.answer)
                    .map(super::Answer::effect),
            );
        }
    }

    /// Folds a record that is in the ledger for good, and says what follows from it.
    pub(super) fn commit(&mut self, stored: &Stored, digest: Digest, effects: &mut Vec<Effect>) {
        let state = Arc::clone(&self.state);
        let mut view = state.write();
        let changes = view.world.evolve(stored);
        let clusters = desired::changes(&changes, &view.world, stored);
        drop(view);
        effects.push(Effect::Witness {
            sequence: stored.sequence,
            id: stored.envelope.id.to_string(),
            digest,
        });
        if !clusters.is_empty() {
            let traceparent = stored.envelope.traceparent.clone();
            effects.push(Effect::Dispatch(Outgoing {
                sequence: stored.sequence,
                traceparent,
                clusters,
            }));
        }
        if self.standing == Standing::Leading && revokes(stored) {
            effects.push(self.revocations());
        }
        effects.push(Effect::Announce(Announcement {
            sequence: stored.sequence,
            touched: changes.touched,
        }));
    }
}
