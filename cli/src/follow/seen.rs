//! What a watch has told already.

use std::collections::{BTreeMap, BTreeSet};

use skein_schema::query::{Answer, WatchChange};

use crate::ask;
use crate::client::unexpected;
use crate::error::CliResult;
use serde_json::Value;

/// An object's namespace and name; a watch is about one kind.
type Name = (String, String);

/// What a watch has told, so that being told it again is no news.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// As JSON text, which takes a fraction of the memory of a tree.
    told: BTreeMap<Name, String>,
    /// While everything is listed again: what was.
    listed: Option<BTreeSet<Name>>,
}

impl Seen {
    /// Everything is going to be listed again.
    pub(super) fn begin_again(&mut self) {
        self.listed = Some(BTreeSet::new());
    }

    /// What is news of an answer.
    pub(super) fn take(&mut self, answer: Answer) -> CliResult<Vec<Answer>> {
        match answer {
            Answer::Changed { change, object } => Ok(self.changed(change, object)),
            Answer::Listed => {
                let mut news = self.missing();
                news.push(Answer::Listed);
                Ok(news)
            }
            other => Err(unexpected(&other)),
        }
    }

    fn changed(&mut self, change: WatchChange, object: Value) -> Vec<Answer> {
        let name = name(&object);
        if change == WatchChange::Deleted {
            self.told.remove(&name);
            return vec![Answer::Changed { change, object }];
        }
        let before = self.told.insert(name.clone(), object.to_string());
        let change = match (&mut self.listed, before) {
            (None, _) => change,
            (Some(listed), before) => {
                listed.insert(name.clone());
                match before {
                    Some(before) if self.told.get(&name) == Some(&before) => return Vec::new(),
                    Some(_) => WatchChange::Modified,
                    None => WatchChange::Added,
                }
            }
        };
        vec![Answer::Changed { change, object }]
    }

    /// What was told and is not listed any more.
    fn missing(&mut self) -> Vec<Answer> {
        let Some(listed) = self.listed.take() else {
            return Vec::new();
        };
        let gone = self.told.extract_if(.., |name, _| !listed.contains(name));
        gone.map(|(_, text)| Answer::Changed {
            change: WatchChange::Deleted,
            object: serde_json::from_str(&text).unwrap_or_default(),
        })
        .collect()
    }
}

fn name(object: &Value) -> Name {
    let member = |name| {
        ask::text(object, &["metadata", name])
            .unwrap_or_default()
            .to_owned()
    };
    (member("namespace"), member("name"))
}
