//! Snapshots: the whole state in one or several parts.

use super::{Acceptance, Applied, DesiredState, HeldWork, Rejection};
use skein_schema::desired::{ClusterSettings, DesiredHeader, DesiredWork, SnapshotPart};
use skein_schema::name::ObjectName;
use std::collections::BTreeMap;

/// The parts of a snapshot that have come so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Assembly {
    /// Revision of part 0.
    rev: u64,
    rev_sequence: u64,
    sequence: u64,
    parts: u32,
    /// Number of the part that is next.
    next: u32,
    settings: ClusterSettings,
    works: BTreeMap<ObjectName, DesiredWork>,
}

impl DesiredState {
    /// Takes a part in. A snapshot counts if it is of a later moment than what is known; its
    /// revision may be lower, when the hub has begun to count anew, or has not numbered all of it
    /// yet.
    pub(super) fn accept_part(
        &mut self,
        header: &DesiredHeader,
        part: SnapshotPart,
        traceparent: Option<String>,
    ) -> Acceptance {
        let (have, got) = (self.rev, header.rev);
        let later = (header.sequence, header.rev) > (self.sequence, self.rev);
        if part.part >= part.parts {
            let text = format!("part {} of {} parts", part.part, part.parts);
            return Acceptance::Rejected(Rejection::Body(text));
        }
        if !later && self.settings.is_some() {
            // What it says is known from the answer to a catch-up, but not yet its revision, which
            // the next message will follow.
            let numbers_it = got > have && part.rev_sequence >= self.rev_sequence;
            if !numbers_it || part.part + 1 < part.parts {
                return Acceptance::Stale { have, got };
            }
            (self.rev, self.rev_sequence) = (got, part.rev_sequence);
            return Acceptance::Applied(Applied {
                rev: got,
                ..Applied::default()
            });
        }
        let (number, parts) = (part.part, part.parts);
        let mut assembly = match self.assembly.take() {
            Some(open) if open.continues_with(header, &part) => open,
            _ if number == 0 => Assembly::begin(header, &part),
            open => {
                self.assembly = open;
                return Acceptance::Gap { have, got };
            }
        };
        if number < assembly.next {
            self.assembly = Some(assembly);
            return Acceptance::Partial {
                part: number,
                parts,
            };
        }
        if let Err(rejection) = assembly.take(part) {
            return Acceptance::Rejected(rejection);
        }
        if assembly.next < parts {
            self.assembly = Some(assembly);
            return Acceptance::Partial {
                part: number,
                parts,
            };
        }
        Acceptance::Applied(self.replace(header, assembly, traceparent))
    }

    fn replace(
        &mut self,
        header: &DesiredHeader,
        assembly: Assembly,
        traceparent: Option<String>,
    ) -> Applied {
        let Assembly {
            rev_sequence,
            settings,
            works,
            ..
        } = assembly;
        let works: BTreeMap<ObjectName, HeldWork> = works
            .into_iter()
            .map(|(name, work)| {
                let removing = work.deletion_timestamp.is_some();
                (
                    name,
                    HeldWork {
                        work: Box::new(work),
                        removing,
                    },
                )
            })
            .collect();
        let moved = self
            .settings
            .as_ref()
            .filter(|known| known.clusterset != settings.clusterset)
            .map(|_| settings.clusterset.clone());
        // A revision that is known already and stands for a later moment is not given up.
        let numbered_later = rev_sequence >= self.rev_sequence;
        let rev = if numbered_later { header.rev } else { self.rev };
        let gone = |(name, held): (&ObjectName, &HeldWork)| (name.clone(), held.work.uid);
        let applied = Applied {
            rev,
            touched: works
                .iter()
                .filter(|(name, held)| self.works.get(*name) != Some(held))
                .map(|(name, _)| name.clone())
                .collect(),
            forgotten: self
                .works
                .iter()
                .filter(|(name, _)| !works.contains_key(*name))
                .map(gone)
                .collect(),
            unknown: Vec::new(),
            settings: self.settings.as_ref() != Some(&settings),
            moved,
            snapshot: true,
            traceparent,
        };
        self.rev = rev;
        self.rev_sequence = self.rev_sequence.max(rev_sequence);
        self.sequence = header.sequence;
        self.settings = Some(settings);
        self.works = works;
        applied
    }
}

impl Assembly {
    fn begin(header: &DesiredHeader, part: &SnapshotPart) -> Self {
        Self {
            rev: header.rev,
            rev_sequence: part.rev_sequence,
            sequence: header.sequence,
            parts: part.parts,
            next: 0,
            settings: part.settings.clone(),
            works: BTreeMap::new(),
        }
    }

    /// True if the part belongs to this snapshot. Its parts share one revision, or count up.
    fn continues_with(&self, header: &DesiredHeader, part: &SnapshotPart) -> bool {
        let rises = self.rev.checked_add(u64::from(part.part)) == Some(header.rev);
        header.sequence == self.sequence
            && part.parts == self.parts
            && part.rev_sequence == self.rev_sequence
            && part.settings == self.settings
            && (header.rev == self.rev || rises)
            && part.part <= self.next
    }

    fn take(&mut self, part: SnapshotPart) -> Result<(), Rejection> {
        for work in part.works {
            let follows = self
                .works
                .last_key_value()
                .is_none_or(|(last, _)| *last < work.name);
            if !follows {
                let text = format!("work {} is out of order in a snapshot", work.name);
                return Err(Rejection::Body(text));
            }
            self.works.insert(work.name.clone(), work);
        }
        self.next += 1;
        Ok(())
    }
}
