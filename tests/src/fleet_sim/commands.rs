//! What people ask for: mostly sensible, sometimes not.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use skein_schema::command::{Command, FieldValidation, Precondition, TokenGrant};
use skein_schema::name::{ClusterName, ObjectName, SetName, TokenName};
use skein_schema::object::ObjectKey;

use super::dice::Dice;

/// The sets that clusters are moved between.
const SETS: [&str; 3] = ["default", "eu", "us"];
/// Different works of a cluster.
const WORKS: u64 = 5;
/// Bytes of a manifest that is too large to travel in the record.
const LARGE: u64 = 9_000;

/// Makes commands.
#[derive(Debug)]
pub(super) struct Commands {
    clusters: Vec<ClusterName>,
    /// Said once each, before anything else.
    first: Vec<Command>,
}

impl Commands {
    /// Tokens for these clusters and sets for them to be in come first.
    pub(super) fn new(
        clusters: &[(ClusterName, TokenName, String)],
        now: Timestamp,
        dice: &mut Dice,
    ) -> Self {
        let mut first: Vec<_> = clusters
            .iter()
            .map(|(cluster, token, public_key)| {
                Command::CreateToken(TokenGrant {
                    token: token.clone(),
                    public_key: public_key.clone(),
                    expires_at: now + SignedDuration::from_hours(24),
                    uses: 10,
                    cluster: dice.chance(0.3).then(|| cluster.clone()),
                    clusterset: None,
                    labels: BTreeMap::new(),
                    auto_accept: dice.chance(0.5),
                })
            })
            .collect();
        first.extend([clusterset("eu", 0), clusterset("us", 0)]);
        first.reverse();
        Self {
            clusters: clusters
                .iter()
                .map(|(cluster, _, _)| cluster.clone())
                .collect(),
            first,
        }
    }

    /// The next command and who sends it.
    pub(super) fn next(&mut self, dice: &mut Dice) -> (&'static str, Command) {
        if let Some(command) = self.first.pop() {
            return ("admin", command);
        }
        let user = if dice.chance(0.03) {
            "mallory"
        } else {
            "admin"
        };
        (user, self.any(dice))
    }

    fn any(&self, dice: &mut Dice) -> Command {
        let cluster = self.clusters[dice.place(self.clusters.len())].clone();
        let work = ObjectName::new(format!("w{}", dice.below(WORKS))).expect("a label");
        match dice.below(100) {
            0..=17 => Command::Accept { cluster },
            18..=21 => Command::Deny { cluster },
            22..=58 => apply(work_document(&cluster, &work, dice)),
            59..=69 => delete(ObjectKey::work(&cluster, &work), dice.chance(0.15)),
            70..=77 => {
                let set = SETS[dice.place(SETS.len())];
                let label = json!({"cluster.open-cluster-management.io/clusterset": set});
                patch(ObjectKey::cluster(&cluster), &json!({"labels": label}))
            }
            78..=82 => {
                let labels = json!({"tier": format!("t{}", dice.below(3))});
                patch(ObjectKey::cluster(&cluster), &json!({"labels": labels}))
            }
            83..=86 => delete(ObjectKey::cluster(&cluster), dice.chance(0.3)),
            87..=91 => clusterset(SETS[1 + dice.place(2)], dice.below(3)),
            92..=93 => {
                let set = SetName::new(SETS[dice.place(SETS.len())]).expect("a label");
                delete(ObjectKey::clusterset(&set), dice.chance(0.2))
            }
            94..=95 => Command::RevokeToken {
                token: TokenName::new("no-such-token").expect("a label"),
            },
            96..=97 => apply(
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "Not A Name"}}),
            ),
            _ => apply(open_secret(&cluster, &work)),
        }
    }
}

fn apply(resource: Value) -> Command {
    Command::Apply {
        resource,
        manager: "skein".to_owned(),
        precondition: Precondition::None,
        validation: FieldValidation::Strict,
        dry_run: false,
    }
}

fn patch(key: ObjectKey, metadata: &Value) -> Command {
    Command::Patch {
        key,
        patch: json!({ "metadata": metadata }),
        manager: "skein".to_owned(),
        precondition: Precondition::None,
        dry_run: false,
    }
}

fn delete(key: ObjectKey, force: bool) -> Command {
    Command::Delete {
        key,
        precondition: Precondition::None,
        force,
        dry_run: false,
    }
}

fn clusterset(name: &str, namespaces: u64) -> Command {
    let namespaces: Vec<_> = (0..namespaces)
        .map(|number| json!({"name": format!("team-{number}")}))
        .collect();
    apply(json!({
        "apiVersion": "cluster.open-cluster-management.io/v1beta2",
        "kind": "ManagedClusterSet",
        "metadata": {"name": name},
        "spec": {"managedNamespaces": namespaces},
    }))
}

fn work_document(cluster: &ClusterName, work: &ObjectName, dice: &mut Dice) -> Value {
    let manifests: Vec<_> = (0..dice.between(1, 2))
        .map(|number| {
            let size = if dice.chance(0.05) { LARGE } else { 1 };
            json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": format!("{work}-{number}"), "namespace": "default"},
                "data": {"value": dice.below(4).to_string().repeat(usize::try_from(size).unwrap_or(1))},
            })
        })
        .collect();
    manifest_work(cluster, work, &manifests)
}

fn open_secret(cluster: &ClusterName, work: &ObjectName) -> Value {
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "open", "namespace": "default"},
        "stringData": {"password": "everybody can read this"},
    });
    manifest_work(cluster, work, &[secret])
}

fn manifest_work(cluster: &ClusterName, work: &ObjectName, manifests: &[Value]) -> Value {
    json!({
        "apiVersion": "work.open-cluster-management.io/v1",
        "kind": "ManifestWork",
        "metadata": {"name": work, "namespace": cluster},
        "spec": {"workload": {"manifests": manifests}},
    })
}
