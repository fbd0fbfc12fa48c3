//! From committed records to signed, numbered messages, and catching up.
//!
//! It follows the same rules as the hub program: what DESIRED holds already is not sent again, a
//! cluster without a line gets its whole state, and so does one that has moved or is new.

use std::collections::{BTreeMap, VecDeque};

use skein_hub_core::desired::{self, Told};
use skein_hub_core::{Changes, Stored, World};
use skein_schema::desired::{DesiredChange, DesiredHeader, DesiredMessage, SnapshotPart};
use skein_schema::event::Event;
use skein_schema::name::{ClusterName, SetName};
use skein_schema::object::ObjectKey;
use skein_schema::resource::{KindName, Resource};

use super::bus::{Bus, Desired};
use super::signer::Signer;

/// Works in one part of a snapshot: few, so that there are parts.
const WORKS_PER_PART: usize = 2;
/// Messages in one answer to an agent that catches up.
const PAGE: usize = 3;
/// An agent that is further behind gets the whole state.
const RECENT: usize = 32;

/// How far a cluster's messages have come.
#[derive(Debug, Clone)]
struct Line {
    set: SetName,
    rev: u64,
    sequence: u64,
    /// The newest messages on this set's subject that this hub knows of, oldest first.
    recent: VecDeque<u64>,
}

#[derive(Debug, Clone)]
struct Outgoing {
    sequence: u64,
    told: Told,
    whole: Vec<ClusterName>,
}

/// The part of a hub that talks to agents.
#[derive(Debug, Clone)]
pub(super) struct Dispatch {
    signer: Signer,
    lines: BTreeMap<ClusterName, Line>,
    waiting: VecDeque<Outgoing>,
}

impl Dispatch {
    /// Goes on where the stream ends.
    pub(super) fn resume(bus: &Bus, signer: Signer) -> Self {
        let last = bus
            .desired
            .iter()
            .filter_map(|(cluster, messages)| Some((cluster.clone(), Line::of(messages.last()?))));
        Self {
            signer,
            lines: last.collect(),
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The newest revision of a cluster.
    pub(super) fn rev(&self, cluster: &ClusterName) -> u64 {
        self.lines.get(cluster).map_or(0, |line| line.rev)
    }

    /// Takes up what a record changes.
    pub(super) fn committed(&mut self, changes: &Changes, after: &World, stored: &Stored) {
        let told = desired::changes(changes, after, stored);
        let whole = fresh(changes, after, stored);
        if !told.is_empty() || !whole.is_empty() {
            self.waiting.push_back(Outgoing {
                sequence: stored.sequence,
                told,
                whole,
            });
        }
    }

    /// Sends what follows from the oldest record that waits.
    pub(super) fn send(&mut self, world: &World, bus: &mut Bus) -> Vec<Desired> {
        let Some(outgoing) = self.waiting.pop_front() else {
            return Vec::new();
        };
        let mut sent = Vec::new();
        for cluster in &outgoing.whole {
            if !self.includes(cluster, outgoing.sequence) {
                sent.extend(self.whole(world, bus, cluster, 0));
            }
        }
        for (cluster, (_, changes)) in outgoing.told {
            if self.includes(&cluster, outgoing.sequence) {
                continue;
            }
            let Some(line) = self.lines.get(&cluster).cloned() else {
                sent.extend(self.whole(world, bus, &cluster, 0));
                continue;
            };
            let moved = changes
                .iter()
                .any(|change| matches!(change, DesiredChange::Moved { .. }));
            let header = self.header(&cluster, line.rev + 1, line.rev, outgoing.sequence);
            let message = DesiredMessage {
                traceparent: None,
                changes,
            };
            sent.push(self.store(bus, self.signer.sign(line.set, header, &message)));
            if moved {
                sent.extend(self.whole(world, bus, &cluster, 0));
            }
        }
        sent
    }

    /// What an agent gets that has `rev`, and whether there is more.
    pub(super) fn sync(
        &mut self,
        world: &World,
        bus: &mut Bus,
        cluster: &ClusterName,
        rev: u64,
    ) -> (Vec<Desired>, bool) {
        let accepted = match world
            .get(&ObjectKey::cluster(cluster))
            .map(|found| &**found)
        {
            Some(Resource::ManagedCluster(found)) => found.spec.hub_accepts_client,
            _ => false,
        };
        if !accepted {
            return (Vec::new(), false);
        }
        let known = self.lines.get(cluster).is_some_and(|line| line.rev >= rev);
        if !known {
            // Only what the stream has is the hub's word.
            self.whole(world, bus, cluster, rev);
        }
        let Some(line) = self.lines.get(cluster).cloned() else {
            return (Vec::new(), false);
        };
        if rev >= line.rev {
            return (Vec::new(), false);
        }
        if let Some((page, more)) = replay(bus, cluster, &line, rev) {
            return (page, more);
        }
        (
            self.parts(world, cluster, Some(line.sequence), |_| line.rev),
            false,
        )
    }

    fn includes(&self, cluster: &ClusterName, sequence: u64) -> bool {
        self.lines
            .get(cluster)
            .is_some_and(|line| line.sequence >= sequence)
    }

    /// Stores a cluster's whole state under revisions above `above` and all before.
    fn whole(
        &mut self,
        world: &World,
        bus: &mut Bus,
        cluster: &ClusterName,
        above: u64,
    ) -> Vec<Desired> {
        let rev = self.rev(cluster).max(above);
        let parts = self.parts(world, cluster, None, |part| rev + 1 + part);
        if !parts.is_empty() {
            // The first part takes the place of all before it.
            bus.desired.remove(cluster);
        }
        parts
            .into_iter()
            .map(|part| self.store(bus, part))
            .collect()
    }

    /// The whole state in parts. Without `rev_sequence` their revisions stand for all of it.
    fn parts(
        &self,
        world: &World,
        cluster: &ClusterName,
        rev_sequence: Option<u64>,
        rev: impl Fn(u64) -> u64,
    ) -> Vec<Desired> {
        let Some((settings, works)) = desired::snapshot(world, cluster) else {
            return Vec::new();
        };
        let mut cuts: Vec<_> = works.chunks(WORKS_PER_PART).map(<[_]>::to_vec).collect();
        if cuts.is_empty() {
            cuts.push(Vec::new());
        }
        let parts = u32::try_from(cuts.len()).expect("few parts");
        let signed = cuts.into_iter().zip(0..).map(|(works, part)| {
            let change = DesiredChange::Snapshot(SnapshotPart {
                part,
                parts,
                rev_sequence: rev_sequence.unwrap_or_else(|| world.sequence()),
                settings: settings.clone(),
                works,
            });
            let message = DesiredMessage {
                traceparent: None,
                changes: vec![change],
            };
            let header = self.header(cluster, rev(u64::from(part)), 0, world.sequence());
            self.signer
                .sign(settings.clusterset.clone(), header, &message)
        });
        signed.collect()
    }

    fn header(
        &self,
        cluster: &ClusterName,
        rev: u64,
        previous: u64,
        sequence: u64,
    ) -> DesiredHeader {
        DesiredHeader {
            cluster: cluster.clone(),
            rev,
            previous,
            sequence,
            key_id: self.signer.id.clone(),
        }
    }

    fn store(&mut self, bus: &mut Bus, message: Desired) -> Desired {
        let cluster = &message.header.cluster;
        let mut line = Line::of(&message);
        if let Some(old) = self.lines.remove(cluster)
            && old.set == line.set
        {
            let start = (old.recent.len() + 1).saturating_sub(RECENT);
            let recent = old.recent.into_iter().skip(start);
            line.recent = recent.chain(line.recent).collect();
        }
        self.lines.insert(cluster.clone(), line);
        let stored = bus.desired.entry(cluster.clone()).or_default();
        stored.push(message.clone());
        message
    }
}

impl Line {
    fn of(message: &Desired) -> Self {
        Self {
            set: message.set.clone(),
            rev: message.header.rev,
            sequence: message.header.sequence,
            recent: VecDeque::from([message.header.rev]),
        }
    }
}

/// Stored messages behind `rev`, on the subject that the cluster has now.
fn replay(bus: &Bus, cluster: &ClusterName, line: &Line, rev: u64) -> Option<(Vec<Desired>, bool)> {
    let stored = bus.desired.get(cluster)?;
    if !line.recent.contains(&rev) {
        return None;
    }
    let on_subject = stored.iter().filter(|message| message.set == line.set);
    let page: Vec<_> = on_subject
        .skip_while(|message| message.header.rev != rev)
        .skip(1)
        .take(PAGE)
        .cloned()
        .collect();
    let mut last = rev;
    for message in &page {
        if message.header.previous != last {
            return None;
        }
        last = message.header.rev;
    }
    let more = last < line.rev;
    (last > rev).then_some((page, more))
}

/// Clusters that somebody let in, or that were made anew under an old name: what their agent knows
/// may be of another time.
fn fresh(changes: &Changes, after: &World, stored: &Stored) -> Vec<ClusterName> {
    let accepted = stored.record.events.iter().filter_map(|event| match event {
        Event::ClusterAccepted(accepted) => Some(accepted.cluster.clone()),
        _ => None,
    });
    let made = changes.before.iter().filter_map(|(key, before)| {
        let new = key.kind == KindName::ManagedCluster && before.is_none();
        let name = ClusterName::new(&key.name).ok()?;
        (new && after.get(key).is_some()).then_some(name)
    });
    let mut fresh: Vec<_> = accepted.chain(made).collect();
    fresh.sort();
    fresh.dedup();
    fresh
}
