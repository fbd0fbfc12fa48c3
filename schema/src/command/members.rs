//! The members that commands have. A member that no command has is a mistake of whoever sends it,
//! and leaving it out of account could do harm: `dryrun` for `dryRun` would really delete.

use serde_json::Value;

use crate::decode::{FieldError, Problem, nearest};

/// Members of every command.
const COMMON: &[&str] = &["deadlineSeconds", "verb"];

/// Members of an [`ObjectKey`](crate::object::ObjectKey).
const KEY: &[&str] = &["kind", "workspace", "name"];

/// Members of each command by its verb. Documents, patches and labels are not looked into: they
/// have rules of their own.
const COMMANDS: &[(&str, &[&str])] = &[
    (
        "apply",
        &[
            "resource",
            "manager",
            "precondition",
            "validation",
            "dryRun",
        ],
    ),
    (
        "patch",
        &["key", "patch", "manager", "precondition", "dryRun"],
    ),
    ("delete", &["key", "precondition", "force", "dryRun"]),
    ("accept", &["cluster"]),
    ("deny", &["cluster"]),
    (
        "createToken",
        &[
            "token",
            "publicKey",
            "expiresAt",
            "uses",
            "cluster",
            "clusterset",
            "labels",
            "autoAccept",
        ],
    ),
    ("revokeToken", &["token"]),
];

/// The verbs of commands, as they stand in a body.
pub fn verbs() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|(verb, _)| *verb)
}

/// The members of a command's body that its verb does not have, each with its path. Nothing for a
/// body without a known verb: that is no command at all.
#[must_use]
pub fn unknown_members(body: &Value) -> Vec<FieldError> {
    let verb = body.get("verb").and_then(Value::as_str);
    let Some((_, own)) = COMMANDS.iter().find(|(known, _)| verb == Some(known)) else {
        return Vec::new();
    };
    let known: Vec<&str> = COMMON.iter().chain(*own).copied().collect();
    let mut errors = unknown(body, "", &known);
    if let Some(key) = body.get("key").filter(|_| own.contains(&"key")) {
        errors.extend(unknown(key, "key.", KEY));
    }
    errors
}

fn unknown(object: &Value, prefix: &str, known: &[&str]) -> Vec<FieldError> {
    let members = object
        .as_object()
        .into_iter()
        .flat_map(|object| object.keys());
    members
        .filter(|member| !known.contains(&member.as_str()))
        .map(|member| {
            let error = FieldError::new(format!("{prefix}{member}"), Problem::UnknownField);
            match nearest(member, known.iter().copied()) {
                Some(meant) => error.with_hint(&format!("did you mean {meant:?}?")),
                None => error,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, CommandMessage, FieldValidation, Precondition, TokenGrant};
    use crate::name::{ClusterName, ObjectName, SetName, TokenName, Workspace};
    use crate::object::ObjectKey;
    use crate::resource::KindName;
    use serde_json::json;
    use std::collections::{BTreeMap, BTreeSet};

    /// Every command with all of its members.
    fn full() -> Vec<Command> {
        let key = || ObjectKey {
            kind: KindName::ManifestWork,
            workspace: Some(Workspace::new("c1").unwrap()),
            name: ObjectName::new("web").unwrap(),
        };
        let cluster = || ClusterName::new("c1").unwrap();
        let token = || TokenName::new("shop").unwrap();
        let precondition = Precondition::ResourceVersion(7);
        vec![
            Command::Apply {
                resource: json!({"kind": "Namespace"}),
                manager: "skein".into(),
                precondition,
                validation: FieldValidation::Warn,
                dry_run: true,
            },
            Command::Patch {
                key: key(),
                patch: json!({"spec": {}}),
                manager: "skein".into(),
                precondition,
                dry_run: true,
            },
            Command::Delete {
                key: key(),
                precondition,
                force: true,
                dry_run: true,
            },
            Command::Accept { cluster: cluster() },
            Command::Deny { cluster: cluster() },
            Command::CreateToken(TokenGrant {
                token: token(),
                public_key: "UABC".into(),
                expires_at: "2026-11-24T00:00:00Z".parse().unwrap(),
                uses: 2,
                cluster: Some(cluster()),
                clusterset: Some(SetName::new("eu").unwrap()),
                labels: BTreeMap::from([("a".into(), "b".into())]),
                auto_accept: true,
            }),
            Command::RevokeToken { token: token() },
        ]
    }

    #[test]
    fn the_lists_hold_what_commands_are_written_with() {
        let mut seen = BTreeSet::new();
        for command in full() {
            let body = serde_json::to_value(CommandMessage {
                deadline_seconds: 30,
                command,
            })
            .unwrap();
            assert_eq!(unknown_members(&body), [], "{body}");
            let verb = body["verb"].as_str().unwrap().to_owned();
            let (_, own) = COMMANDS.iter().find(|(known, _)| *known == verb).unwrap();
            let listed: BTreeSet<&str> = COMMON.iter().chain(*own).copied().collect();
            let written = body.as_object().unwrap().keys();
            assert_eq!(written.map(String::as_str).collect::<BTreeSet<_>>(), listed);
            if let Some(key) = body.get("key") {
                let written: BTreeSet<&str> = key
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(String::as_str)
                    .collect();
                assert_eq!(written, KEY.iter().copied().collect());
            }
            seen.insert(verb);
        }
        assert_eq!(seen, verbs().map(str::to_owned).collect());
    }

    #[test]
    fn a_member_that_a_verb_does_not_have_is_found() {
        let body = json!({
            "deadlineSeconds": 3, "verb": "delete", "dryrun": true, "cluster": "c1",
            "key": {"kind": "ManagedCluster", "name": "c1", "namespace": "x"},
        });
        let mut found: Vec<String> = unknown_members(&body)
            .iter()
            .map(ToString::to_string)
            .collect();
        found.sort();
        assert_eq!(
            found,
            [
                "cluster: unknown field",
                "dryrun: unknown field (did you mean \"dryRun\"?)",
                "key.namespace: unknown field",
            ]
        );
        assert_eq!(unknown_members(&json!({"verb": "explode", "x": 1})), []);
        assert_eq!(unknown_members(&json!([1])), []);
    }
}
