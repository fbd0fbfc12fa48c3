//! What became of commands, so that one that is delivered again gets the same answer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use skein_schema::code::Refusal;
use skein_schema::command::Change;
use skein_schema::envelope::Actor;
use uuid::Uuid;

/// Outcomes in one block.
const BLOCK: usize = 1024;

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandOutcome {
    /// The record about it.
    pub sequence: u64,
    /// Who sent it. Somebody else's command with the same id is another command.
    pub actor: Actor,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It was decided and recorded.
    Done(Change),
    /// It was refused.
    Refused(Arc<Refusal>),
}

/// The outcomes of the last days, oldest first. Full blocks are shared between the clones of a
/// world and never change; ids of version 7 rise with time, so a look-up opens one block or two.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcomes {
    full: VecDeque<Arc<Block>>,
    recent: BTreeMap<Uuid, CommandOutcome>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Block {
    /// When the last of them was recorded.
    until: Timestamp,
    /// By id.
    outcomes: Vec<(Uuid, CommandOutcome)>,
}

impl Block {
    fn get(&self, command: Uuid) -> Option<&CommandOutcome> {
        let found = self
            .outcomes
            .binary_search_by(|(id, _)| id.cmp(&command))
            .ok()?;
        Some(&self.outcomes[found].1)
    }
}

impl Outcomes {
    pub(crate) fn get(&self, command: Uuid) -> Option<&CommandOutcome> {
        let in_block = || self.full.iter().rev().find_map(|block| block.get(command));
        self.recent.get(&command).or_else(in_block)
    }

    /// Remembers an outcome; the first one of a command stays.
    pub(crate) fn insert(&mut self, command: Uuid, outcome: CommandOutcome, now: Timestamp) {
        if self.get(command).is_some() {
            return;
        }
        self.recent.insert(command, outcome);
        if self.recent.len() >= BLOCK {
            let outcomes = std::mem::take(&mut self.recent).into_iter().collect();
            self.full.push_back(Arc::new(Block {
                until: now,
                outcomes,
            }));
        }
    }

    /// Forgets blocks that are wholly older than `kept` seconds.
    pub(crate) fn prune(&mut self, now: Timestamp, kept: i64) {
        let kept = SignedDuration::from_secs(kept);
        while self
            .full
            .front()
            .is_some_and(|block| now.duration_since(block.until) > kept)
        {
            self.full.pop_front();
        }
    }
}
