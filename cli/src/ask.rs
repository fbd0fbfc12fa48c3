//! How commands name objects, and the questions that several of them ask.

use serde_json::Value;
use skein_schema::code::Code;
use skein_schema::kind;
use skein_schema::name::{ClusterName, ObjectName, Workspace};
use skein_schema::object::ObjectKey;
use skein_schema::query::{Answer, At, Query, Selection};
use skein_schema::resource::KindName;

use crate::client::{Client, unexpected};
use crate::documents::Document;
use crate::error::{CliError, CliResult};

/// The kind that a person calls `text`: plural, singular, short name, kind, or `plural.group`.
pub(crate) fn kind(text: &str) -> CliResult<KindName> {
    kind::resolve(text).map(|info| info.name).map_err(|error| {
        let mut wrong = CliError::new(Code::UnknownKind, error.to_string());
        wrong = match error.hint() {
            Some(hint) => wrong.with_hint(hint),
            None => wrong.with_hint(format!("kinds are: {}", kinds())),
        };
        wrong
    })
}

/// All kinds, as they are asked for.
pub(crate) fn kinds() -> String {
    let plurals: Vec<&str> = KindName::ALL
        .iter()
        .map(|kind| kind.info().plural)
        .collect();
    plurals.join(", ")
}

/// A checked object name.
pub(crate) fn name(text: &str) -> CliResult<ObjectName> {
    ObjectName::new(text)
        .map_err(|error| CliError::new(Code::InvalidName, format!("name {text:?}")).because(&error))
}

/// A checked cluster name.
pub(crate) fn cluster(text: &str) -> CliResult<ClusterName> {
    ClusterName::new(text).map_err(|error| {
        CliError::new(Code::InvalidName, format!("cluster name {text:?}")).because(&error)
    })
}

/// Checked cluster names.
pub(crate) fn clusters(texts: &[String]) -> CliResult<Vec<ClusterName>> {
    texts.iter().map(|text| cluster(text)).collect()
}

/// The key of an object in a document; `workspace` is for namespaced kinds that name none.
pub(crate) fn key_of(document: &Document, workspace: &Workspace) -> CliResult<ObjectKey> {
    let of = |error: CliError| error.at(&document.place);
    let member = |path: &[&str]| text(&document.value, path).unwrap_or_default();
    let info = kind::lookup(member(&["apiVersion"]), member(&["kind"])).map_err(|error| {
        let wrong = CliError::new(Code::UnknownKind, error.to_string());
        of(match error.hint() {
            Some(hint) => wrong.with_hint(hint),
            None => wrong.with_hint(format!("kinds are: {}", kinds())),
        })
    })?;
    let workspace = match text(&document.value, &["metadata", "namespace"]) {
        Some(namespace) => Workspace::new(namespace).map_err(|error| {
            of(CliError::new(
                Code::InvalidName,
                format!("metadata.namespace {namespace:?}"),
            )
            .because(&error))
        })?,
        None => workspace.clone(),
    };
    key(info.name, &workspace, member(&["metadata", "name"])).map_err(of)
}

/// The key of an object that was named on the command line.
pub(crate) fn key(kind: KindName, workspace: &Workspace, text: &str) -> CliResult<ObjectKey> {
    let name = name(text)?;
    Ok(if kind.info().namespaced() {
        ObjectKey::namespaced(kind, workspace.clone(), name)
    } else {
        ObjectKey::cluster_scoped(kind, name)
    })
}

/// Reads `KIND NAME…`, `KIND/NAME…` as kubectl does.
pub(crate) fn keys(words: &[String], workspace: &Workspace) -> CliResult<Vec<ObjectKey>> {
    let slashed = words.iter().filter(|word| word.contains('/')).count();
    if slashed == words.len() {
        return words
            .iter()
            .map(|word| {
                let (of, name) = word.split_once('/').unwrap_or((word, ""));
                key(kind(of)?, workspace, name)
            })
            .collect();
    }
    if slashed > 0 {
        return Err(CliError::argument(
            "KIND NAME and KIND/NAME cannot be mixed",
        ));
    }
    let (of, names) = words
        .split_first()
        .map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let kind = kind(of)?;
    names
        .iter()
        .map(|name| key(kind, workspace, name))
        .collect()
}

/// An object as errors call it: `ManagedCluster "c1"`.
pub(crate) fn quoted(key: &ObjectKey) -> String {
    format!("{} {:?}", key.kind, key.name.as_str())
}

/// The selection of one object.
pub(crate) fn one(key: &ObjectKey, at: Option<At>) -> Selection {
    Selection {
        kind: key.kind,
        workspace: key.workspace.clone(),
        name: Some(key.name.clone()),
        label_selector: None,
        at,
    }
}

/// The object called `key`.
pub(crate) async fn get(client: &Client, key: &ObjectKey, at: Option<At>) -> CliResult<Value> {
    match list(client, one(key, at)).await?.pop() {
        Some(object) => Ok(object),
        None => Err(not_found(key)),
    }
}

/// The objects that `selection` selects.
pub(crate) async fn list(client: &Client, selection: Selection) -> CliResult<Vec<Value>> {
    let answers = client
        .query(&Query::Get(selection))
        .await?
        .collect()
        .await?;
    answers
        .into_iter()
        .map(|answer| match answer {
            Answer::Object { object } => Ok(object),
            other => Err(unexpected(&other)),
        })
        .collect()
}

/// Whether somebody made an object. ClusterRoles that are there by themselves have no uid: who asks
/// for everything does not mean them, and cannot apply them anywhere.
pub(crate) fn is_stored(object: &Value) -> bool {
    text(object, &["metadata", "uid"]).is_some()
}

/// The error for an object that is not there.
pub(crate) fn not_found(key: &ObjectKey) -> CliError {
    let place = key
        .workspace
        .as_ref()
        .map(|w| format!(" in namespace {w}"))
        .unwrap_or_default();
    CliError::new(
        Code::NotFound,
        format!(
            "{} {:?} not found{place}",
            key.kind.info().plural,
            key.name.as_str()
        ),
    )
    .with_hint(format!(
        "`skein get {}{}` lists what is there",
        key.kind.info().plural,
        if place.is_empty() { "" } else { " -A" }
    ))
}

/// The text at a path of object members, or nothing.
pub(crate) fn text<'a>(object: &'a Value, path: &[&str]) -> Option<&'a str> {
    path.iter()
        .try_fold(object, |value, name| value.get(name))?
        .as_str()
}

/// The ledger sequence that last touched `object`.
pub(crate) fn resource_version(object: &Value) -> CliResult<u64> {
    text(object, &["metadata", "resourceVersion"])
        .and_then(|version| version.parse().ok())
        .ok_or_else(|| {
            CliError::new(
                Code::Internal,
                "the hub sent an object without resourceVersion",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys_of(words: &[&str]) -> CliResult<Vec<String>> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        Ok(keys(&words, &Workspace::new("c1").unwrap())?
            .iter()
            .map(ToString::to_string)
            .collect())
    }

    #[test]
    fn objects_are_named_as_for_kubectl() {
        assert_eq!(
            keys_of(&["manifestworks", "web", "db"]).unwrap(),
            ["manifestworks/c1/web", "manifestworks/c1/db"]
        );
        assert_eq!(
            keys_of(&["managedcluster/c1", "ns/team-a"]).unwrap(),
            ["managedclusters/c1", "namespaces/team-a"]
        );
        assert_eq!(
            keys_of(&["manifestwork/web", "db"]).unwrap_err().code(),
            Code::InvalidArgument
        );
        assert_eq!(
            keys_of(&["pods", "x"]).unwrap_err().code(),
            Code::UnknownKind
        );
        assert_eq!(keys_of(&["ns", "*"]).unwrap_err().code(), Code::InvalidName);
    }
}
