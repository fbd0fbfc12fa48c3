//! Desired messages: numbered, cut into parts, signed.

use std::sync::Arc;

use skein_schema::desired::{
    ClusterSettings, DesiredChange, DesiredHeader, DesiredMessage, DesiredWork, SnapshotPart,
};
use skein_schema::name::{ClusterName, SetName};
use skein_schema::subject;

use super::lines::Line;
use super::outbox::Waiting;
use crate::signing::SigningKey;

/// Works of one snapshot part, at most, in bytes of JSON.
const PART_BYTES: usize = 256 * 1024;

/// A message ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Outbound {
    /// For whom.
    pub cluster: ClusterName,
    /// The cluster's line once it is stored.
    pub line: Line,
    /// Where to.
    pub subject: String,
    /// Its headers, signature included.
    pub headers: Vec<(&'static str, String)>,
    /// Its body.
    pub body: Vec<u8>,
    /// It takes the place of all before it on its subject.
    pub rolls_up: bool,
}

/// What comes next on a cluster's line.
#[derive(Debug)]
pub(crate) enum Next {
    /// A change.
    Change(Outbound),
    /// The last message on this subject; a snapshot follows on the other set's.
    Moved(Outbound),
}

/// How the parts of a snapshot are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revisions {
    /// One behind another, beginning behind the given revision: parts in a stream.
    Rising,
    /// All with the given revision: an answer, which says again what the stream has said.
    Same {
        /// The ledger sequence that this revision stands for.
        rev_sequence: u64,
    },
}

/// Makes messages.
#[derive(Debug, Clone)]
pub struct Composer {
    key: Arc<SigningKey>,
}

impl Composer {
    /// A composer that signs with `key`.
    #[must_use]
    pub fn new(key: Arc<SigningKey>) -> Self {
        Self { key }
    }

    /// The message for a change, behind `line`.
    pub(crate) fn change(&self, cluster: &ClusterName, line: &Line, change: &Waiting) -> Next {
        let moved = change.changes.iter().find_map(|change| match change {
            DesiredChange::Moved { clusterset } => Some(clusterset.clone()),
            _ => None,
        });
        let changes = match &moved {
            // What else changed is in the snapshot on the new subject.
            Some(set) => vec![DesiredChange::Moved {
                clusterset: set.clone(),
            }],
            None => change.changes.clone(),
        };
        let message = DesiredMessage {
            traceparent: change.traceparent.clone(),
            changes,
        };
        let outbound = self.message(
            DesiredHeader {
                cluster: cluster.clone(),
                rev: line.assigned + 1,
                previous: line.assigned,
                sequence: change.sequence,
                key_id: self.key.id().to_owned(),
            },
            &line.set,
            &message,
        );
        if moved.is_some() {
            Next::Moved(outbound)
        } else {
            Next::Change(outbound)
        }
    }

    /// The messages of a whole state that includes ledger sequence `sequence`.
    #[must_use]
    pub fn snapshot(
        &self,
        cluster: &ClusterName,
        rev: u64,
        sequence: u64,
        settings: &ClusterSettings,
        works: Vec<DesiredWork>,
        revisions: Revisions,
    ) -> Vec<Outbound> {
        let parts = cut(works);
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let messages = parts.into_iter().zip(0..).map(|(works, part)| {
            let change = DesiredChange::Snapshot(SnapshotPart {
                part,
                parts: count,
                rev_sequence: match revisions {
                    Revisions::Rising => sequence,
                    Revisions::Same { rev_sequence } => rev_sequence,
                },
                settings: settings.clone(),
                works,
            });
            let header = DesiredHeader {
                cluster: cluster.clone(),
                rev: if revisions == Revisions::Rising {
                    rev + 1 + u64::from(part)
                } else {
                    rev
                },
                previous: 0,
                sequence,
                key_id: self.key.id().to_owned(),
            };
            let message = DesiredMessage {
                traceparent: None,
                changes: vec![change],
            };
            let mut outbound = self.message(header, &settings.clusterset, &message);
            outbound.rolls_up = part == 0;
            outbound
        });
        messages.collect()
    }

    fn message(&self, header: DesiredHeader, set: &SetName, message: &DesiredMessage) -> Outbound {
        let body = serde_json::to_vec(message).expect("messages of the schema are JSON");
        Outbound {
            subject: subject::desired(set, &header.cluster),
            headers: self.key.signed_headers(&header, &body),
            line: Line::new(set.clone(), header.rev, header.sequence),
            cluster: header.cluster,
            body,
            rolls_up: false,
        }
    }
}

/// Cuts works into parts of bounded size, in the order of their names; at least one part.
fn cut(mut works: Vec<DesiredWork>) -> Vec<Vec<DesiredWork>> {
    works.sort_by(|a, b| a.name.cmp(&b.name));
    let mut parts = vec![Vec::new()];
    let mut size = 0;
    for work in works {
        let bytes = serde_json::to_vec(&work).map_or(0, |json| json.len());
        if size > 0 && size + bytes > PART_BYTES {
            parts.push(Vec::new());
            size = 0;
        }
        size += bytes;
        parts
            .last_mut()
            .expect("there is at least one part")
            .push(work);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use skein_schema::name::ObjectName;
    use uuid::Uuid;

    fn composer() -> Composer {
        Composer::new(Arc::new(SigningKey::from_seed(&[1; 32]).unwrap()))
    }

    fn cluster() -> ClusterName {
        ClusterName::new("c1").unwrap()
    }

    fn settings() -> ClusterSettings {
        ClusterSettings {
            clusterset: SetName::default_set(),
            lease_duration_seconds: 60,
            managed_namespaces: std::collections::BTreeMap::new(),
        }
    }

    fn work(name: &str, bytes: usize) -> DesiredWork {
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"},
            "data": {"text": "x".repeat(bytes)}});
        DesiredWork {
            name: ObjectName::new(name).unwrap(),
            uid: Uuid::nil(),
            generation: 1,
            resource_version: 1,
            spec: serde_json::from_value(json!({"workload": {"manifests": [manifest]}})).unwrap(),
            deletion_timestamp: None,
        }
    }

    fn revs(outbounds: &[Outbound]) -> Vec<(u64, u64, bool)> {
        let get = |o: &Outbound, name: &str| {
            o.headers
                .iter()
                .find(|(n, _)| *n == name)
                .unwrap()
                .1
                .parse::<u64>()
                .unwrap()
        };
        outbounds
            .iter()
            .map(|o| {
                (
                    get(o, "Skein-Rev"),
                    get(o, "Skein-Previous-Rev"),
                    o.rolls_up,
                )
            })
            .collect()
    }

    #[test]
    fn a_change_follows_its_predecessor() {
        let line = Line {
            stored: 4,
            ..Line::new(SetName::default_set(), 6, 30)
        };
        let waiting = Waiting {
            sequence: 31,
            traceparent: None,
            changes: vec![DesiredChange::Settings(settings())],
        };
        let Next::Change(outbound) = composer().change(&cluster(), &line, &waiting) else {
            panic!("a change")
        };
        assert_eq!(revs(std::slice::from_ref(&outbound)), [(7, 6, false)]);
        assert_eq!(
            (outbound.subject.as_str(), outbound.line.sequence),
            ("desired.default.c1", 31)
        );
    }

    #[test]
    fn a_move_ends_the_old_line() {
        let line = Line::new(SetName::default_set(), 4, 30);
        let eu = SetName::new("eu").unwrap();
        let changes = vec![
            DesiredChange::Settings(settings()),
            DesiredChange::Moved {
                clusterset: eu.clone(),
            },
        ];
        let waiting = Waiting {
            sequence: 31,
            traceparent: None,
            changes,
        };
        let Next::Moved(outbound) = composer().change(&cluster(), &line, &waiting) else {
            panic!("a move")
        };
        assert_eq!(outbound.subject, "desired.default.c1");
        let message: DesiredMessage = serde_json::from_slice(&outbound.body).unwrap();
        assert_eq!(message.changes, [DesiredChange::Moved { clusterset: eu }]);
    }

    #[test]
    fn a_large_state_comes_in_parts_in_the_order_of_names() {
        let works = vec![work("c", 200_000), work("a", 200_000), work("b", 1)];
        let parts = composer().snapshot(
            &cluster(),
            6,
            31,
            &settings(),
            works.clone(),
            Revisions::Rising,
        );
        assert_eq!(revs(&parts), [(7, 0, true), (8, 0, false)]);
        let names: Vec<String> = parts
            .iter()
            .flat_map(|part| {
                let message: DesiredMessage = serde_json::from_slice(&part.body).unwrap();
                let [DesiredChange::Snapshot(part)] = &message.changes[..] else {
                    panic!("one part")
                };
                assert_eq!(part.parts, 2);
                part.works
                    .iter()
                    .map(|work| work.name.to_string())
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(
            revs(&composer().snapshot(
                &cluster(),
                6,
                31,
                &settings(),
                works,
                Revisions::Same { rev_sequence: 29 }
            )),
            [(6, 0, true), (6, 0, false)]
        );
        assert_eq!(
            composer()
                .snapshot(&cluster(), 0, 1, &settings(), vec![], Revisions::Rising)
                .len(),
            1,
            "an empty state is one part"
        );
    }
}
