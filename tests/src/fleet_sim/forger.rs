//! Somebody who can put messages onto the bus, but does not have the hub's key.

use skein_agent_core::state::{Acceptance, DesiredState};
use skein_schema::desired::{DesiredChange, DesiredHeader, DesiredMessage};
use skein_schema::name::{ClusterName, ObjectName};
use uuid::Uuid;

use super::bus::Desired;
use super::signer::Signer;
use super::truth::must;
use super::{Broken, Fleet, Happening};

impl Fleet {
    /// No forged message changes anything of what an agent knows.
    pub(super) fn forge(&mut self) -> Result<(), Broken> {
        if self.trouble() {
            let next = self.dice.between(2_000, 15_000);
            self.plan(next, Happening::Forge);
        }
        let number = self.dice.place(self.agents.len());
        let Some(known) = self.agents[number].state.clone() else {
            return Ok(());
        };
        for forged in self.forgeries(&known) {
            let mut state = known.clone();
            let acceptance = state.accept(&forged.header, &forged.body, &forged.signature);
            must(matches!(acceptance, Acceptance::Rejected(_)), || {
                format!("a forged message was not refused but {acceptance:?}: {forged:?}")
            })?;
            must(bytes(&state) == bytes(&known), || {
                format!("a forged message changed what an agent knows: {forged:?}")
            })?;
            self.summary.forged += 1;
        }
        Ok(())
    }

    fn forgeries(&mut self, known: &DesiredState) -> Vec<Desired> {
        let header = DesiredHeader {
            cluster: known.cluster().clone(),
            rev: known.rev() + 1,
            previous: known.rev(),
            sequence: known.sequence() + 1,
            key_id: self.signer.id.clone(),
        };
        let message = DesiredMessage {
            traceparent: None,
            changes: vec![DesiredChange::RemoveWork {
                name: ObjectName::new("w0").expect("a label"),
                uid: Uuid::nil(),
            }],
        };
        let set = skein_schema::name::SetName::default_set();
        // Another key under the hub's name, and under its own.
        let impostor = Signer::new(&self.signer.id, self.dice.bytes());
        let stranger = Signer::new("another-key", self.dice.bytes());
        let strange = DesiredHeader {
            key_id: stranger.id.clone(),
            ..header.clone()
        };
        let mut forged = vec![
            impostor.sign(set.clone(), header.clone(), &message),
            stranger.sign(set, strange, &message),
        ];
        let stored = self.bus.desired.values().flatten().cloned();
        let genuine: Vec<_> = stored.collect();
        if !genuine.is_empty() {
            let real = genuine[self.dice.place(genuine.len())].clone();
            forged.extend(tampered(&real, known, &message));
        }
        forged
    }
}

/// The hub's own message with something else in it.
fn tampered(real: &Desired, known: &DesiredState, message: &DesiredMessage) -> Vec<Desired> {
    let mine = DesiredHeader {
        cluster: known.cluster().clone(),
        ..real.header.clone()
    };
    let with_header = |header: DesiredHeader| Desired {
        header,
        ..real.clone()
    };
    let mut forged = vec![
        with_header(DesiredHeader {
            rev: known.rev() + 1,
            previous: known.rev(),
            sequence: known.sequence() + 1_000,
            ..mine.clone()
        }),
        with_header(DesiredHeader {
            sequence: real.header.sequence + 1,
            ..mine.clone()
        }),
        Desired {
            body: serde_json::to_vec(message).expect("messages of the schema are JSON"),
            header: mine.clone(),
            ..real.clone()
        },
        Desired {
            signature: String::new(),
            header: mine.clone(),
            ..real.clone()
        },
    ];
    if real.header.cluster != *known.cluster() {
        // Another cluster's message, as it is and with the name changed.
        forged.push(real.clone());
        forged.push(with_header(mine));
    } else {
        let other = ClusterName::new("another-cluster").expect("a label");
        forged.push(with_header(DesiredHeader {
            cluster: other,
            ..mine
        }));
    }
    forged
}

fn bytes(state: &DesiredState) -> Vec<u8> {
    serde_json::to_vec(state).expect("a desired state is JSON")
}
