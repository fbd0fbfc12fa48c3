//! The stored objects of one cluster: one version counter, a bounded history of changes, an index of owners.
//!
//! As in etcd, objects lie as encoded JSON; they are decoded when someone changes them. That keeps an idle
//! cluster small and makes lists and watches cheap.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::object;

/// An object's place: its namespace (empty for cluster scope) and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ObjectName {
    /// Namespace, or empty.
    pub(crate) namespace: Box<str>,
    /// Name.
    pub(crate) name: Box<str>,
}

/// Which object of the whole cluster: `plural.group` and place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ObjectKey {
    /// `plural.group`.
    pub(crate) resource: Arc<str>,
    /// Place.
    pub(crate) name: Arc<ObjectName>,
}

impl ObjectKey {
    /// A key from its parts.
    pub(crate) fn new(resource: &Arc<str>, namespace: &str, name: &str) -> ObjectKey {
        let name = ObjectName {
            namespace: namespace.into(),
            name: name.into(),
        };
        ObjectKey {
            resource: resource.clone(),
            name: Arc::new(name),
        }
    }
}

/// One version of one object.
#[derive(Debug, PartialEq)]
pub(crate) struct Stored {
    /// Its `resourceVersion`.
    pub(crate) version: u64,
    /// Its `uid`.
    pub(crate) uid: Box<str>,
    /// The uids of its owners.
    pub(crate) owners: Box<[Box<str>]>,
    /// The object as JSON, without `apiVersion` and `kind`: those depend on the version it is served in.
    pub(crate) raw: Box<str>,
}

impl Stored {
    fn new(version: u64, value: &Value) -> Stored {
        let uid_of = |owner: &Value| {
            owner
                .get("uid")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .into()
        };
        Stored {
            version,
            uid: object::meta(value, "uid").into(),
            owners: object::owners(value).iter().map(uid_of).collect(),
            raw: value.to_string().into(),
        }
    }

    /// Decodes the object.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.raw).expect("the store wrote this JSON itself")
    }
}

/// One change, as watches tell it.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// The version this change made.
    pub(crate) version: u64,
    /// Which object.
    pub(crate) key: ObjectKey,
    /// The object before, unless this created it.
    pub(crate) before: Option<Arc<Stored>>,
    /// The object after; for a deletion its last state, with the version of the deletion.
    pub(crate) after: Arc<Stored>,
    /// Whether the object is gone.
    pub(crate) deleted: bool,
}

/// The history that was asked for is no longer kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Compacted {
    /// The oldest version one can still start from.
    pub(crate) oldest: u64,
}

type Objects = BTreeMap<Arc<ObjectName>, Arc<Stored>>;

/// All objects of one cluster.
#[derive(Debug)]
pub(crate) struct Store {
    objects: BTreeMap<Arc<str>, Objects>,
    uids: BTreeMap<Box<str>, ObjectKey>,
    owned: BTreeMap<Box<str>, BTreeSet<ObjectKey>>,
    version: u64,
    compacted: u64,
    floor: u64,
    history: VecDeque<Change>,
    window: usize,
}

impl Store {
    /// An empty store that remembers the last `window` changes.
    pub(crate) fn new(window: usize) -> Store {
        Store {
            objects: BTreeMap::new(),
            uids: BTreeMap::new(),
            owned: BTreeMap::new(),
            version: 1,
            compacted: 1,
            floor: 1,
            history: VecDeque::new(),
            window,
        }
    }

    /// The version of the last change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The current version of an object.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&Arc<Stored>> {
        self.objects.get(&key.resource)?.get(&key.name)
    }

    /// The object with that uid.
    pub(crate) fn find_uid(&self, uid: &str) -> Option<&ObjectKey> {
        self.uids.get(uid)
    }

    /// The objects that name `uid` as an owner.
    pub(crate) fn owned_by(&self, uid: &str) -> Vec<ObjectKey> {
        self.owned.get(uid).into_iter().flatten().cloned().collect()
    }

    /// All objects of a kind, in one namespace or in all, by namespace and name.
    pub(crate) fn list<'s>(
        &'s self,
        resource: &str,
        namespace: &'s str,
    ) -> impl Iterator<Item = (&'s Arc<ObjectName>, &'s Arc<Stored>)> {
        let all = self.objects.get(resource).into_iter().flatten();
        all.filter(move |(name, _)| namespace.is_empty() || name.namespace.as_ref() == namespace)
    }

    /// The keys of everything in a namespace.
    pub(crate) fn content_of(&self, namespace: &str) -> Vec<ObjectKey> {
        let inside = |(resource, objects): (&Arc<str>, &Objects)| -> Vec<ObjectKey> {
            let names = objects
                .keys()
                .filter(|name| name.namespace.as_ref() == namespace);
            names
                .map(|name| ObjectKey {
                    resource: resource.clone(),
                    name: name.clone(),
                })
                .collect()
        };
        self.objects.iter().flat_map(inside).collect()
    }

    /// Stores an object under a new version, which it writes into its metadata.
    pub(crate) fn put(&mut self, key: &ObjectKey, mut value: Value) -> Change {
        let after = self.next(&mut value);
        let objects = self.objects.entry(key.resource.clone()).or_default();
        let before = objects.insert(key.name.clone(), after.clone());
        self.unindex(before.as_deref(), key);
        self.uids.insert(after.uid.clone(), key.clone());
        for owner in &after.owners {
            self.owned
                .entry(owner.clone())
                .or_default()
                .insert(key.clone());
        }
        self.record(Change {
            version: self.version,
            key: key.clone(),
            before,
            after,
            deleted: false,
        })
    }

    /// Removes an object whose last state is `value`.
    pub(crate) fn remove(&mut self, key: &ObjectKey, mut value: Value) -> Change {
        let after = self.next(&mut value);
        let objects = self.objects.get_mut(&key.resource);
        let before = objects.and_then(|objects| objects.remove(&key.name));
        self.unindex(before.as_deref(), key);
        self.record(Change {
            version: self.version,
            key: key.clone(),
            before,
            after,
            deleted: true,
        })
    }

    fn next(&mut self, value: &mut Value) -> Arc<Stored> {
        self.version += 1;
        object::meta_mut(value).insert(
            "resourceVersion".to_owned(),
            self.version.to_string().into(),
        );
        Arc::new(Stored::new(self.version, value))
    }

    fn unindex(&mut self, before: Option<&Stored>, key: &ObjectKey) {
        let Some(before) = before else { return };
        self.uids.remove(&before.uid);
        for owner in &before.owners {
            if let Some(owned) = self.owned.get_mut(owner) {
                owned.remove(key);
                if owned.is_empty() {
                    self.owned.remove(owner);
                }
            }
        }
    }

    fn record(&mut self, change: Change) -> Change {
        self.history.push_back(change.clone());
        while self.history.len() > self.window {
            self.forget_oldest();
        }
        change
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.history.pop_front() {
            self.compacted = oldest.version;
        }
    }

    /// Refuses to start from any version before the present one, as after an etcd compaction. Watches that are open go
    /// on, as they do in a real server.
    pub(crate) fn compact(&mut self) {
        self.floor = self.version;
    }

    /// Whether one can start to read from `version`.
    ///
    /// # Errors
    /// [`Compacted`] when the history from there on is no longer kept.
    pub(crate) fn check_start(&self, version: u64) -> Result<(), Compacted> {
        let oldest = self.compacted.max(self.floor);
        if version < oldest {
            Err(Compacted { oldest })
        } else {
            Ok(())
        }
    }

    /// The changes after `version`, oldest first.
    ///
    /// # Errors
    /// [`Compacted`] when some of them are no longer kept.
    pub(crate) fn since(&self, version: u64) -> Result<impl Iterator<Item = &Change>, Compacted> {
        if version < self.compacted {
            return Err(Compacted {
                oldest: self.compacted,
            });
        }
        let start = self
            .history
            .partition_point(|change| change.version <= version);
        Ok(self.history.range(start..))
    }

    /// The objects of a kind as they were at `version`.
    ///
    /// # Errors
    /// [`Compacted`] when that lies too far back.
    pub(crate) fn list_at(
        &self,
        resource: &str,
        namespace: &str,
        version: u64,
    ) -> Result<Objects, Compacted> {
        let mut objects: Objects = self
            .list(resource, namespace)
            .map(|(n, s)| (n.clone(), s.clone()))
            .collect();
        if version < self.version {
            self.check_start(version)?;
            let changes: Vec<&Change> = self.since(version)?.collect();
            let inside =
                |name: &ObjectName| namespace.is_empty() || name.namespace.as_ref() == namespace;
            let ours = |change: &&&Change| {
                change.key.resource.as_ref() == resource && inside(&change.key.name)
            };
            for change in changes.iter().rev().filter(ours) {
                match &change.before {
                    Some(before) => objects.insert(change.key.name.clone(), before.clone()),
                    None => objects.remove(&change.key.name),
                };
            }
        }
        Ok(objects)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(&Arc::from("configmaps"), "default", name)
    }

    fn object(uid: &str, data: &str) -> Value {
        json!({"metadata": {"uid": uid, "ownerReferences": [{"uid": "owner"}]}, "data": {"k": data}})
    }

    #[test]
    fn the_past_can_be_listed_until_it_is_compacted() {
        let mut store = Store::new(3);
        let first = store.put(&key("a"), object("1", "old")).version;
        store.put(&key("a"), object("1", "new"));
        store.put(&key("b"), object("2", "b"));
        let a = store.get(&key("a")).expect("stored").value();
        store.remove(&key("a"), a);
        let past = store.list_at("configmaps", "", first).expect("kept");
        assert_eq!(
            past.values()
                .map(|one| one.value()["data"]["k"].clone())
                .collect::<Vec<_>>(),
            ["old"]
        );
        assert_eq!(store.list("configmaps", "").count(), 1);
        store.put(&key("c"), object("3", "c"));
        assert_eq!(
            store.list_at("configmaps", "", first),
            Err(Compacted { oldest: first + 1 })
        );
    }

    #[test]
    fn owners_and_uids_are_indexed() {
        let mut store = Store::new(8);
        store.put(&key("a"), object("1", "a"));
        assert_eq!(store.owned_by("owner"), [key("a")]);
        assert_eq!(store.find_uid("1"), Some(&key("a")));
        store.put(&key("a"), json!({"metadata": {"uid": "1"}}));
        assert_eq!(store.owned_by("owner"), []);
        let last = store.get(&key("a")).expect("stored").value();
        assert!(store.remove(&key("a"), last).deleted);
        assert_eq!(store.find_uid("1"), None);
    }
}
