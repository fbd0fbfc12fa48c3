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
    full: VecDeque<Shelved>,
    recent: BTreeMap<Uuid, CommandOutcome>,
}

/// A block, and beside it which ids it can hold: a new command has to pass a week of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Arc<Block>", into = "Arc<Block>")]
struct Shelved {
    /// First and last id of version 7.
    ordered: Option<(Uuid, Uuid)>,
    /// First and last id of any other kind. Apart, because one of them would stretch the range of a
    /// block over all times.
    others: Option<(Uuid, Uuid)>,
    block: Arc<Block>,
}

/// Whether ids like this one rise with time.
fn is_ordered(id: Uuid) -> bool {
    id.get_version_num() == 7
}

impl Shelved {
    fn get(&self, command: Uuid) -> Option<&CommandOutcome> {
        let range = if is_ordered(command) {
            self.ordered
        } else {
            self.others
        };
        let (first, last) = range?;
        if command < first || command > last {
            return None;
        }
        self.block.get(command)
    }
}

impl From<Arc<Block>> for Shelved {
    fn from(block: Arc<Block>) -> Self {
        let range = |ordered: bool| {
            let ids = block.outcomes.iter().map(|(id, _)| *id);
            let mut ids = ids.filter(|id| is_ordered(*id) == ordered);
            let first = ids.next()?;
            Some((first, ids.next_back().unwrap_or(first)))
        };
        Self {
            ordered: range(true),
            others: range(false),
            block,
        }
    }
}

impl From<Shelved> for Arc<Block> {
    fn from(shelved: Shelved) -> Self {
        shelved.block
    }
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
            let block = Arc::new(Block {
                until: now,
                outcomes,
            });
            self.full.push_back(Shelved::from(block));
        }
    }

    /// Forgets blocks that are wholly older than `kept` seconds.
    pub(crate) fn prune(&mut self, now: Timestamp, kept: i64) {
        let kept = SignedDuration::from_secs(kept);
        while self
            .full
            .front()
            .is_some_and(|shelved| now.duration_since(shelved.block.until) > kept)
        {
            self.full.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
