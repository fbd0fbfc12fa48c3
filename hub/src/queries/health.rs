//! `health`: how this replica and its bus are.

use std::collections::BTreeMap;

use skein_nats::topology;
use skein_schema::query::{Answer, Health, StreamHealth};
use skein_schema::resource::KindName;

use super::{Asker, Inner, QueryError};
use crate::state::Standing;

impl Inner {
    pub(super) async fn health(&self, asker: &Asker) -> Result<(), QueryError> {
        let standing = self.state.standing().borrow().clone();
        let (sequence, objects) = {
            let view = self.state.read();
            let count =
                |kind: &KindName| u64::try_from(view.world.iter(*kind).count()).unwrap_or(u64::MAX);
            let objects: BTreeMap<String, u64> = KindName::ALL
                .iter()
                .map(|kind| (kind.info().plural.to_owned(), count(kind)))
                .collect();
            (view.world.sequence(), objects)
        };
        let health = Health {
            hub: self.name.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            leads: standing == Standing::Leading,
            fenced: match standing {
                Standing::Fenced(reason) => Some(reason),
                Standing::CatchingUp | Standing::Following | Standing::Leading => None,
            },
            time: (self.now)(),
            sequence,
            objects,
            server_version: self.connection.server_version(),
            streams: self.streams().await,
        };
        asker.send(&Answer::Health(Box::new(health))).await?;
        self.end(asker, sequence).await
    }

    /// How the streams are. One that cannot be asked about is listed with the reason.
    async fn streams(&self) -> Vec<StreamHealth> {
        match topology::inspect(&self.connection, self.replicas).await {
            Ok(streams) => streams
                .into_iter()
                .map(|stream| StreamHealth {
                    name: stream.name,
                    messages: stream.messages,
                    bytes: stream.bytes,
                    last_sequence: stream.last_sequence,
                    differences: stream.differences.iter().map(ToString::to_string).collect(),
                })
                .collect(),
            Err(error) => vec![StreamHealth {
                name: "(all)".to_owned(),
                messages: 0,
                bytes: 0,
                last_sequence: 0,
                differences: vec![crate::report(&error)],
            }],
        }
    }
}
