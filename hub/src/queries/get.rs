//! `get`, `diff`, `sealing-key` and `tokens`.

use serde_json::Value;
use skein_hub_core::{history, view};
use skein_schema::code::{Code, Refusal};
use skein_schema::name::{ClusterName, Workspace};
use skein_schema::query::{Answer, At, Selection};
use skein_schema::resource::KindName;

use super::{Asker, Inner, QueryError};

impl Inner {
    pub(super) async fn get(&self, asker: &Asker, selection: &Selection) -> Result<(), QueryError> {
        let (sequence, objects) = match selection.at {
            None => {
                let view = self.state.read();
                (
                    view.world.sequence(),
                    view::select(&view.world, &view.observed, selection)?,
                )
            }
            Some(at) => {
                let past = self.past.at(at, &self.state).await?;
                (
                    past.world.sequence(),
                    view::select(&past.world, &past.observed, selection)?,
                )
            }
        };
        for (_, object) in objects {
            let object = self.hydrator.hydrate(object).await?;
            asker.send(&Answer::Object { object }).await?;
        }
        self.end(asker, sequence).await
    }

    pub(super) async fn diff(
        &self,
        asker: &Asker,
        from: At,
        to: Option<At>,
        kind: Option<KindName>,
        workspace: Option<&Workspace>,
    ) -> Result<(), QueryError> {
        let before = self.past.at(from, &self.state).await?;
        let after = match to {
            Some(to) => self.past.at(to, &self.state).await?,
            None => std::sync::Arc::new(self.state.read().clone()),
        };
        let differences = history::diff(&before.world, &after.world, kind, workspace);
        for difference in differences {
            let (before, after) = (
                self.side(difference.before).await?,
                self.side(difference.after).await?,
            );
            asker
                .send(&Answer::Difference {
                    key: difference.key,
                    before,
                    after,
                })
                .await?;
        }
        self.end(asker, after.world.sequence()).await
    }

    async fn side(&self, object: Option<Value>) -> Result<Option<Value>, QueryError> {
        match object {
            Some(object) => Ok(Some(self.hydrator.hydrate(object).await?)),
            None => Ok(None),
        }
    }

    pub(super) async fn sealing_key(
        &self,
        asker: &Asker,
        cluster: &ClusterName,
    ) -> Result<(), QueryError> {
        let (sequence, key) = {
            let view = self.state.read();
            let Some(record) = view.world.cluster(cluster) else {
                return Err(Refusal::new(
                    Code::NotFound,
                    format!("managedcluster {cluster:?} does not exist"),
                )
                .with_hint("`skein get managedclusters` lists those that do")
                .into());
            };
            (
                view.world.sequence(),
                record
                    .keys
                    .as_ref()
                    .and_then(|keys| keys.sealing_key.clone()),
            )
        };
        let Some(public_key) = key else {
            return Err(Refusal::new(
                Code::NotFound,
                format!("managedcluster {cluster:?} has no sealing key yet"),
            )
            .with_hint(
                "a cluster brings its key when it joins; wait for it or send the Secret later",
            )
            .into());
        };
        asker.send(&Answer::SealingKey { public_key }).await?;
        self.end(asker, sequence).await
    }

    pub(super) async fn tokens(&self, asker: &Asker) -> Result<(), QueryError> {
        let (sequence, tokens) = {
            let view = self.state.read();
            (
                view.world.sequence(),
                view.world
                    .tokens()
                    .map(|(_, token)| token.view())
                    .collect::<Vec<_>>(),
            )
        };
        for token in tokens {
            asker.send(&Answer::Token(Box::new(token))).await?;
        }
        self.end(asker, sequence).await
    }
}
