//! `watch`: what is selected, and then every change of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use skein_hub_core::view;
use skein_schema::object::ObjectKey;
use skein_schema::query::{Answer, Selection, WatchChange};
use tokio::sync::broadcast::error::RecvError;

use super::{Asker, Inner, QueryError};

/// What the asker was told of each object, packed and as JSON.
type Told = BTreeMap<ObjectKey, Bytes>;

/// What the asker is to be told.
struct News {
    change: WatchChange,
    object: Value,
}

impl Inner {
    pub(super) async fn watch(
        &self,
        asker: &Asker,
        selection: &Selection,
    ) -> Result<(), QueryError> {
        // First listen, then look: nothing falls between.
        let mut changes = self.state.changes();
        let mut told = Told::new();
        let first = self.look(selection, &mut told)?;
        self.tell(asker, first).await?;
        asker.send(&Answer::Listed).await?;
        let gone = asker.gone();
        tokio::pin!(gone);
        loop {
            let touched = tokio::select! {
                () = &mut gone => return Err(QueryError::Gone),
                change = changes.recv() => match change {
                    Ok(change) => Some(change),
                    // Too far behind to go object by object: look at all of them.
                    Err(RecvError::Lagged(_)) => None,
                    Err(RecvError::Closed) => return Err(QueryError::Gone),
                },
            };
            let news = match touched {
                None => self.look(selection, &mut told)?,
                Some(change) => {
                    let mut news = Vec::new();
                    for key in change.touched.iter().filter(|key| concerns(selection, key)) {
                        news.extend(self.look_at(selection, key, &mut told)?);
                    }
                    news
                }
            };
            self.tell(asker, news).await?;
        }
    }

    async fn tell(&self, asker: &Asker, news: Vec<News>) -> Result<(), QueryError> {
        for News { change, object } in news {
            let object = self.hydrator.hydrate(object).await?;
            asker.send(&Answer::Changed { change, object }).await?;
        }
        Ok(())
    }

    /// Compares everything selected with what was told.
    fn look(&self, selection: &Selection, told: &mut Told) -> Result<Vec<News>, QueryError> {
        let now = {
            let view = self.state.read();
            view::select(&view.world, &view.observed, selection)
        };
        // An object that is asked for by name and not there is no error while watching.
        let now: BTreeMap<ObjectKey, Value> = match now {
            Ok(objects) => objects.into_iter().collect(),
            Err(refusal)
                if selection.name.is_some()
                    && refusal.code == skein_schema::code::Code::NotFound =>
            {
                BTreeMap::new()
            }
            Err(refusal) => return Err(refusal.into()),
        };
        let gone: Vec<ObjectKey> = told
            .keys()
            .filter(|key| !now.contains_key(key))
            .cloned()
            .collect();
        let mut news: Vec<News> = gone
            .iter()
            .filter_map(|key| compare(key, None, told))
            .collect();
        news.extend(
            now.into_iter()
                .filter_map(|(key, object)| compare(&key, Some(object), told)),
        );
        Ok(news)
    }

    /// Compares one object with what was told.
    fn look_at(
        &self,
        selection: &Selection,
        key: &ObjectKey,
        told: &mut Told,
    ) -> Result<Option<News>, QueryError> {
        let one = Selection {
            name: Some(key.name.clone()),
            workspace: key.workspace.clone(),
            ..selection.clone()
        };
        let now = {
            let view = self.state.read();
            view::select(&view.world, &view.observed, &one)
        };
        let object = match now {
            Ok(objects) => objects.into_iter().next().map(|(_, object)| object),
            Err(refusal) if refusal.code == skein_schema::code::Code::NotFound => None,
            Err(refusal) => return Err(refusal.into()),
        };
        Ok(compare(key, object, told))
    }
}

/// Whether an object of this key can be selected.
fn concerns(selection: &Selection, key: &ObjectKey) -> bool {
    selection.kind == key.kind
        && selection.name.as_ref().is_none_or(|name| *name == key.name)
        && (selection.workspace.is_none()
            || key.workspace.is_none()
            || selection.workspace == key.workspace)
}

/// What to tell about an object that is now `object`, given what was told of it.
fn compare(key: &ObjectKey, object: Option<Value>, told: &mut Told) -> Option<News> {
    match object {
        Some(object) => {
            let json = Bytes::from(object.to_string());
            let change = match told.get(key) {
                Some(before) if *before == json => return None,
                Some(_) => WatchChange::Modified,
                None => WatchChange::Added,
            };
            told.insert(key.clone(), json);
            Some(News { change, object })
        }
        None => {
            let last = told.remove(key)?;
            let object = serde_json::from_slice(&last).expect("it was written as JSON here");
            Some(News {
                change: WatchChange::Deleted,
                object,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use skein_schema::name::ObjectName;
    use skein_schema::resource::KindName;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::cluster_scoped(KindName::ManagedCluster, ObjectName::new(name).unwrap())
    }

    #[test]
    fn only_differences_are_told() {
        let mut told = Told::new();
        let mut see = |object: Option<Value>| {
            compare(&key("c1"), object, &mut told).map(|news| (news.change, news.object))
        };
        assert_eq!(see(None), None, "never seen, not there");
        assert_eq!(
            see(Some(json!({"a": 1}))),
            Some((WatchChange::Added, json!({"a": 1})))
        );
        assert_eq!(see(Some(json!({"a": 1}))), None, "the same again");
        assert_eq!(
            see(Some(json!({"a": 2}))),
            Some((WatchChange::Modified, json!({"a": 2})))
        );
        assert_eq!(
            see(None),
            Some((WatchChange::Deleted, json!({"a": 2}))),
            "as it last was"
        );
        assert_eq!(see(None), None);
    }

    #[test]
    fn a_selection_looks_at_its_own_objects_alone() {
        let selection = |kind, name: Option<&str>| Selection {
            kind,
            workspace: None,
            name: name.map(|name| ObjectName::new(name).unwrap()),
            label_selector: None,
            at: None,
        };
        assert!(concerns(
            &selection(KindName::ManagedCluster, None),
            &key("c1")
        ));
        assert!(concerns(
            &selection(KindName::ManagedCluster, Some("c1")),
            &key("c1")
        ));
        assert!(!concerns(
            &selection(KindName::ManagedCluster, Some("c2")),
            &key("c1")
        ));
        assert!(!concerns(&selection(KindName::Namespace, None), &key("c1")));
    }
}
