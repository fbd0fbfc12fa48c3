//! One message: is it the hub's word, is it the next one, and what does it change?

use super::{Acceptance, Applied, DesiredState, HeldWork, Rejection};
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signature, VerifyingKey};
use skein_schema::desired::{DesiredChange, DesiredHeader, DesiredMessage, signed_bytes};

impl DesiredState {
    /// Takes a message in. `signature` is base64url without padding.
    pub fn accept(&mut self, header: &DesiredHeader, body: &[u8], signature: &str) -> Acceptance {
        let message = match self.verify(header, body, signature) {
            Ok(message) => message,
            Err(rejection) => return Acceptance::Rejected(rejection),
        };
        let DesiredMessage {
            traceparent,
            mut changes,
        } = message;
        if changes
            .iter()
            .any(|change| matches!(change, DesiredChange::Snapshot(_)))
        {
            return match (changes.pop(), changes.is_empty()) {
                (Some(DesiredChange::Snapshot(part)), true) => {
                    self.accept_part(header, part, traceparent)
                }
                _ => Acceptance::Rejected(Rejection::Body(
                    "a part of a snapshot stands alone in its message".to_owned(),
                )),
            };
        }
        let (have, got) = (self.rev, header.rev);
        if got <= have || header.sequence < self.rev_sequence {
            return Acceptance::Stale { have, got };
        }
        if header.previous > have {
            return Acceptance::Gap { have, got };
        }
        if header.previous < have {
            let previous = header.previous;
            return Acceptance::Rejected(Rejection::Order {
                have,
                previous,
                rev: got,
            });
        }
        // The answer to a catch-up may have brought the state of a later moment than its revision
        // stands for. What follows that revision is in it, then, but for keys, which no state holds.
        let included = self.rev_sequence < self.sequence && header.sequence <= self.sequence;
        self.rev = header.rev;
        self.rev_sequence = header.sequence;
        self.sequence = self.sequence.max(header.sequence);
        self.assembly = None;
        let mut applied = Applied {
            rev: header.rev,
            traceparent: traceparent.filter(|_| !included),
            ..Applied::default()
        };
        for change in changes {
            if !included || matches!(change, DesiredChange::SigningKey { .. }) {
                self.change(change, &mut applied);
            }
        }
        Acceptance::Applied(applied)
    }

    fn verify(
        &self,
        header: &DesiredHeader,
        body: &[u8],
        signature: &str,
    ) -> Result<DesiredMessage, Rejection> {
        if header.cluster != self.cluster {
            return Err(Rejection::WrongCluster(header.cluster.clone()));
        }
        let key = self
            .keys
            .get(&header.key_id)
            .and_then(|text| verifying_key(text))
            .ok_or_else(|| Rejection::UnknownKey(header.key_id.clone()))?;
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).ok();
        let signature = signature.and_then(|bytes| Signature::from_slice(&bytes).ok());
        let signed = signed_bytes(header, body);
        signature
            .and_then(|signature| key.verify_strict(&signed, &signature).ok())
            .ok_or(Rejection::Signature)?;
        serde_json::from_slice(body).map_err(|error| Rejection::Body(error.to_string()))
    }

    fn change(&mut self, change: DesiredChange, applied: &mut Applied) {
        match change {
            DesiredChange::Work(work) => {
                let removing = work.deletion_timestamp.is_some();
                applied.touched.insert(work.name.clone());
                self.works
                    .insert(work.name.clone(), HeldWork { work, removing });
            }
            DesiredChange::RemoveWork { name, uid } => match self.works.get_mut(&name) {
                Some(held) if held.work.uid == uid => {
                    held.removing = true;
                    applied.touched.insert(name);
                }
                _ => applied.unknown.push((name, uid)),
            },
            DesiredChange::ForgetWork { name, uid } => {
                if self
                    .works
                    .get(&name)
                    .is_some_and(|held| held.work.uid == uid)
                {
                    self.works.remove(&name);
                    applied.touched.remove(&name);
                    applied.forgotten.push((name, uid));
                }
            }
            DesiredChange::Settings(settings) => {
                applied.settings |= self.settings.as_ref() != Some(&settings);
                self.settings = Some(settings);
            }
            DesiredChange::Moved { clusterset } => {
                if let Some(settings) = &mut self.settings {
                    settings.clusterset = clusterset.clone();
                    applied.settings = true;
                }
                applied.moved = Some(clusterset);
            }
            DesiredChange::SigningKey { key_id, public_key } => {
                self.keys.insert(key_id, public_key);
            }
            // Taken out above.
            DesiredChange::Snapshot(_) => {}
        }
    }
}

fn verifying_key(text: &str) -> Option<VerifyingKey> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    VerifyingKey::from_bytes(&bytes.try_into().ok()?).ok()
}
